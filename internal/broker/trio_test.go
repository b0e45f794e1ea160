package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// trio is three brokers with the production's controller, fetches and replicas; the quorum and the network are modelled:
// a change is in every image at once, and a fetch crosses as bytes, on one ordered connection from each follower to each
// leader. It runs in a bubble of synctest: time is virtual.
type trio struct {
	t       *testing.T
	members []*member
	stop    chan struct{}
	running sync.WaitGroup
	spoil   atomic.Pointer[func([]byte)] // what happens to answers on their way

	mu struct {
		sync.Mutex
		machine *controller.Machine
		img     *cluster.Image
		cut     map[cluster.NodeID]bool // from everybody, clients excepted
	}
}

// member is one broker in its present life.
type member struct {
	Metadata // what the methods below do not answer is not asked
	trio     *trio
	id       cluster.NodeID
	fs       *vfs.Mem
	faults   *vfs.Faults
	rack     string

	alive   atomic.Bool
	silent  atomic.Bool // its heart does not beat
	beating sync.Mutex
	epoch   atomic.Int64
	image   atomic.Pointer[cluster.Image]
	dir     *commitlog.Dir
	set     *partition.Set
	b       *Broker
	ctx     context.Context
	end     context.CancelFunc

	lanes struct {
		sync.Mutex
		from map[cluster.NodeID]*lane
	}
}

// lane is a connection on which a follower fetches.
type lane struct {
	jobs chan laneJob
	next chan struct{}
}

type laneJob struct {
	body []byte
	done chan []byte
}

func runTrio(t *testing.T, test func(*trio)) {
	synctest.Test(t, func(t *testing.T) {
		c := &trio{t: t, stop: make(chan struct{})}
		c.mu.img = cluster.NewImage("cluster")
		c.mu.machine = controller.New(controller.Config{})
		c.mu.cut = make(map[cluster.NodeID]bool)
		for id := cluster.NodeID(1); id <= 3; id++ {
			m := &member{trio: c, id: id, fs: vfs.NewMem(), rack: fmt.Sprint("r", id)}
			c.members = append(c.members, m)
			m.start()
		}
		c.running.Go(c.beat)
		defer func() {
			close(c.stop)
			c.running.Wait()
			for _, m := range c.members {
				m.close()
			}
		}()
		test(c)
	})
}

// beat is the heartbeats of those that can be heard, and the controller's clock.
func (c *trio) beat() {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
		}
		for _, m := range c.members {
			if !c.isCut(m.id) {
				m.beat()
			}
		}
		c.mu.Lock()
		for more := true; more; {
			var changes []cluster.Change
			changes, more = c.mu.machine.Tick(time.Now().UnixMilli(), c.mu.img)
			c.publishLocked(changes)
		}
		c.mu.Unlock()
	}
}

// beat is one heartbeat of a member, and its clock. It does not meet the end of a life.
func (m *member) beat() {
	m.beating.Lock()
	defer m.beating.Unlock()
	if !m.alive.Load() {
		return
	}
	if !m.silent.Load() {
		m.heartbeat()
	}
	m.set.Tick(time.Now())
}

// dies ends what others ask of this life.
func (m *member) dies() {
	m.beating.Lock()
	defer m.beating.Unlock()
	m.trio.mu.Lock()
	defer m.trio.mu.Unlock()
	m.alive.Store(false)
}

func (c *trio) isCut(id cluster.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cut[id]
}

func (c *trio) cut(id cluster.NodeID, cut bool) {
	c.mu.Lock()
	c.mu.cut[id] = cut
	img := c.mu.img
	c.mu.Unlock()
	m := c.members[id-1]
	if cut {
		m.dropLanes()
	} else {
		m.apply(img)
	}
}

// do runs a request at the controller.
func (c *trio) do(req kmsg.Request) kmsg.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	resp, changes := c.mu.machine.Handle(time.Now().UnixMilli(), c.mu.img, req)
	c.publishLocked(changes)
	return resp
}

func (c *trio) publishLocked(changes []cluster.Change) {
	if len(changes) == 0 {
		return
	}
	img, _, err := c.mu.img.Apply(changes, c.mu.img.Offset()+1, 1)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.mu.img = img
	for _, m := range c.members {
		if m.alive.Load() && !c.mu.cut[m.id] {
			m.apply(img)
		}
	}
}

func (m *member) apply(img *cluster.Image) {
	d := cluster.Diff(m.image.Load(), img)
	m.set.Apply(img, d)
	m.b.ImageApplied(d)
	m.image.Store(img)
}

// Image and Do are the member's Metadata, and Do its Controller.
func (m *member) Image() *cluster.Image { return m.image.Load() }

func (m *member) Do(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
	if !m.alive.Load() || m.trio.isCut(m.id) {
		return nil, errors.New("the controller is out of reach")
	}
	return m.trio.do(req), nil
}

// start begins a life of the member on its disk.
func (m *member) start() {
	t := m.trio.t
	t.Helper()
	m.faults = vfs.Inject(m.fs)
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: m.faults, Path: "data", ClusterID: "cluster", NodeID: m.id})
	m.dir = must(t, dir, err)
	m.ctx, m.end = context.WithCancel(context.Background())
	m.lanes.from = make(map[cluster.NodeID]*lane)
	m.set = partition.NewSet(partition.Config{
		NodeID: m.id, Dir: m.dir, ReplicaLagMax: 5 * time.Second, BrokerEpoch: m.epoch.Load, Fetch: m.fetch, Controller: m,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)).With("broker", m.id),
	})
	settings, err := config.Layers{}.Broker()
	must(t, settings, err)
	m.b = New(Config{NodeID: m.id, Metadata: m, Partitions: m.set, Settings: SettingsOf(settings)})
	m.register()
	m.trio.mu.Lock()
	m.image.Store(nil)
	m.apply(m.trio.mu.img)
	m.alive.Store(true)
	m.trio.mu.Unlock()
	m.heartbeat()
}

// register waits until the last life's session is over.
func (m *member) register() {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.IncarnationID = m.id, "cluster", cluster.UUID{byte(m.id), byte(m.epoch.Load() + 1)}
	req.Rack, req.PreviousBrokerEpoch = &m.rack, -1
	req.LogDirs = [][16]byte{m.dir.DirectoryID()}
	req.Listeners = []kmsg.BrokerRegistrationRequestListener{{Name: "PLAINTEXT", Host: fmt.Sprint("host", m.id), Port: 9092}}
	for {
		resp := m.trio.do(req).(*kmsg.BrokerRegistrationResponse)
		if resp.ErrorCode == 0 {
			m.epoch.Store(resp.BrokerEpoch)
			return
		}
		if wire.Error(resp.ErrorCode) != wire.DuplicateBrokerRegistration {
			m.trio.t.Fatal(wire.Error(resp.ErrorCode))
		}
		time.Sleep(time.Second) // virtual
	}
}

func (m *member) heartbeat() {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = m.id, m.epoch.Load(), m.image.Load().Offset()
	m.trio.do(req)
}

// kill cuts the power of the member.
func (m *member) kill(seed uint64) {
	m.dies()
	after := m.fs.Crash(seed)
	m.close()
	m.fs = after
}

func (m *member) close() {
	m.dies()
	m.end()
	m.dropLanes()
	m.set.Close()
	_ = m.dir.Close()
}

var errUnreachable = errors.New("unreachable")

// fetch is partition.Config.Fetch: from this follower to a leader.
func (m *member) fetch(ctx context.Context, leader cluster.NodeID, req *wire.FetchRequest) (*wire.FetchResponse, func(), error) {
	to := m.trio.members[leader-1]
	if !to.alive.Load() || m.trio.isCut(leader) || m.trio.isCut(m.id) {
		return nil, nil, errUnreachable
	}
	job := laneJob{body: req.AppendTo(nil), done: make(chan []byte, 1)}
	l, served := to.lane(m.id)
	l.jobs <- job
	select {
	case b, ok := <-job.done:
		if !ok || m.trio.isCut(m.id) || m.trio.isCut(leader) {
			return nil, nil, errUnreachable
		}
		if spoil := m.trio.spoil.Load(); spoil != nil {
			(*spoil)(b)
		}
		resp := new(wire.FetchResponse)
		if err := resp.Decode(b); err != nil {
			return nil, nil, err
		}
		return resp, func() { clear(b) }, nil
	case <-served.Done():
		return nil, nil, errUnreachable
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (m *member) lane(from cluster.NodeID) (*lane, context.Context) {
	m.lanes.Lock()
	defer m.lanes.Unlock()
	l := m.lanes.from[from]
	if l == nil {
		l = &lane{jobs: make(chan laneJob, 16), next: make(chan struct{}, 1)}
		m.lanes.from[from] = l
		ctx, b := m.ctx, m.b
		m.trio.running.Go(func() { m.serveLane(ctx, b, l) })
	}
	return l, m.ctx
}

// dropLanes ends the connections to this member; those that wait get errors when their fetch returns.
func (m *member) dropLanes() {
	m.lanes.Lock()
	defer m.lanes.Unlock()
	clear(m.lanes.from)
}

// serveLane is a connection's reader, which takes in one request beyond the one that is being answered.
func (m *member) serveLane(ctx context.Context, b *Broker, l *lane) {
	conn := &Conn{ID: "lane", Listener: "PLAINTEXT", Next: func() <-chan struct{} { return l.next }}
	answered := make(chan struct{}, 1)
	answered <- struct{}{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.trio.stop:
			return
		case job := <-l.jobs:
			req := new(wire.FetchRequest)
			if err := req.Decode(wire.FetchVersion, job.body); err != nil {
				m.trio.t.Error(err)
				return
			}
			select {
			case <-answered:
			default:
				signal(l.next)
				<-answered
			}
			finish, err := b.Start(ctx, &Request{Header: wire.RequestHeader{Key: 1, Version: wire.FetchVersion}, Body: req, Conn: conn})
			if err != nil {
				m.trio.t.Error(err)
				return
			}
			m.trio.running.Go(func() {
				job.done <- m.answer(ctx, finish)
				answered <- struct{}{}
			})
		}
	}
}

func (m *member) answer(ctx context.Context, finish Finish) []byte {
	resp := finish(ctx)
	defer resp.(interface{ Release() }).Release()
	b, err := resp.AppendTo(nil)
	if err != nil {
		m.trio.t.Error(err)
	}
	return b
}

// create makes a topic with three replicas, of which two must be in sync; broker 1 leads partition 0.
func (c *trio) create(name string, partitions int) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	for i := range partitions {
		first := int32(i % 3)
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{
			Partition: int32(i), Replicas: []int32{first + 1, (first+1)%3 + 1, (first+2)%3 + 1},
		})
	}
	two := "2"
	t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "min.insync.replicas", Value: &two}}
	req.Topics = append(req.Topics, t)
	if r := c.do(req).(*kmsg.CreateTopicsResponse).Topics[0]; r.ErrorCode != 0 {
		c.t.Fatal(wire.Error(r.ErrorCode))
	}
}

func (c *trio) state(topic string, index int32) cluster.Partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, _ := c.mu.img.Partition(topic, index)
	return p
}

func (c *trio) leader(topic string, index int32) *member {
	c.t.Helper()
	p := c.state(topic, index)
	if p.Leader < 1 {
		c.t.Fatalf("%s-%d has no leader", topic, index)
	}
	return c.members[p.Leader-1]
}

// eventually waits, in virtual time, until a condition holds.
func (c *trio) eventually(what string, holds func() bool) {
	c.t.Helper()
	for range 6000 {
		synctest.Wait()
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, m := range c.members {
		if p, ok := m.set.Get("t", 0); ok && m.alive.Load() {
			c.t.Logf("broker %d: %d to %d, high watermark %d; %+v", m.id, p.StartOffset(), p.EndOffset(), p.HighWatermark(), c.state("t", 0))
		}
	}
	c.t.Fatalf("not in a minute: %s", what)
}

// produce sends one batch to a broker.
func (m *member) produce(topic string, index int32, acks int16, values ...string) kmsg.ProduceResponseTopicPartition {
	m.trio.t.Helper()
	n := &node{t: m.trio.t, broker: m.b, conn: &Conn{ID: "client", Listener: "PLAINTEXT"}}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 10, acks, 2000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: index, Records: batch(values...)}}}}
	return call[*kmsg.ProduceResponse](n, req).Topics[0].Partitions[0]
}

// fetchAs is a consumer's fetch from a broker.
func (m *member) fetchAs(topic string, offset int64, rack string) kmsg.FetchResponseTopicPartition {
	m.trio.t.Helper()
	n := &node{t: m.trio.t, broker: m.b, conn: &Conn{ID: "client", Listener: "PLAINTEXT"}}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch, req.Rack = 12, 1<<20, -1, rack
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return call[*kmsg.FetchResponse](n, req).Topics[0].Partitions[0]
}

// inSync waits until all three replicas are in sync.
func (c *trio) inSync(topic string, index int32) {
	c.t.Helper()
	c.eventually("three replicas in sync", func() bool { return len(c.state(topic, index).ISR) == 3 })
}

// equal waits until the replicas of a partition hold the same bytes, all committed.
func (c *trio) equal(topic string, index int32) {
	c.t.Helper()
	c.eventually("equal logs", func() bool {
		var logs [][]byte
		for _, m := range c.members {
			p, ok := m.set.Get(topic, index)
			if !ok || p.HighWatermark() != p.EndOffset() {
				return false
			}
			logs = append(logs, contents(c.t, p))
		}
		return bytes.Equal(logs[0], logs[1]) && bytes.Equal(logs[0], logs[2])
	})
}

func wantISR(c *trio, topic string, ids ...cluster.NodeID) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("in sync are %v", ids), func() bool {
		isr := slices.Clone(c.state(topic, 0).ISR)
		slices.Sort(isr)
		return slices.Equal(isr, ids)
	})
}
