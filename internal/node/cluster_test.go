package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// memNetwork is a network in memory: hosts are names, every address is 0.0.0.0.
type memNetwork struct {
	mu        sync.Mutex
	listeners map[string]*memListener
	dialed    map[string][]net.Conn // by address
}

func newMemNetwork() *memNetwork {
	return &memNetwork{listeners: map[string]*memListener{}, dialed: map[string][]net.Conn{}}
}

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
		n.mu.Lock()
		defer n.mu.Unlock()
		n.dialed[address] = append(n.dialed[address], client)
		return client, nil
	case <-l.closed:
		return nil, nobodyAt(address)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sever ends all connections to an address.
func (n *memNetwork) sever(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.dialed[address] {
		c.Close()
	}
	delete(n.dialed, address)
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

func (l *memListener) Addr() net.Addr {
	_, port, _ := net.SplitHostPort(l.address)
	number, _ := strconv.Atoi(port)
	return &net.TCPAddr{Port: number}
}

// virtually runs a test in virtual time. Where two processors run timers of one bubble at once, the race detector mixes their stacks
// up, and crashes (go.dev/issue/78156): it gets one processor, and finds races by what happens before what, as ever.
func virtually(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if raceEnabled {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}

// testCluster is some nodes in one process, each with a disk in memory.
type testCluster struct {
	t       *testing.T
	network *memNetwork
	log     *logLines
	disks   map[int]*vfs.Mem
	nodes   map[int]*Node
	mu      sync.Mutex
	voters  string
	more    map[int][]string // settings of a node, behind those of all
}

func newTestCluster(t *testing.T, size int) *testCluster {
	c := &testCluster{t: t, network: newMemNetwork(), log: &logLines{}, disks: map[int]*vfs.Mem{}, nodes: map[int]*Node{}, more: map[int][]string{}}
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
				FS: c.disks[id], Network: c.network, Settings: c.settings(id, c.more[id]...), Log: textLog(c.log).With("on", id),
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
	for id, n := range c.nodes {
		if n.isBroker() {
			seeds = append(seeds, fmt.Sprintf("node-%d:9092", id))
		}
	}
	slices.Sort(seeds)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) { return c.network.Dial(ctx, address) }
	client, err := kgo.NewClient(append(patient(kgo.SeedBrokers(seeds...), kgo.Dialer(dial)), opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// broker returns a broker that runs, once every node knows of it: a client forgets one that is not in the answer of whichever it asks.
func (c *testCluster) broker(client *kgo.Client, id int) *kgo.Broker {
	c.t.Helper()
	c.until(fmt.Sprintf("all nodes know of broker %d", id), func() bool {
		for _, n := range c.nodes {
			if b, ok := n.quorum.Image().Broker(cluster.NodeID(id)); !ok || b.Fenced {
				return false
			}
		}
		return true
	})
	return client.Broker(id)
}

// patient has a client try again soon, and for longer than a broker's session: by the library's own count of 20 retries it
// would give up, and lose its place in its groups, within the second that a failover takes.
func patient(opts ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.RequestRetries(1000),
	}, opts...)
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

// holdImage keeps a node's image from following the cluster's until the function that it returns is called.
func holdImage(n *Node) (goOn func()) {
	var held atomic.Bool
	free := make(chan struct{})
	n.quorum.Subscribe(func(*cluster.Image, cluster.Delta) {
		if held.Load() {
			<-free
		}
	})
	held.Store(true)
	return func() {
		held.Store(false)
		close(free)
	}
}

func topicRequest(topic string, partitions int32, replicas int16) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, replicas
	req.Topics = append(req.Topics, rt)
	return req
}

// createTopic makes a topic through the node named, whoever the controller is.
func (c *testCluster) createTopic(through *Node, topic string, partitions int32, replicas int16) {
	c.t.Helper()
	req := topicRequest(topic, partitions, replicas)
	minISR := kmsg.NewCreateTopicsRequestTopicConfig()
	minISR.Name, minISR.Value = "min.insync.replicas", kmsg.StringPtr("2")
	req.Topics[0].Configs = append(req.Topics[0].Configs, minISR)
	req.TimeoutMillis = 10_000
	resp, err := c.broker(c.client(), int(through.NodeID())).RetriableRequest(within(c.t, 10*time.Second), req)
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

// TestOffsetsOfOld commits and fetches offsets in version 0, whose clients know of no coordinators: any broker will do.
func TestOffsetsOfOld(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	c.createTopic(c.nodes[1], "rides", 1, 3)
	client := c.client(kgo.MaxVersions(kversion.V0_8_1()))
	ctx := within(t, 30*time.Second)
	for through := range c.nodes {
		group := fmt.Sprint("old-", through) // several, so that the coordinator is not always the broker that is asked
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Group = group
		commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "rides", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: int64(40 + through), Metadata: kmsg.StringPtr("m")}}}}
		resp, err := c.broker(client, through).RetriableRequest(ctx, commit)
		if err != nil {
			t.Fatal(err)
		}
		if code := resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("commit through node %d: %v", through, kerr.ErrorForCode(code))
		}
		for asked := range c.nodes {
			if got, code := c.fetchOld(client, asked, group); got != int64(40+through) || code != 0 {
				t.Errorf("committed through node %d, node %d has offset %d, code %d", through, asked, got, code)
			}
			if got, code := c.fetchOld(client, asked, group+"-unknown"); got != -1 || code != kerr.UnknownTopicOrPartition.Code {
				t.Errorf("of a group that never was node %d has offset %d, code %d", asked, got, code)
			}
		}
	}
}

// fetchOld asks a node for a group's offset of rides-0 in version 0.
func (c *testCluster) fetchOld(client *kgo.Client, asked int, group string) (offset int64, code int16) {
	c.t.Helper()
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Group = group
	fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "rides", Partitions: []int32{0}}}
	resp, err := c.broker(client, asked).RetriableRequest(within(c.t, 30*time.Second), fetch)
	if err != nil {
		c.t.Fatal(err)
	}
	if v := resp.GetVersion(); v != 0 {
		c.t.Fatalf("the client asks in version %d", v)
	}
	p := resp.(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
	return p.Offset, p.ErrorCode
}

// inSync tells that every partition of a topic has so many replicas in sync.
func inSync(topic string, replicas int) func(*cluster.Image) bool {
	return func(img *cluster.Image) bool {
		t, ok := img.Topic(topic)
		return ok && !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return len(p.ISR) < replicas })
	}
}

// A voter whose disk is gone takes the place of its former self, with another directory id.
func TestVoterWithAnEmptyDisk(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	c.loseDisk()
}

// It does so too when no configuration says who votes: its former self did.
func TestVoterWithAnEmptyDiskAmongBootstrapServers(t *testing.T) {
	c := newTestCluster(t, 3)
	c.bootstrap()
	c.start(1, 2, 3)
	c.loseDisk()
}

// loseDisk gives one of three nodes an empty disk, and expects it to become the voter that it was.
func (c *testCluster) loseDisk() {
	t := c.t
	t.Helper()
	leader := c.controller()
	c.createTopic(c.nodes[leader], "orders", 3, 3)
	c.produce("orders", "a", "b")
	lost := c.other(leader)
	before := c.nodes[lost].dir.DirectoryID()
	c.kill(lost)
	c.disks[lost] = vfs.NewMem()
	c.start(lost)
	after := c.nodes[lost].dir.DirectoryID()
	if before == after {
		t.Fatal("a new disk has the old directory id")
	}
	c.eventually(c.nodes[leader], "the replicas are copied again", inSync("orders", 3))
	c.until("the new directory votes, and the old one does not", func() bool {
		members := c.nodes[leader].quorum.Status().Members
		votes := func(id [16]byte) bool {
			return slices.ContainsFunc(members, func(m quorum.Member) bool { return !m.Learner && m.DirectoryID == id })
		}
		return len(members) == 3 && votes(after) && !votes(before)
	})
	// It counts: with another node gone there is a majority.
	c.kill(c.other(leader, lost))
	c.produce("orders", "c")
	if got := c.consume("orders", 3); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("consumed %v", got)
	}
}

// A voter that is taken away stays away, however lately it has been started: only the next start makes it what its
// configuration says.
func TestRemovedVoterStaysAway(t *testing.T) { virtually(t, removedVoterStaysAway) }

func removedVoterStaysAway(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	leader := c.controller()
	removed := c.other(leader)
	directory := c.nodes[removed].dir.DirectoryID()
	votes := func() bool {
		return slices.ContainsFunc(c.nodes[leader].quorum.Status().Members, func(m quorum.Member) bool { return int(m.NodeID) == removed && !m.Learner })
	}
	remove := func() {
		t.Helper()
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(removed), directory
		if err := c.nodes[leader].changeVoters(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		c.until("the voter is gone", func() bool { return !votes() })
	}
	c.stop(removed)
	c.start(removed)
	remove()
	time.Sleep(votePatience)
	if votes() {
		t.Error("it votes again without a start")
	}
	c.stop(removed)
	c.start(removed)
	c.until("it votes again", votes)

	// It learns of a removal that it has slept through before it looks.
	c.stop(removed)
	remove()
	c.start(removed)
	c.until("it votes again", votes)
}

// until waits until something holds that no image tells of.
func (c *testCluster) until(what string, holds func() bool) {
	c.t.Helper()
	ctx := within(c.t, 30*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("not so: %s", what)
		}
	}
}

// Nodes that are controllers only, and brokers only.
func TestControllersAndBrokers(t *testing.T) {
	c := newTestCluster(t, 4)
	c.voters = "1@node-1:9093"
	c.more[1] = []string{"process.roles", "controller", "listeners", "CONTROLLER://node-1:9093"}
	for id := 2; id <= 4; id++ {
		c.more[id] = []string{"process.roles", "broker"}
	}
	c.start(1, 2, 3, 4)
	c.createTopic(c.nodes[2], "orders", 3, 3)
	c.produce("orders", "a", "b")
	c.kill(3)
	c.produce("orders", "c")
	c.start(3)
	c.eventually(c.nodes[1], "the killed broker is in sync again", inSync("orders", 3))

	// Without a controller what is led goes on being led.
	c.kill(1)
	c.produce("orders", "d")
	c.start(1)
	c.createTopic(c.nodes[4], "more", 1, 3)
	if got := c.consume("orders", 4); fmt.Sprint(got) != "[a b c d]" {
		t.Errorf("consumed %v", got)
	}
	img := c.nodes[1].quorum.Image()
	if _, ok := img.Broker(1); ok || len(img.Brokers()) != 3 {
		t.Errorf("brokers: %v", img.Brokers())
	}
	for _, id := range []int{4, 3, 2, 1} {
		c.stop(id)
	}
}

// bootstrap has three nodes be told addresses and no ids.
func (c *testCluster) bootstrap() {
	c.voters = ""
	for id := 1; id <= 3; id++ {
		c.more[id] = []string{"controller.quorum.bootstrap.servers", "node-1:9092,node-2:9092,node-3:9092"}
	}
}

// Three nodes that are told addresses and no ids begin a cluster, and find each other again.
func TestBootstrapServers(t *testing.T) {
	c := newTestCluster(t, 3)
	c.bootstrap()
	c.start(1, 2, 3)
	leader := c.controller()
	c.createTopic(c.nodes[c.other(leader)], "orders", 1, 3)
	c.produce("orders", "a")
	c.until("the quorum knows where its voters are", func() bool {
		members := c.nodes[leader].quorum.Status().Members
		return len(members) == 3 && !slices.ContainsFunc(members, func(m quorum.Member) bool { return m.Address == "" })
	})
	for id := 1; id <= 3; id++ {
		c.kill(id)
	}
	c.start(1, 2, 3)
	c.produce("orders", "b")
	if got := c.consume("orders", 2); fmt.Sprint(got) != "[a b]" {
		t.Errorf("consumed %v", got)
	}
}

// A broker that the controller has forgotten registers again, in a new life, and goes on.
func TestForgottenBrokerRegistersAgain(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	leader := c.nodes[c.controller()]
	forgotten := c.nodes[c.other(int(leader.NodeID()))]
	before := forgotten.brokerEpoch.Load()
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = forgotten.NodeID()
	if _, err := leader.metadata().Do(within(t, 10*time.Second), req); err != nil {
		t.Fatal(err)
	}
	c.eventually(leader, "the broker is registered again", func(img *cluster.Image) bool {
		b, ok := img.Broker(forgotten.NodeID())
		return ok && b.Epoch > before && b.Live()
	})
}

// Directories of two clusters are not made one, and the error names both.
func TestNodesOfTwoClusters(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	c.stop(3)
	disk := vfs.NewMem()
	other, err := Start(t.Context(), Config{
		FS: disk, Network: newMemNetwork(), Settings: settings("node.id", "3", "listeners", "PLAINTEXT://node-3:9092"),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := other.ClusterID()
	stop(t, other)
	for what, of := range map[string]struct {
		disk *vfs.Mem
		more []string
	}{
		"an empty directory, and another cluster.id": {vfs.NewMem(), []string{"cluster.id", id}},
		"the directory of another cluster":           {disk, nil},
	} {
		n, err := Start(within(t, 20*time.Second), Config{FS: of.disk, Network: c.network, Settings: c.settings(3, of.more...)})
		if err == nil {
			stop(t, n)
			t.Fatalf("%s: a node of one cluster serves in another", what)
		}
		if !errors.Is(err, ErrOtherCluster) || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), c.nodes[1].ClusterID()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	c.start(3) // with the directory that is its own
}

// What only nodes ask of each other is served on listeners for controllers, and told to nobody.
func TestNodeAPIsAreForNodes(t *testing.T) {
	c := newTestCluster(t, 1)
	c.more[1] = []string{"listeners", "PLAINTEXT://node-1:9092,CONTROLLER://node-1:9093"}
	c.voters = "1@node-1:9093"
	c.start(1)
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "test", "1"
	resp, err := c.client().Request(within(t, 10*time.Second), versions)
	if err != nil {
		t.Fatal(err)
	}
	peers := peer.New(peer.Config{Self: 9, Dial: c.network.Dial})
	defer peers.Close()
	peers.SetAddress(1, "node-1:9092")
	peers.SetAddress(2, "node-1:9093")
	for _, a := range nodeAPIs {
		for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
			if k.ApiKey == a.key {
				t.Errorf("ApiVersions lists %s", wire.APIName(a.key))
			}
		}
		req := wire.NewRequest(a.key)
		if _, err := peers.Request(within(t, 10*time.Second), 1, peer.Control, req); !errors.Is(err, peer.ErrNoAnswer) {
			t.Errorf("%s is answered on a listener for clients: %v", wire.APIName(a.key), err)
		}
		if _, err := peers.Request(within(t, 10*time.Second), 2, peer.Control, req); err != nil {
			t.Errorf("%s on a listener for controllers: %v", wire.APIName(a.key), err)
		}
	}
}

// A broker that has stopped cleanly tells the controller which life of it that was: with flush=os only then nothing is lost.
func TestCleanStopIsToldInTheNextLife(t *testing.T) {
	fsys := vfs.NewMem()
	n := mustStart(t, fsys)
	first := n.brokerEpoch.Load()
	stop(t, n)
	n = mustStart(t, fsys)
	if got := n.dir.CleanBrokerEpoch(); got != first || n.brokerEpoch.Load() <= first {
		t.Errorf("the life before was %d, and %d is told; the new one is %d", first, got, n.brokerEpoch.Load())
	}
	n.Kill()
	n = mustStart(t, fsys)
	defer stop(t, n)
	if got := n.dir.CleanBrokerEpoch(); got != -1 {
		t.Errorf("a killed broker tells of life %d", got)
	}
}

// A controller that is no broker registers nowhere, and so does not wait for the metadata to be there when it starts.
func TestControllerWithAnEmptyDiskAmongBootstrapServers(t *testing.T) {
	virtually(t, controllerWithAnEmptyDisk)
}

func controllerWithAnEmptyDisk(t *testing.T) {
	c := newTestCluster(t, 4)
	c.voters = ""
	for id := 1; id <= 4; id++ {
		c.more[id] = []string{"controller.quorum.bootstrap.servers", "node-1:9093,node-2:9093,node-3:9093", "process.roles", "broker"}
		if id <= 3 {
			c.more[id] = append(c.more[id], "process.roles", "controller", "listeners", fmt.Sprintf("CONTROLLER://node-%d:9093", id))
		}
	}
	c.start(1, 2, 3, 4)
	members := func() []quorum.Member { return c.nodes[4].quorum.Status().Members }
	lost := 1
	c.kill(lost)
	c.disks[lost] = vfs.NewMem()
	c.start(lost)
	directory := c.nodes[lost].dir.DirectoryID()
	c.until("the new directory votes", func() bool {
		return slices.ContainsFunc(members(), func(m quorum.Member) bool { return !m.Learner && m.DirectoryID == directory })
	})
}
