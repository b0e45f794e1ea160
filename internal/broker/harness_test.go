package broker

import (
	"bytes"
	"context"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/coordinator/group"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a whole broker without sockets: requests are encoded, decoded, run and answered as on a connection.
type node struct {
	t      *testing.T
	fs     vfs.FS
	static map[string]string
	clock  clock

	dir    *commitlog.Dir
	quorum *quorum.Quorum
	set    *partition.Set
	groups *coordinator.Groups
	broker *Broker
	conn   *Conn
	client string // client id of the requests
	lives  byte   // how often it was started
	epoch  int64  // of its registration
}

// clock is a wall clock that a test can move.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

// start runs a broker in an empty directory. keyValues are keys of server.properties and their values.
func start(t *testing.T, keyValues ...string) *node { return startOn(t, vfs.NewMem(), keyValues...) }

func startOn(t *testing.T, fsys vfs.FS, keyValues ...string) *node {
	t.Helper()
	n := &node{t: t, fs: fsys, client: "test", static: map[string]string{
		"node.id": "1", "offsets.topic.num.partitions": "4", "offsets.topic.replication.factor": "1",
	}}
	for i := 0; i < len(keyValues); i += 2 {
		n.static[keyValues[i]] = keyValues[i+1]
	}
	n.open()
	t.Cleanup(n.close)
	return n
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (n *node) open() {
	t := n.t
	t.Helper()
	var err error
	n.dir, err = commitlog.OpenDir(commitlog.DirConfig{FS: n.fs, Path: "data", ClusterID: "cluster", NodeID: 1})
	must(t, n.dir, err)
	cfg := commitlog.DefaultConfig()
	cfg.Delete = false
	tp := commitlog.TopicPartition{Topic: quorum.MetadataTopic}
	log, err := n.dir.Open(tp, cluster.UUID{15: 1}, cfg, commitlog.Hooks{})
	must(t, log, err)
	n.quorum, err = quorum.Open(quorum.Config{
		FS: n.fs, Dir: path.Join("data", tp.String()), Log: log, ClusterID: "cluster",
		Self: quorum.Voter{NodeID: 1, DirectoryID: n.dir.DirectoryID()}, Voters: []quorum.Voter{{NodeID: 1, DirectoryID: n.dir.DirectoryID()}},
		Machine: controller.New(controller.Config{Static: n.static}),
	})
	must(t, n.quorum, err)
	n.set = partition.NewSet(partition.Config{NodeID: 1, Dir: n.dir, Static: n.static, Now: n.clock.now})
	n.groups = coordinator.New(coordinator.Config{
		Group:      group.Config{InitialRebalanceDelay: -1},
		Partitions: coordinator.ImagePartitions(n.quorum.Image),
		Lead:       coordinator.LedBy(n.set),
		Topics:     coordinator.ImageTopics(n.quorum.Image),
	})
	n.quorum.Subscribe(func(img *cluster.Image, d cluster.Delta) {
		n.set.Apply(img, d)
		n.groups.ImageApplied(coordinator.DeletedTopics(d))
	})
	n.register()
	settings, err := config.Layers{Static: n.static}.Broker()
	must(t, settings, err)
	n.broker = New(Config{
		NodeID: 1, Metadata: n.quorum, Partitions: n.set, Groups: n.groups, Settings: SettingsOf(settings),
		Static: n.static, Dir: LogDir{Path: "data", Free: func() (int64, error) { return 12345, nil }}, Now: n.clock.now,
	})
	n.quorum.Subscribe(func(_ *cluster.Image, d cluster.Delta) { n.broker.ImageApplied(d) })
	n.conn = &Conn{ID: "1", Listener: "PLAINTEXT", RemoteAddr: "10.0.0.9:4711"}
}

func (n *node) register() {
	n.t.Helper()
	n.lives++
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.IncarnationID = 1, "cluster", [16]byte{1, n.lives}
	req.Listeners = []kmsg.BrokerRegistrationRequestListener{{Name: "PLAINTEXT", Host: "localhost", Port: 9092}}
	req.LogDirs = [][16]byte{n.dir.DirectoryID()}
	controller.SetLastEpoch(req, n.epoch)
	resp, err := n.quorum.Do(n.t.Context(), req)
	must(n.t, resp, err)
	if code := resp.(*kmsg.BrokerRegistrationResponse).ErrorCode; code != 0 {
		n.t.Fatalf("register: %v", wire.Error(code))
	}
	n.epoch = resp.(*kmsg.BrokerRegistrationResponse).BrokerEpoch
	n.unfence(n.epoch)
}

func (n *node) unfence(epoch int64) {
	n.t.Helper()
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = 1, epoch, n.quorum.Image().Offset()
	resp, err := n.quorum.Do(n.t.Context(), req)
	must(n.t, resp, err)
	if self, _ := n.quorum.Image().Broker(1); self.Fenced {
		n.t.Fatalf("still fenced: %v", wire.Error(resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode))
	}
}

func (n *node) close() {
	if used := n.broker.fetchMemory.used.Load(); used != 0 {
		n.t.Errorf("replies that have left hold %d bytes", used)
	}
	n.groups.Close()
	n.quorum.Close()
	_ = n.dir.Close()
}

func (n *node) restart() {
	n.t.Helper()
	n.close()
	n.open()
}

// crash cuts the power and starts again from what is on disk.
func (n *node) crash(mem *vfs.Mem, seed int64) {
	n.t.Helper()
	after := mem.Crash(uint64(seed))
	n.close()
	n.fs = after
	n.open()
}

// start begins a request and returns what finishes it: the encoded reply, nil when there is none.
func (n *node) start(req kmsg.Request) func() []byte {
	n.t.Helper()
	r := &Request{Header: wire.RequestHeader{Key: req.Key(), Version: req.GetVersion(), ClientID: &n.client}, Conn: n.conn}
	body := req.AppendTo(nil)
	switch req.(type) {
	case *kmsg.ProduceRequest:
		p := new(wire.ProduceRequest)
		must(n.t, p, p.Decode(req.GetVersion(), body))
		r.Body = p
	case *kmsg.FetchRequest:
		f := new(wire.FetchRequest)
		must(n.t, f, f.Decode(req.GetVersion(), body))
		r.Body = f
	default:
		decoded, err := wire.DecodeRequest(req.Key(), req.GetVersion(), body)
		r.Body = must(n.t, decoded, err)
	}
	finish, err := n.broker.Start(n.t.Context(), r)
	must(n.t, finish, err)
	clear(body) // the frame's memory is another request's from here on
	return func() []byte {
		resp := finish(n.t.Context())
		if resp == nil {
			return nil
		}
		if held, ok := resp.(interface{ Release() }); ok {
			defer held.Release()
		}
		b, err := resp.AppendTo([]byte("before"))
		if err != nil {
			return []byte(err.Error())
		}
		return bytes.TrimPrefix(b, []byte("before"))
	}
}

// call runs a request and returns its decoded reply.
func call[P kmsg.Response](n *node, req kmsg.Request) P {
	n.t.Helper()
	return decode[P](n, req, n.start(req)())
}

func decode[P kmsg.Response](n *node, req kmsg.Request, b []byte) P {
	n.t.Helper()
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(b); err != nil {
		n.t.Fatalf("reply to %T version %d: %v", req, req.GetVersion(), err)
	}
	return resp.(P)
}

// create makes a topic with settings, given as key and value in turn.
func (n *node) create(name string, partitions int32, keyValues ...string) *cluster.Topic {
	n.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(keyValues); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: keyValues[i], Value: &keyValues[i+1]})
	}
	req.Topics = append(req.Topics, t)
	resp := call[*kmsg.CreateTopicsResponse](n, req)
	if code := wire.Error(resp.Topics[0].ErrorCode); code != wire.None {
		n.t.Fatalf("create %s: %v", name, code)
	}
	created, _ := n.quorum.Image().Topic(name)
	return created
}

func (n *node) remove(name string) {
	n.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 5
	req.TopicNames = []string{name}
	resp := call[*kmsg.DeleteTopicsResponse](n, req)
	if code := wire.Error(resp.Topics[0].ErrorCode); code != wire.None {
		n.t.Fatalf("delete %s: %v", name, code)
	}
}

func (n *node) partition(topic string, index int32) *partition.Partition {
	n.t.Helper()
	p, ok := n.set.Get(topic, index)
	if !ok {
		n.t.Fatalf("no replica of %s-%d", topic, index)
	}
	return p
}

// batch builds a batch of values at the present time.
func batch(values ...string) []byte { return build(record.BuilderOptions{}, values...) }

func build(o record.BuilderOptions, values ...string) []byte {
	return buildAt(o, time.Now().UnixMilli(), values...)
}

func buildAt(o record.BuilderOptions, timestamp int64, values ...string) []byte {
	b := record.NewBuilder(o)
	for i, v := range values {
		b.Append(record.Record{Timestamp: timestamp + int64(i), Key: []byte("k" + v), Value: []byte(v)})
	}
	return bytes.Clone(b.Bytes())
}

// produceRequest puts one record set for one partition.
func (n *node) produceRequest(version int16, topic string, index int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	if known, ok := n.quorum.Image().Topic(topic); ok {
		t.TopicID = known.ID
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = index, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func (n *node) produceAs(version int16, topic string, records []byte) kmsg.ProduceResponseTopicPartition {
	n.t.Helper()
	return call[*kmsg.ProduceResponse](n, n.produceRequest(version, topic, 0, records)).Topics[0].Partitions[0]
}

// produce appends values to partition 0 as one batch and returns its first offset.
func (n *node) produce(topic string, values ...string) int64 {
	n.t.Helper()
	p := n.produceAs(9, topic, batch(values...))
	if p.ErrorCode != 0 {
		n.t.Fatalf("produce to %s: %v", topic, wire.Error(p.ErrorCode))
	}
	return p.BaseOffset
}

// fetchRequest asks for one partition from an offset on, without waiting.
func (n *node) fetchRequest(version int16, topic string, index int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch = version, 1<<20, -1
	n.alsoFetch(req, topic, index, offset)
	return req
}

func (n *node) alsoFetch(req *kmsg.FetchRequest, topic string, index int32, offset int64) *kmsg.FetchRequestTopicPartition {
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	if known, ok := n.quorum.Image().Topic(topic); ok {
		t.TopicID = known.ID
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = index, offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return &req.Topics[len(req.Topics)-1].Partitions[0]
}

func (n *node) fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	n.t.Helper()
	return call[*kmsg.FetchResponse](n, req)
}

// read returns the values of partition 0 from an offset on, separated by blanks.
func (n *node) read(topic string, offset int64) string {
	n.t.Helper()
	p := n.fetch(n.fetchRequest(12, topic, 0, offset)).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		n.t.Fatalf("fetch of %s: %v", topic, wire.Error(p.ErrorCode))
	}
	return values(n.t, p.RecordBatches)
}

func values(t *testing.T, batches []byte) string {
	t.Helper()
	var list []string
	for _, r := range records(t, batches) {
		list = append(list, string(r.Value))
	}
	return strings.Join(list, " ")
}

func records(t *testing.T, b []byte) []record.Record {
	t.Helper()
	var list []record.Record
	for len(b) > 0 {
		h, err := record.ReadHeader(b)
		must(t, h, err)
		must(t, h, record.CheckCRC(b[:h.Size()]))
		for r, err := range record.Records(b[:h.Size()], 1<<20) {
			must(t, r, err)
			list = append(list, r)
		}
		b = b[h.Size():]
	}
	return list
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func wantCode(t *testing.T, what string, got int16, want wire.Error) {
	t.Helper()
	if wire.Error(got) != want {
		t.Errorf("%s: %v, want %v", what, wire.Error(got).Name(), want.Name())
	}
}
