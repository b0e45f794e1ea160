package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// place is what the clients are pointed at.
type place struct {
	nodes int // of Logbahn, and brokers of Kafka to compare with
	// proxied: a client reaches one of the nodes only, by its listener in proxy mode.
	proxied bool
}

// placeAsked is $LOGBAHN_NODES nodes, one or more, behind a proxy with $LOGBAHN_PROXY: three of them where nothing else is said.
func placeAsked(t testing.TB) place {
	t.Helper()
	p := place{nodes: 1, proxied: os.Getenv("LOGBAHN_PROXY") != ""}
	if p.proxied {
		p.nodes = 3
	}
	if p.nodes = envInt(t, "LOGBAHN_NODES", p.nodes); p.nodes < 1 {
		t.Fatalf("LOGBAHN_NODES=%d, want 1 or more", p.nodes)
	}
	return p
}

// name is part of file names: empty for one node.
func (p place) name() string {
	name := ""
	if p.nodes > 1 {
		name = fmt.Sprintf("-%d-nodes", p.nodes)
	}
	if p.proxied {
		name += "-proxy"
	}
	return name
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
	dir       string
	listeners []string   // host:port of each node, for other nodes and for clients that may reach all
	told      [][]string // settings of each node that say where it is
	proxies   []string   // host:port of each node's listener in proxy mode; empty without
	reached   int        // index of the node whose proxy clients reach
	overrides []string
	running   []*server
}

// startNodes starts what placeAsked says, with the topics of replicated, and waits until each node is ready.
func startNodes(t testing.TB, overrides ...string) *nodes {
	t.Helper()
	p := placeAsked(t)
	return startPlace(t, p, append(overrides, replicated(p.nodes)...)...)
}

// startPlace starts a cluster. One node is one of its own, without voters.
func startPlace(t testing.TB, p place, overrides ...string) *nodes {
	t.Helper()
	c := &nodes{t: t, dir: t.TempDir(), listeners: []string{"127.0.0.1:0"}, told: make([][]string, p.nodes), overrides: overrides}
	if p.proxied || p.nodes > 1 {
		c.listeners = freeAddrs(t, p.nodes) // each has to be told of all before any listens
		c.overrides = append(c.overrides, "ops.listener=off")
	}
	if p.proxied {
		c.hide()
	}
	if p.nodes > 1 {
		var voters []string
		for i, addr := range c.listeners {
			voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr))
		}
		c.overrides = append(c.overrides, "controller.quorum.voters="+strings.Join(voters, ","))
	}
	c.running = make([]*server, p.nodes)
	for i := range c.running {
		c.spawn(i)
	}
	for i, s := range c.running {
		s.await()
		if c.told[i] == nil {
			c.listeners[i] = s.addr
		}
	}
	return c
}

// proxiesReached counts the clusters whose clients reach one proxy: they take turns at the nodes.
var proxiesReached atomic.Int32

// hide gives each node a listener in proxy mode, and puts a gate before the one that only nodes may come to.
func (c *nodes) hide() {
	hidden := c.listeners
	c.proxies, c.reached = freeAddrs(c.t, len(hidden)), int(proxiesReached.Add(1)-1)%len(hidden)
	c.listeners = nil
	for i, addr := range hidden {
		gate := startGate(c.t, addr)
		c.listeners = append(c.listeners, gate)
		c.told[i] = []string{
			"listeners=PLAINTEXT://" + addr + ",PROXY://" + c.proxies[i], "proxy.listener.names=PROXY", "advertised.listeners=PLAINTEXT://" + gate,
		}
	}
}

// spawn starts a node, at its place and on its directory.
func (c *nodes) spawn(i int) {
	overrides := slices.Concat(c.overrides, c.told[i])
	if len(c.listeners) > 1 {
		overrides = append(overrides, fmt.Sprint("node.id=", i+1))
	}
	c.running[i] = spawn(c.t, filepath.Join(c.dir, fmt.Sprint("node-", i+1)), c.listeners[i], overrides...)
}

// bootstrap is what clients are given: all addresses, or that of the one proxy that they reach.
func (c *nodes) bootstrap() string {
	if len(c.proxies) > 0 {
		return c.proxies[c.reached]
	}
	return strings.Join(c.listeners, ",")
}

// kill is kill -9 of one node, which then starts again.
func (c *nodes) kill(i int) {
	c.t.Helper()
	c.running[i].kill()
	c.spawn(i)
	c.running[i].await()
}

// roll restarts one node after the other, as an upgrade does: the next one only when all replicas are in sync again.
func (c *nodes) roll() {
	c.t.Helper()
	for i, s := range c.running {
		s.stop()
		c.spawn(i)
		c.running[i].await()
		c.awaitInSync()
	}
}

// stop stops all nodes at once, as systemd does.
func (c *nodes) stop() {
	var stopping sync.WaitGroup
	for _, s := range c.running {
		stopping.Go(s.stop)
	}
	stopping.Wait()
}

// awaitInSync returns when each partition has a leader and all its replicas in sync.
func (c *nodes) awaitInSync() {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.listeners...), kgo.ClientID(watcher))
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
