package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// set changes one setting of a topic or a broker.
func (c *trio) set(kind kmsg.ConfigResourceType, name, key, value string) {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kind, name
	resource.Configs = append(resource.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Value: &value})
	req.Resources = append(req.Resources, resource)
	if r := c.do(req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]; r.ErrorCode != 0 {
		c.t.Fatalf("%s=%s: %v", key, value, wire.Error(r.ErrorCode))
	}
}

// A replica that is copied keeps to the rate, whichever end is throttled, and those in sync are not held up.
func TestReplicationKeepsToItsThrottle(t *testing.T) {
	const (
		bytesPerSecond = 512 << 10
		records        = 40
		recordBytes    = 100_000
	)
	for role, replica := range map[string]string{"leader": "0:1", "follower": "0:3"} {
		t.Run(role, func(t *testing.T) {
			runTrio(t, func(c *trio) {
				c.create("t", 1)
				c.inSync("t", 0)
				c.set(kmsg.ConfigResourceTypeTopic, "t", role+".replication.throttled.replicas", replica)
				c.set(kmsg.ConfigResourceTypeBroker, "", role+".replication.throttled.rate", "524288")
				late := c.members[2]
				late.kill(1)
				wantISR(c, "t", 1, 2)
				began := time.Now()
				for range records {
					wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, strings.Repeat("x", recordBytes)).ErrorCode, wire.None)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("with a follower in sync it took %v to produce", took)
				}
				late.start()
				began = time.Now()
				c.inSync("t", 0)
				least := time.Duration(records*recordBytes-3<<20) * time.Second / bytesPerSecond // what is saved up, and the last answer, take no time
				if took := time.Since(began); took < least || took > 4*records*recordBytes/bytesPerSecond*time.Second {
					t.Errorf("%d bytes at %d a second took %v", records*recordBytes, bytesPerSecond, took)
				}
				c.equal("t", 0)
				wantCode(t, "afterwards", c.leader("t", 0).produce("t", 0, -1, "a").ErrorCode, wire.None)
			})
		})
	}
}
