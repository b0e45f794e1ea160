package node

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
)

// named asks a node, as the software given, which brokers there are.
func (c *testCluster) named(id int, software string) (ids []int32) {
	c.t.Helper()
	client := c.client(kgo.SoftwareNameAndVersion(software, "1"))
	defer client.Close()
	resp, err := c.broker(client, id).RetriableRequest(within(c.t, 10*time.Second), kmsg.NewPtrMetadataRequest())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
		ids = append(ids, b.NodeID)
	}
	slices.Sort(ids)
	return ids
}

// A client that forgets brokers is told of a node which was killed, and of one which was stopped, for a minute.
func TestNodesThatEndStayNamed(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		c.start(1, 2, 3)
		c.createTopic(c.nodes[1], "orders", 3, 3)
		c.eventually(c.nodes[1], "three in sync", inSync("orders", 3))
		for name, ends := range map[string]func(int){"killed": c.kill, "stopped": c.stop} {
			gone := c.controller()
			ends(gone)
			asked := c.other(gone)
			c.eventually(c.nodes[asked], name+" node fenced", func(img *cluster.Image) bool {
				b, ok := img.Broker(cluster.NodeID(gone))
				return ok && b.Fenced
			})
			lives := []int32{1, 2, 3}
			lives = slices.Delete(lives, gone-1, gone)
			if got := c.named(asked, "librdkafka"); !slices.Equal(got, []int32{1, 2, 3}) {
				t.Errorf("%s %d: node %d names %v", name, gone, asked, got)
			}
			if got := c.named(asked, "kgo"); !slices.Equal(got, lives) {
				t.Errorf("%s %d: node %d names %v to others", name, gone, asked, got)
			}
			time.Sleep(time.Minute) // virtual
			if got := c.named(asked, "librdkafka"); !slices.Equal(got, lives) {
				t.Errorf("%s %d, after a minute: node %d names %v", name, gone, asked, got)
			}
			c.start(gone)
			c.eventually(c.nodes[asked], "three in sync", inSync("orders", 3))
		}
	})
}
