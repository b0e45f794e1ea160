package partition

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// Config says how the replicas of a broker behave.
type Config struct {
	NodeID cluster.NodeID
	Dir    *commitlog.Dir
	// Static is the broker's own configuration, by Kafka's keys; what images say of brokers and topics goes before it.
	Static map[string]string
	// ReplicaLagMax is replica.lag.time.max.ms, 30 s when it is 0.
	ReplicaLagMax time.Duration
	// BrokerEpoch returns the epoch of this broker's present registration, which its fetches and proposals carry. nil: -1.
	BrokerEpoch func() int64
	// Confirmed tells whether the controller takes this broker for alive. While it does not, another may lead what this one
	// believes to lead. nil: it always does.
	Confirmed func() bool
	// Fetch sends a request to the broker that leads and returns its answer, whose record data is valid until release is
	// called: exactly once, after an answer without an error. Requests to one leader go over one connection, in the order
	// of the calls, and a later one does not wait for the answer of an earlier. The memory of the request is the caller's
	// again when the call has returned. nil: nothing is copied from other brokers.
	Fetch func(ctx context.Context, leader cluster.NodeID, req *wire.FetchRequest) (resp *wire.FetchResponse, release func(), err error)
	// Replication is how followers fetch.
	Replication Replication
	// Controller is asked for changes of the in-sync sets. nil: nobody is asked.
	Controller Controller
	Now        func() time.Time // the wall clock, for timestamps, which may jump; time.Now when nil
	Log        *slog.Logger     // discarded when nil
}

// Controller is the controller of the cluster, wherever it runs.
type Controller interface {
	// Do runs a request at the controller and returns when its changes have been applied here (Set.Apply). After an error
	// the request may have been carried out or not.
	Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
}

// Replication is how followers fetch from leaders. What is 0 has Kafka's default.
type Replication struct {
	WaitMax           time.Duration // replica.fetch.wait.max.ms: of a long poll
	BytesMin          int32         // replica.fetch.min.bytes
	PartitionBytesMax int32         // replica.fetch.max.bytes
	ResponseBytesMax  int32         // replica.fetch.response.max.bytes: what one leader's answer takes of memory
	Backoff           time.Duration // replica.fetch.backoff.ms: after an error
}

func (r *Replication) setDefaults() {
	r.WaitMax = cmp.Or(r.WaitMax, 500*time.Millisecond)
	r.BytesMin = cmp.Or(r.BytesMin, 1)
	r.PartitionBytesMax = cmp.Or(r.PartitionBytesMax, 1<<20)
	r.ResponseBytesMax = cmp.Or(r.ResponseBytesMax, 10<<20)
	r.Backoff = cmp.Or(r.Backoff, time.Second)
}

const replicaLagMaxDefault = 30 * time.Second

// Set holds the replicas of this broker.
type Set struct {
	cfg   Config
	begun time.Time // what replicas are told of the time is since then, by the monotonic clock

	retrying atomic.Bool // openLacking runs

	applying vfs.Gate // images are applied one after the other
	swept    bool     // folders without a topic have been looked for; guarded by applying

	image atomic.Pointer[cluster.Image] // the latest, no older than that of any replica; nil before the first

	ackWaiters sync.Pool // of *ackWaiter

	throttles struct{ leader, follower throttle } // of what is copied from here and to here

	// The goroutines: fetchers and the proposer. They end with Close.
	ctx       context.Context
	end       context.CancelFunc
	running   sync.WaitGroup
	fetchers  fetchers
	proposals proposals

	mu struct {
		sync.RWMutex
		byName  map[nameKey]*Partition
		byID    map[idKey]*Partition
		removed TrafficCount
	}
}

type nameKey struct {
	topic string
	index int32
}

type idKey struct {
	topic cluster.UUID
	index int32
}

// NewSet returns a set without replicas; Apply brings them.
func NewSet(cfg Config) *Set {
	if cfg.ReplicaLagMax == 0 {
		cfg.ReplicaLagMax = replicaLagMaxDefault
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.BrokerEpoch == nil {
		cfg.BrokerEpoch = func() int64 { return -1 }
	}
	if cfg.Confirmed == nil {
		cfg.Confirmed = func() bool { return true }
	}
	cfg.Replication.setDefaults()
	s := &Set{cfg: cfg, begun: time.Now()}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.proposals.set = s
	s.mu.byName = make(map[nameKey]*Partition)
	s.mu.byID = make(map[idKey]*Partition)
	return s
}

// Close ends the goroutines: nothing is copied from leaders any more, and no in-sync set proposed. It returns when they
// have ended. The replicas stay as they are, until the directory is closed.
func (s *Set) Close() {
	s.fetchers.close()
	s.proposals.close()
	s.end()
	s.running.Wait()
}

// Image returns the latest image given to Apply, as soon as that has begun: it is no older than the one by which any replica
// here leads. nil before the first.
func (s *Set) Image() *cluster.Image { return s.image.Load() }

// Get returns this broker's replica of a partition, offline ones included.
func (s *Set) Get(topic string, index int32) (*Partition, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.mu.byName[nameKey{topic, index}]
	return p, ok
}

// ByID is Get for a topic's id.
func (s *Set) ByID(topic cluster.UUID, index int32) (*Partition, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.mu.byID[idKey{topic, index}]
	return p, ok
}

func (s *Set) add(p *Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.byName[nameKey{p.topic, p.index}] = p
	s.mu.byID[idKey{p.topicID, p.index}] = p
}

// remove takes p out. The name may belong to a later topic already.
func (s *Set) remove(p *Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.byID[idKey{p.topicID, p.index}] == p {
		s.mu.removed.Add(p.traffic.Count())
	}
	delete(s.mu.byID, idKey{p.topicID, p.index})
	if name := (nameKey{p.topic, p.index}); s.mu.byName[name] == p {
		delete(s.mu.byName, name)
	}
}

// All returns the replicas, sorted by topic and number.
func (s *Set) All() []*Partition {
	s.mu.RLock()
	list := slices.Collect(maps.Values(s.mu.byID))
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Partition) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.index, b.index))
	})
	return list
}

// sinceBegun is the time as replicas are told it, in milliseconds. A wall clock that is set back would keep a follower that
// is silent in the in-sync set, and all writes waiting for it, until it has come to where it was.
func (s *Set) sinceBegun(now time.Time) int64 { return now.Sub(s.begun).Milliseconds() }

// Tick tells all replicas the time, of which the monotonic reading counts: followers that lag leave their in-sync sets, and
// those come back who were not eligible when they fetched last. Replicas that could not be opened on a full disk are tried
// again. Call it about twice per ReplicaLagMax.
func (s *Set) Tick(now time.Time) {
	lacking := false
	for _, p := range s.All() {
		p.tick(now)
		lacking = lacking || p.lacksRoom()
	}
	s.admit()
	if lacking && s.retrying.CompareAndSwap(false, true) {
		s.start(s.openLacking)
	}
}

// lacksRoom reports whether the replica's log could not be opened because the disk was full. Such a replica has taken part
// in nothing yet: opening it later is like having been slow.
func (p *Partition) lacksRoom() bool {
	return p.log == nil && errors.Is(p.Offline(), commitlog.ErrNoSpace)
}

// openLacking opens those replicas, up to the first for which there is no room still.
func (s *Set) openLacking(context.Context) {
	defer s.retrying.Store(false)
	for _, p := range s.All() {
		if !p.lacksRoom() {
			continue
		}
		s.renew(p)
		if now, there := s.ByID(p.topicID, p.index); there && now == p {
			return
		}
		s.cfg.Log.Info("replica online: there is room for it now", "topic", p.topic, "partition", p.index)
	}
}

// admit lets followers into in-sync sets that the latest image has eligible.
func (s *Set) admit() {
	for _, p := range s.All() {
		p.step(func(m *replica.Machine) replica.Effects { return m.Admit(s.eligible) })
	}
}

// eligible tells whether a broker's replicas may be in sync: it is alive, does not drain, and is in the life that is meant.
func (s *Set) eligible(id cluster.NodeID, brokerEpoch int64) bool {
	b, known := s.image.Load().Broker(id)
	return known && b.Live() && b.Epoch == brokerEpoch
}
