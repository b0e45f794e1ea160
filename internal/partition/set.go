package partition

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
)

// Config says how the replicas of a broker behave.
type Config struct {
	NodeID cluster.NodeID
	Dir    *commitlog.Dir
	// Static is the broker's own configuration, by Kafka's keys; what images say of brokers and topics goes before it.
	Static map[string]string
	// ReplicaLagMax is replica.lag.time.max.ms, 30 s when it is 0.
	ReplicaLagMax time.Duration
	// AlterISR asks the controller for another in-sync set. It must not block. nil: nobody asks.
	AlterISR func(*Partition, ISRChange)
	Now      func() time.Time // time.Now when nil
	Log      *slog.Logger     // discarded when nil
}

const replicaLagMaxDefault = 30 * time.Second

// Set holds the replicas of this broker.
type Set struct {
	cfg Config

	applying sync.Mutex // images are applied one after the other
	swept    bool       // folders without a topic have been looked for; guarded by applying

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
	s := &Set{cfg: cfg}
	s.mu.byName = make(map[nameKey]*Partition)
	s.mu.byID = make(map[idKey]*Partition)
	return s
}

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

// Tick tells all replicas the time: followers that lag leave their in-sync sets. Call it about twice per ReplicaLagMax.
func (s *Set) Tick(now time.Time) {
	for _, p := range s.All() {
		p.tick(now)
	}
}
