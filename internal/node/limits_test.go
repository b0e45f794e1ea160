package node

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestConnectionLimitsChangeWhileTheNodeRuns: max.connections.per.ip is one of the keys that a client can set.
func TestConnectionLimitsChangeWhileTheNodeRuns(t *testing.T) {
	n, _ := startListening(t, "max.connections.per.ip.overrides", "127.0.0.9:0")
	admin, err := kgo.NewClient(kgo.SeedBrokers(n.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	set := func(value string) {
		t.Helper()
		resp, err := kadm.NewClient(admin).AlterBrokerConfigs(within(t, 10*time.Second), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.connections.per.ip", Value: &value}})
		if err != nil || resp[0].Err != nil {
			t.Fatal(err, resp)
		}
	}
	// admitted tells whether a connection from the loopback address is served: one that is refused ends at once.
	admitted := func() bool {
		c, err := net.Dial("tcp", n.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		id, _, err := describeCluster(c)
		return err == nil && id == n.ClusterID()
	}
	if !admitted() {
		t.Fatal("refused before anybody set a limit")
	}
	set("1")
	waitUntil(t, func() bool { return !admitted() })
	set("100")
	waitUntil(t, admitted)
}
