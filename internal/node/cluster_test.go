package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/vfs"
)

// memNetwork is a network in memory: hosts are names, every address is 0.0.0.0.
type memNetwork struct {
	mu        sync.Mutex
	listeners map[string]*memListener
}

func newMemNetwork() *memNetwork { return &memNetwork{listeners: map[string]*memListener{}} }

// nobodyAt is what dialing an address says where nobody listens.
func nobodyAt(address string) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", address, os.NewSyscallError("connect", syscall.ECONNREFUSED))}
}

func (n *memNetwork) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("%s is taken", address)
	}
	l := &memListener{network: n, address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

func (n *memNetwork) Dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, nobodyAt(address)
	}
	client, server := listener.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, nobodyAt(address)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memListener struct {
	network *memNetwork
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		delete(l.network.listeners, l.address)
		l.network.mu.Unlock()
	})
	return nil
}

func (l *memListener) Addr() net.Addr { return &net.TCPAddr{Port: 9092} }

// testCluster is some nodes in one process, each with a disk in memory.
type testCluster struct {
	t       *testing.T
	network *memNetwork
	log     *logLines
	disks   map[int]*vfs.Mem
	nodes   map[int]*Node
	mu      sync.Mutex
	voters  string
}

func newTestCluster(t *testing.T, size int) *testCluster {
	c := &testCluster{t: t, network: newMemNetwork(), log: &logLines{}, disks: map[int]*vfs.Mem{}, nodes: map[int]*Node{}}
	var voters []string
	for id := 1; id <= size; id++ {
		voters = append(voters, fmt.Sprintf("%d@node-%d:9092", id, id))
		c.disks[id] = vfs.NewMem()
	}
	c.voters = strings.Join(voters, ",")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.log.String())
		}
	})
	return c
}

func (c *testCluster) settings(id int, more ...string) config.Settings {
	return settings(append([]string{
		"node.id", fmt.Sprint(id), "controller.quorum.voters", c.voters, "listeners", fmt.Sprintf("PLAINTEXT://node-%d:9092", id),
		"broker.heartbeat.interval.ms", "200", "broker.session.timeout.ms", "2000", "replica.lag.time.max.ms", "4000",
		"offsets.topic.replication.factor", fmt.Sprint(min(len(c.disks), 3)),
	}, more...)...)
}

// start starts nodes at once, and returns when all of them serve.
func (c *testCluster) start(ids ...int) {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
			defer cancel()
			n, err := Start(ctx, Config{
				FS: c.disks[id], Network: c.network, Settings: c.settings(id), Log: textLog(c.log).With("on", id),
			})
			if err != nil {
				c.t.Errorf("node %d: %v", id, err)
				return
			}
			c.mu.Lock()
			c.nodes[id] = n
			c.mu.Unlock()
			c.t.Cleanup(func() { n.Kill() })
		})
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// client is a client that begins with the nodes named, all without any.
func (c *testCluster) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	var seeds []string
	for id := range c.nodes {
		seeds = append(seeds, fmt.Sprintf("node-%d:9092", id))
	}
	slices.Sort(seeds)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return c.network.Dial(ctx, address) }
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.Dialer(dial), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// eventually waits until a node's image says so.
func (c *testCluster) eventually(n *Node, what string, holds func(*cluster.Image) bool) {
	c.t.Helper()
	ctx := within(c.t, 20*time.Second)
	for {
		img := n.quorum.Image()
		if holds(img) {
			return
		}
		if err := n.quorum.AwaitImage(ctx, img.Offset()+1); err != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (c *testCluster) controller() int {
	c.t.Helper()
	for id, n := range c.nodes {
		if n.quorum.Status().Leader == cluster.NodeID(id) {
			return id
		}
	}
	c.t.Fatal("nobody is the controller")
	return 0
}

func (c *testCluster) other(not ...int) int {
	for id := 1; ; id++ {
		if c.nodes[id] != nil && !slices.Contains(not, id) {
			return id
		}
	}
}

func (c *testCluster) kill(id int) {
	c.nodes[id].Kill()
	delete(c.nodes, id)
}

func (c *testCluster) stop(id int) {
	stop(c.t, c.nodes[id])
	delete(c.nodes, id)
}

// createTopic makes a topic through the node named, whoever the controller is.
func (c *testCluster) createTopic(through *Node, topic string, partitions int32, replicas int16) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, replicas
	minISR := kmsg.NewCreateTopicsRequestTopicConfig()
	minISR.Name, minISR.Value = "min.insync.replicas", kmsg.StringPtr("2")
	rt.Configs = append(rt.Configs, minISR)
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 10_000
	resp, err := c.client().Broker(int(through.NodeID())).RetriableRequest(within(c.t, 10*time.Second), req)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode); err != nil {
		c.t.Fatal(err)
	}
}

func (c *testCluster) produce(topic string, values ...string) {
	c.t.Helper()
	client := c.client(kgo.RequiredAcks(kgo.AllISRAcks()))
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(within(c.t, 30*time.Second), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			c.t.Fatalf("produce %s: %v", v, err)
		}
	}
}

func (c *testCluster) consume(topic string, count int) []string {
	c.t.Helper()
	client := c.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	ctx := within(c.t, 30*time.Second)
	var values []string
	for len(values) < count {
		fetches := client.PollRecords(ctx, count)
		if err := ctx.Err(); err != nil {
			c.t.Fatalf("consumed %v: %v", values, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	slices.Sort(values)
	return values
}

func TestThreeNodes(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.controller()
	for id, n := range c.nodes {
		if n.ClusterID() != c.nodes[first].ClusterID() {
			t.Errorf("node %d is of cluster %s, the controller of %s", id, n.ClusterID(), c.nodes[first].ClusterID())
		}
	}

	// A topic is made through a node that is not the controller, and is known there when it is answered.
	through := c.nodes[c.other(first)]
	c.createTopic(through, "orders", 3, 3)
	topic, ok := through.quorum.Image().Topic("orders")
	if !ok || len(topic.Partitions) != 3 {
		t.Fatal("the topic is not known where it was made")
	}
	c.produce("orders", "a", "b", "c")
	if got := c.consume("orders", 3); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("consumed %v", got)
	}

	// One node stops: the others go on.
	gone := c.other(first)
	c.stop(gone)
	c.produce("orders", "d")
	c.start(gone)
	c.eventually(c.nodes[first], "the node that came back is in sync", inSync("orders", 3))
	c.produce("orders", "e")

	// The controller is killed: another one is elected, and brokers lead what the killed one led.
	c.kill(first)
	c.produce("orders", "f", "g")
	second := c.controller()
	c.eventually(c.nodes[second], "the killed broker is fenced", func(img *cluster.Image) bool {
		b, ok := img.Broker(cluster.NodeID(first))
		return ok && b.Fenced
	})
	c.start(first)
	c.eventually(c.nodes[second], "the killed node is in sync again", inSync("orders", 3))
	if got := c.consume("orders", 7); fmt.Sprint(got) != "[a b c d e f g]" {
		t.Errorf("consumed %v", got)
	}
	for _, id := range []int{1, 2, 3} {
		c.stop(id)
	}
}

// inSync tells that every partition of a topic has so many replicas in sync.
func inSync(topic string, replicas int) func(*cluster.Image) bool {
	return func(img *cluster.Image) bool {
		t, ok := img.Topic(topic)
		return ok && !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return len(p.ISR) < replicas })
	}
}
