package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/proxy"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// newProxyCluster is a cluster whose nodes have a listener for clients that reach one of them only.
func newProxyCluster(t *testing.T, size int) *testCluster {
	c := newTestCluster(t, size)
	for id := 1; id <= size; id++ {
		c.more[id] = []string{
			"listeners", fmt.Sprintf("PLAINTEXT://node-%d:9092,ONE://node-%d:9094", id, id), "proxy.listener.names", "ONE",
			"offsets.topic.num.partitions", "5",
		}
	}
	return c
}

// behind returns a client that reaches nothing but one node's proxy. That it tries to is an error.
func (c *testCluster) behind(id int, opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	only := fmt.Sprintf("node-%d:9094", id)
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		if address != only {
			c.t.Errorf("a client is told to connect to %s", address)
			return nil, nobodyAt(address)
		}
		return c.network.Dial(ctx, address)
	}
	client, err := kgo.NewClient(append(patient(kgo.SeedBrokers(only), kgo.Dialer(dial)), opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// Every API that clients are told of is answered by a proxy too.
func TestProxyServesWhatBrokersDo(t *testing.T) {
	for key := int16(0); key < 200; key++ {
		if _, ok := broker.Lookup(key); !ok || key == 18 || key == 59 || key == 82 { // ApiVersions is the broker's; the others are nodes'
			continue
		}
		if !proxy.Serves(key) {
			t.Errorf("API %d has no way through a proxy", key)
		}
	}
}

func TestOneNodeSeen(t *testing.T) {
	c := newProxyCluster(t, 3)
	c.start(1, 2, 3)
	ctx := within(t, 60*time.Second)
	admin := kadm.NewClient(c.behind(2))
	if _, err := admin.CreateTopic(ctx, 9, 3, map[string]*string{"min.insync.replicas": kadm.StringPtr("2")}, "orders"); err != nil {
		t.Fatal(err)
	}
	meta, err := admin.Metadata(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if meta.Controller != 2 || len(meta.Brokers) != 1 || meta.Brokers[0].NodeID != 2 || meta.Brokers[0].Host != "node-2" || meta.Brokers[0].Port != 9094 {
		t.Errorf("controller %d, brokers %+v", meta.Controller, meta.Brokers)
	}
	leaders := map[cluster.NodeID]bool{}
	topic, _ := c.nodes[2].quorum.Image().Topic("orders")
	for i, p := range topic.Partitions {
		leaders[p.Leader] = true
		seen := meta.Topics["orders"].Partitions[int32(i)]
		if seen.Leader != 2 || !slices.Equal(seen.Replicas, []int32{2}) || !slices.Equal(seen.ISR, []int32{2}) || len(seen.OfflineReplicas) > 0 {
			t.Errorf("partition %+v", seen)
		}
	}
	if len(leaders) != 3 {
		t.Fatalf("the partitions are led by %v: the test needs three leaders", leaders)
	}

	producer := c.behind(2, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var records []*kgo.Record
	for i := range 900 {
		records = append(records, &kgo.Record{Topic: "orders", Partition: int32(i % 9), Value: fmt.Append(nil, i)})
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		for n, r := 0, records[i:]; len(r) > 0; n, r = n+1, r[min(9, len(r)):] {
			if r[0].Offset != int64(n) {
				t.Fatalf("record %d of partition %d has offset %d", n, i, r[0].Offset)
			}
		}
	}
	consumer := c.behind(2, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := map[string]int{}
	for len(got) < 900 {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("after %d: %v", len(got), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++ })
	}
	for value, n := range got {
		if n != 1 {
			t.Errorf("%s was read %d times", value, n)
		}
	}
	if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	c.administer(ctx, admin)
}

// administer asks what administrators ask, and expects the whole cluster in the answers.
func (c *testCluster) administer(ctx context.Context, admin *kadm.Client) {
	t := c.t
	t.Helper()
	ends, err := admin.ListEndOffsets(ctx, "orders")
	if err == nil {
		err = ends.Error()
	}
	if err != nil || len(ends["orders"]) != 9 || ends["orders"][8].Offset != 100 {
		t.Errorf("end offsets %v, %v", ends, err)
	}
	groups, err := admin.ListGroups(ctx)
	if err != nil || groups["readers"].State != "Stable" {
		t.Errorf("groups %v, %v", groups, err)
	}
	described, err := admin.DescribeGroups(ctx, "readers", "nobody")
	if err != nil || len(described["readers"].Members) != 1 || described["readers"].Coordinator.NodeID != 2 {
		t.Errorf("groups %+v, %v", described, err)
	}
	committed, err := admin.FetchOffsets(ctx, "readers")
	if err != nil || len(committed["orders"]) != 9 || committed["orders"][4].At != 100 {
		t.Errorf("committed %v, %v", committed, err)
	}
	deleted, err := admin.DeleteRecords(ctx, kadm.Offsets{"orders": {0: {Topic: "orders", Partition: 0, At: 7}, 1: {Topic: "orders", Partition: 1, At: 8}, 2: {Topic: "orders", Partition: 2, At: 9}}})
	if err != nil || deleted["orders"][0].LowWatermark != 7 || deleted["orders"][1].LowWatermark != 8 || deleted["orders"][2].LowWatermark != 9 {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	for _, id := range []string{"1", "2", "3"} {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName, resource.ConfigNames = kmsg.ConfigResourceTypeBroker, id, []string{"node.id"}
		configs.Resources = append(configs.Resources, resource)
	}
	answer, err := c.behind(2).Broker(2).Request(ctx, configs)
	if err != nil {
		t.Fatal(err)
	}
	for i, described := range answer.(*kmsg.DescribeConfigsResponse).Resources {
		if id := fmt.Sprint(i + 1); described.ResourceName != id || len(described.Configs) != 1 || *described.Configs[0].Value != id {
			t.Errorf("configs of broker %s: %+v", id, described)
		}
	}
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	sized := 0
	dirs.Each(func(d kadm.DescribedLogDir) { sized += len(d.Topics["orders"]) })
	if len(dirs) != 1 || sized != 9 {
		t.Errorf("%d brokers have %d partitions of the topic", len(dirs), sized)
	}
	if gone, err := admin.DeleteGroups(ctx, "nobody"); err != nil || gone["nobody"].Err == nil {
		t.Errorf("deleted groups %v, %v", gone, err)
	}
	if _, err := admin.DeleteTopics(ctx, "orders"); err != nil {
		t.Error(err)
	}
}

// Who has said nothing of addresses has clients told the one that they have reached; whoever has said one is believed.
func TestAddressThatIsReached(t *testing.T) {
	for _, c := range []struct{ listeners, advertised, local, want string }{
		{"PLAINTEXT://:0", "", "192.0.2.7:9092", "192.0.2.7:9092"},
		{"PLAINTEXT://0.0.0.0:0", "", "[::ffff:192.0.2.7]:9092", "192.0.2.7:9092"},
		{"PLAINTEXT://[::]:0", "", "[2001:db8::7]:9092", "[2001:db8::7]:9092"},
		{"PLAINTEXT://:0", "", "in memory", ""},
		{"PLAINTEXT://:0", "", "0.0.0.0:9092", ""},
		{"PLAINTEXT://:0", "PLAINTEXT://told:1234", "192.0.2.7:9092", ""},
		{"PLAINTEXT://127.0.0.1:0", "", "127.0.0.1:9092", ""},
	} {
		more := []string{"listeners", c.listeners}
		if c.advertised != "" {
			more = append(more, "advertised.listeners", c.advertised)
		}
		n := &Node{cfg: Config{Settings: settings(more...)}, log: slog.New(slog.DiscardHandler)}
		if err := n.configure(); err != nil {
			t.Fatal(err)
		}
		client := &conn{Conn: broker.Conn{Listener: "PLAINTEXT", LocalAddr: c.local}}
		n.place(client)
		got := ""
		if client.Reached != nil {
			got = endpointAddress(*client.Reached)
		}
		if got != c.want {
			t.Errorf("%+v: told %q", c, got)
		}
	}
}

// TestProxyLosesNothing has clients behind one node's proxy produce and consume while the leaders of their partitions are
// killed, stopped and come back: nothing is lost, nothing is there twice, and the order is the producers'.
func TestProxyLosesNothing(t *testing.T) {
	const partitions, producers = 6, 3
	c := newProxyCluster(t, 3)
	c.start(1, 2, 3)
	ctx := within(t, 120*time.Second)
	c.createTopic(c.nodes[1], "orders", partitions, 3)
	h := &history{start: time.Now(), group: "readers"}
	var load sync.WaitGroup
	stop := make(chan struct{})
	for i := range producers {
		load.Go(func() { h.produce(ctx, c.behind(1), fmt.Sprintf("p%d", i), partitions, stop) })
	}
	consuming, endConsuming := context.WithCancel(ctx)
	var readers sync.WaitGroup
	var lost atomic.Int64 // a consumer that loses its partitions goes on where it has committed
	readers.Go(func() {
		h.consume(consuming, c.behind(1, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(20*time.Second), kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { lost.Add(1) })))
	})
	all := inSync("orders", 3)
	for _, fault := range []func(int){c.kill, c.stop} {
		for _, id := range []int{2, 3} {
			before := h.acknowledged.Load()
			fault(id)
			h.await(t, ctx, before+300)
			c.start(id)
			c.eventually(c.nodes[1], "the node is in sync again", all)
		}
	}
	h.await(t, ctx, h.acknowledged.Load()+300)
	close(stop)
	load.Wait()
	h.final(ctx, t, c.behind(1), partitions)
	h.awaitRead(t, ctx)
	endConsuming()
	readers.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, a := range check.Check(&h.History) {
		if i == 10 {
			break
		}
		t.Errorf("%v", a)
	}
	if n := lost.Load(); n > 0 {
		t.Errorf("the consumer lost its partitions %d times, though it is patient", n)
	}
	t.Logf("%d records acknowledged, %d sent, %d read", h.acknowledged.Load(), len(h.Sends), len(h.Reads))
}

// history is what the clients of a test did and saw.
type history struct {
	start        time.Time
	group        string
	acknowledged atomic.Int64
	read         atomic.Int64

	mu sync.Mutex
	check.History
}

func (h *history) now() time.Duration { return time.Since(h.start) }

// produce sends records to all partitions until it is told to stop, some at once.
func (h *history) produce(ctx context.Context, client *kgo.Client, name string, partitions int, stop chan struct{}) {
	defer client.Close()
	var answered sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := 0; ; i++ {
		select {
		case <-stop:
			answered.Wait()
			return
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		h.mu.Lock()
		at := len(h.Sends)
		h.Sends = append(h.Sends, check.Send{Producer: name, Value: fmt.Sprintf("%s-%d", name, i), Offset: -1, Begin: h.now(), Durable: true, Idempotent: true})
		r := &kgo.Record{Topic: "orders", Key: fmt.Append(nil, i%partitions*31), Value: []byte(h.Sends[at].Value)}
		h.mu.Unlock()
		answered.Add(1)
		client.Produce(ctx, r, func(r *kgo.Record, err error) {
			h.mu.Lock()
			s := &h.Sends[at]
			s.Partition = check.Partition{Topic: "orders", Index: r.Partition}
			if err == nil {
				s.Outcome, s.Offset, s.End = check.OK, r.Offset, h.now()
				h.acknowledged.Add(1)
			}
			h.mu.Unlock()
			<-slots
			answered.Done()
		})
	}
}

// consume notes what a member of a group reads.
func (h *history) consume(ctx context.Context, client *kgo.Client) {
	defer client.Close()
	for poll := 0; ctx.Err() == nil; poll++ {
		fetches := client.PollFetches(ctx)
		h.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			h.Reads = append(h.Reads, check.Read{
				Partition: check.Partition{Topic: r.Topic, Index: r.Partition}, Consumer: "c", Group: h.group, Poll: poll, Offset: r.Offset, Value: string(r.Value),
			})
			h.read.Add(1)
		})
		h.mu.Unlock()
	}
}

// await waits until so many records are acknowledged.
func (h *history) await(t *testing.T, ctx context.Context, records int64) {
	t.Helper()
	waitFor(t, ctx, "records acknowledged", func() bool { return h.acknowledged.Load() >= records })
}

// awaitRead waits until the consumer has read all that is there.
func (h *history) awaitRead(t *testing.T, ctx context.Context) {
	t.Helper()
	want := int64(0)
	for _, f := range h.Finals {
		want += int64(len(f.Records))
	}
	waitFor(t, ctx, fmt.Sprintf("%d records read", want), func() bool { return h.read.Load() >= want })
}

func waitFor(t *testing.T, ctx context.Context, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		}
	}
}

// final reads the partitions whole.
func (h *history) final(ctx context.Context, t *testing.T, client *kgo.Client, partitions int) {
	t.Helper()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, "orders")
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	from := map[int32]kgo.Offset{}
	left := map[int32]int64{}
	finals := map[int32]*check.Final{}
	for p := range int32(partitions) {
		finals[p] = &check.Final{Partition: check.Partition{Topic: "orders", Index: p}, Replica: "leader"}
		if end := ends["orders"][p].Offset; end > 0 {
			from[p], left[p] = kgo.NewOffset().AtStart(), end
		}
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"orders": from})
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("left to read: %v", left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			f := finals[r.Partition]
			f.Records = append(f.Records, check.Record{Offset: r.Offset, Value: string(r.Value)})
			if r.Offset+1 == left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range finals {
		h.Finals = append(h.Finals, *f)
	}
}
