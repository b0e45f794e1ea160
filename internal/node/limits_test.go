package node

import (
	"math"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/config"
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

// TestTimesThatMeanNever: Kafka's settings of milliseconds take numbers that no Duration holds.
func TestTimesThatMeanNever(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	for ms, want := range map[int64]time.Duration{0: 0, 1: time.Millisecond, -1: -time.Millisecond, 86_400_000: 24 * time.Hour} {
		if got := milliseconds(ms); got != want {
			t.Errorf("%d ms: %v", ms, got)
		}
	}
	if got := milliseconds(math.MaxInt64); got < century {
		t.Errorf("the most milliseconds: %v", got)
	}
	if got := milliseconds(math.MinInt64); got > -century {
		t.Errorf("the least milliseconds: %v", got)
	}
	for minutes, want := range map[int32]time.Duration{1: time.Minute, 10_080: 7 * 24 * time.Hour} {
		if got := groupConfig(config.Broker{Offsets: config.Offsets{RetentionMinutes: minutes}}).OffsetsRetention; got != want {
			t.Errorf("offsets.retention.minutes=%d: %v", minutes, got)
		}
	}
	for _, minutes := range []int32{200_000_000, math.MaxInt32} {
		if got := groupConfig(config.Broker{Offsets: config.Offsets{RetentionMinutes: minutes}}).OffsetsRetention; got < century {
			t.Errorf("offsets.retention.minutes=%d: offsets are kept for %v", minutes, got)
		}
	}
	for _, value := range []string{"9223372036854775807", "-1"} {
		n, _ := startListening(t, "connections.max.idle.ms", value, "replica.lag.time.max.ms", "9223372036854775807",
			"log.retention.check.interval.ms", "9223372036854775807")
		if got := idleTimeout(n.broker.Network); got < century {
			t.Errorf("connections.max.idle.ms=%s: %v", value, got)
		}
		c, err := net.Dial("tcp", n.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := describeCluster(c); err != nil {
			t.Errorf("connections.max.idle.ms=%s: %v", value, err)
		}
		_ = c.Close()
	}
}
