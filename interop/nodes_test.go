package interop

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// nodeCount is how many nodes, and how many brokers of Kafka, the clients are run against: $LOGBAHN_NODES, one or more.
func nodeCount(t testing.TB) int {
	t.Helper()
	n := envInt(t, "LOGBAHN_NODES", 1)
	if n < 1 {
		t.Fatalf("LOGBAHN_NODES=%d, want 1 or more", n)
	}
	return n
}

// replicated is the configuration of topics on several brokers where nothing else is said; one has Kafka's defaults.
func replicated(brokers int) []string {
	if brokers == 1 {
		return nil
	}
	return []string{fmt.Sprintf("default.replication.factor=%d", brokers), fmt.Sprintf("min.insync.replicas=%d", min(brokers, 2))}
}

// nodes is a cluster of `logbahn start` processes; their ids are their places, from 1.
type nodes struct {
	t         testing.TB
	addrs     []string
	overrides []string
	running   []*server
}

// startNodes starts a cluster of so many nodes and waits until each is ready. One node is one of its own, without voters.
func startNodes(t testing.TB, count int, overrides ...string) *nodes {
	t.Helper()
	c := &nodes{t: t, addrs: []string{"127.0.0.1:0"}, overrides: append(overrides, replicated(count)...)}
	if count > 1 {
		c.addrs = freeAddrs(t, count) // each has to be told of all before any listens
		var voters []string
		for i, addr := range c.addrs {
			voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr))
		}
		c.overrides = append(c.overrides, "controller.quorum.voters="+strings.Join(voters, ","), "ops.listener=off")
	}
	dir := t.TempDir()
	for i := range c.addrs {
		c.running = append(c.running, c.spawn(i, filepath.Join(dir, fmt.Sprint("node-", i+1))))
	}
	for i, s := range c.running {
		s.await()
		c.addrs[i] = s.addr
	}
	return c
}

func (c *nodes) spawn(i int, dir string) *server {
	overrides := c.overrides
	if len(c.addrs) > 1 {
		overrides = append([]string{fmt.Sprint("node.id=", i+1)}, overrides...)
	}
	return spawn(c.t, dir, c.addrs[i], overrides...)
}

// bootstrap is what clients are given: all addresses.
func (c *nodes) bootstrap() string { return strings.Join(c.addrs, ",") }

// roll restarts one node after the other, as an upgrade does: the next one only when all replicas are in sync again.
func (c *nodes) roll() {
	c.t.Helper()
	for i, s := range c.running {
		s.stop()
		c.running[i] = c.spawn(i, s.dir)
		c.running[i].await()
		c.awaitInSync()
	}
}

// awaitInSync returns when each partition has a leader and all its replicas in sync.
func (c *nodes) awaitInSync() {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		behind, err := outOfSync(ctx, kadm.NewClient(client))
		if err == nil && len(behind) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("not in sync within a minute: %v %v", behind, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// outOfSync describes the partitions that lack a leader or an in-sync replica.
func outOfSync(ctx context.Context, admin *kadm.Client) ([]string, error) {
	metadata, err := admin.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	var behind []string
	metadata.Topics.EachPartition(func(p kadm.PartitionDetail) {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			behind = append(behind, fmt.Sprintf("%s-%d: leader %d, in sync %v of %v", p.Topic, p.Partition, p.Leader, p.ISR, p.Replicas))
		}
	})
	return behind, nil
}

// freeAddrs are addresses of loopback that nobody listened on a moment ago.
func freeAddrs(t testing.TB, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}
