package broker

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetch sessions (KIP-227): a client names its partitions once, and later only what changes; the broker answers only
// with what is new. The rules are Kafka's, so that a client cannot tell the difference.

const (
	sessionSafeTime = 2 * time.Minute // min.incremental.fetch.session.eviction.ms

	sessionEpochFull  int32 = 0  // the request names all partitions and wants a new session
	sessionEpochFinal int32 = -1 // the request names all partitions and wants none
)

// fetchKey names a partition in a session: by the topic's id when the session uses ids, else by its name.
type fetchKey struct {
	topic     string
	topicID   cluster.UUID
	partition int32
}

// sessionPartition is what a session remembers of a partition: what the client asks for, and what it was told last.
type sessionPartition struct {
	key           fetchKey
	want          wire.FetchPartition
	highWatermark int64 // as in the last reply, -1 before and after an error
	logStart      int64
	err           wire.Error           // as in the last reply
	partition     *partition.Partition // that is watched for a replica
}

// fetchSession is the memory of one session. The client sends one request at a time; one that does not is told so by the
// epoch.
type fetchSession struct {
	id      int32          // set once
	usesIDs bool           // set once
	replica cluster.NodeID // set once: whose it is, negative for a client's
	created time.Time

	// Guarded by the cache's lock.
	lastUsed time.Time
	size     int

	mu struct {
		sync.Mutex
		epoch int32 // of the next request
		// partitions are in the order of reading: those that have just sent records go last, so that none starves.
		partitions []*sessionPartition
		byKey      map[fetchKey]*sessionPartition
	}

	copied *copiedPartitions // what a replica's session reads; nil for a client's
}

// sessionCache bounds the memory of all sessions by their number.
type sessionCache struct {
	slots int
	now   func() time.Time

	mu struct {
		sync.Mutex
		byID      map[int32]*fetchSession
		byReplica map[cluster.NodeID]*fetchSession // the newest of each
	}
}

func newSessionCache(slots int, now func() time.Time) *sessionCache {
	c := &sessionCache{slots: slots, now: now}
	c.mu.byID = make(map[int32]*fetchSession)
	c.mu.byReplica = make(map[cluster.NodeID]*fetchSession)
	return c
}

func (c *sessionCache) get(id int32) (*fetchSession, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.mu.byID[id]
	return s, ok
}

func (c *sessionCache) remove(id int32) {
	c.mu.Lock()
	s := c.mu.byID[id]
	c.removeLocked(id)
	c.mu.Unlock()
	if s != nil {
		s.close()
	}
}

func (c *sessionCache) removeLocked(id int32) {
	if s := c.mu.byID[id]; s != nil && c.mu.byReplica[s.replica] == s {
		delete(c.mu.byReplica, s.replica)
	}
	delete(c.mu.byID, id)
}

// used notes that a session serves a request now, with so many partitions.
func (c *sessionCache) used(s *fetchSession, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.lastUsed, s.size = c.now(), size
}

// create makes a session of the items, which from then on are remembered by it. It returns nil when the cache is full of
// sessions that are in use and not smaller: the client then goes on without one. A replica has one session, beyond the
// bound, in the place of its last one.
func (c *sessionCache) create(items []fetchItem, usesIDs bool, replica cluster.NodeID) *fetchSession {
	if len(items) == 0 {
		return nil
	}
	var former *fetchSession
	defer func() { former.close() }()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if replica < 0 && len(c.mu.byID)-len(c.mu.byReplica) >= c.slots && !c.evictLocked(len(items), now) {
		return nil
	}
	s := &fetchSession{id: c.freeIDLocked(), usesIDs: usesIDs, replica: replica, created: now, lastUsed: now, size: len(items)}
	if replica >= 0 {
		if former = c.mu.byReplica[replica]; former != nil {
			delete(c.mu.byID, former.id)
		}
		c.mu.byReplica[replica] = s
		s.copied = newCopiedPartitions()
	}
	s.mu.epoch = 1
	s.mu.partitions = make([]*sessionPartition, len(items))
	s.mu.byKey = make(map[fetchKey]*sessionPartition, len(items))
	for i := range items {
		p := newSessionPartition(items[i])
		items[i].remembered = p
		s.mu.partitions[i], s.mu.byKey[p.key] = p, p
	}
	c.mu.byID[s.id] = s
	return s
}

func (c *sessionCache) freeIDLocked() int32 {
	for {
		id := rand.Int32N(math.MaxInt32) + 1
		if _, taken := c.mu.byID[id]; !taken {
			return id
		}
	}
}

// evictLocked makes room for a session of size partitions: the one unused for longest, if that is longer than the safe
// time, else the smallest that has lived longer than the safe time and is smaller than the new one.
func (c *sessionCache) evictLocked(size int, now time.Time) bool {
	var idle, small *fetchSession
	for _, s := range c.mu.byID {
		if s.replica >= 0 {
			continue
		}
		if idle == nil || before(s.lastUsed, idle.lastUsed, s.id, idle.id) {
			idle = s
		}
		if now.Sub(s.created) > sessionSafeTime && (small == nil || s.size < small.size || s.size == small.size && s.id < small.id) {
			small = s
		}
	}
	switch {
	case idle != nil && now.Sub(idle.lastUsed) > sessionSafeTime:
		delete(c.mu.byID, idle.id)
	case small != nil && small.size < size:
		delete(c.mu.byID, small.id)
	default:
		return false
	}
	return true
}

// before orders by time, then by id, so that the choice does not depend on the order of a map.
func before(a, b time.Time, idA, idB int32) bool {
	if a.Equal(b) {
		return idA < idB
	}
	return a.Before(b)
}

// begin takes over what an incremental request changes and returns the partitions to read, in order, and how many the
// session has. The error is a code for the whole reply.
func (s *fetchSession) begin(req *wire.FetchRequest) (items []fetchItem, size int, code wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch != req.SessionEpoch {
		return nil, 0, wire.InvalidFetchSessionEpoch
	}
	if s.usesIDs != fetchUsesIDs(req) {
		return nil, 0, wire.FetchSessionTopicIDError
	}
	s.mu.epoch = nextSessionEpoch(s.mu.epoch)
	named := requestedItems(req)
	for i := range named {
		item := &named[i]
		if item.remembered = s.mu.byKey[item.key]; item.remembered != nil {
			item.remembered.want, item.told = item.want, item.remembered.err
			continue
		}
		item.remembered = newSessionPartition(*item)
		s.mu.byKey[item.key] = item.remembered
		s.mu.partitions = append(s.mu.partitions, item.remembered)
	}
	s.forgetLocked(req)
	if s.copied != nil {
		named = slices.DeleteFunc(named, func(i fetchItem) bool { return s.mu.byKey[i.key] != i.remembered }) // by the same request
		return s.changedLocked(named), len(s.mu.partitions), wire.None
	}
	items = make([]fetchItem, len(s.mu.partitions))
	for i, p := range s.mu.partitions {
		items[i] = fetchItem{key: p.key, want: p.want, remembered: p, told: p.err}
	}
	return items, len(items), wire.None
}

func newSessionPartition(item fetchItem) *sessionPartition {
	return &sessionPartition{key: item.key, want: item.want, highWatermark: -1, logStart: -1}
}

func (s *fetchSession) forgetLocked(req *wire.FetchRequest) {
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, partition := range t.Partitions {
			key := fetchKey{topic: t.Topic, topicID: t.TopicID, partition: partition}
			if p := s.mu.byKey[key]; p != nil {
				s.watchLocked(p, nil)
			}
			delete(s.mu.byKey, key)
		}
	}
	if len(req.ForgottenTopics) > 0 {
		s.mu.partitions = slices.DeleteFunc(s.mu.partitions, func(p *sessionPartition) bool { return s.mu.byKey[p.key] != p })
	}
}

// nextSessionEpoch is the epoch that a session has after the request with the given one.
func nextSessionEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// news returns which of the replies to an incremental request say anything new, and remembers what is said. epoch is the
// request's; a session that has gone on meanwhile is left alone, with an error for the whole reply.
func (s *fetchSession) news(epoch int32, items []fetchItem, replies []wire.FetchPartitionReply) ([]bool, wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch != nextSessionEpoch(epoch) {
		return nil, wire.InvalidFetchSessionEpoch
	}
	isNews := make([]bool, len(replies))
	for i := range items {
		isNews[i] = items[i].remembered.note(&replies[i])
	}
	s.moveBackLocked(items, replies)
	return isNews, wire.None
}

// first remembers what the first reply of a session says.
func (s *fetchSession) first(items []fetchItem, replies []wire.FetchPartitionReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range items {
		items[i].remembered.note(&replies[i])
	}
	s.moveBackLocked(items, replies)
}

// note remembers what a reply says and reports whether it is news.
func (p *sessionPartition) note(r *wire.FetchPartitionReply) bool {
	isNews := hasRecords(r) ||
		r.HighWatermark != p.highWatermark || r.LogStartOffset != p.logStart ||
		r.Error != wire.None || r.Forgotten.Copy != 0 || r.DivergingEpoch != wire.NoEpochEnd || r.PreferredReadReplica >= 0
	p.highWatermark, p.logStart, p.err = r.HighWatermark, r.LogStartOffset, r.Error
	if r.Error != wire.None {
		p.highWatermark = -1 // so that recovery from the error is news
	}
	return isNews
}

// moveBackLocked puts partitions that have just sent records behind the others.
func (s *fetchSession) moveBackLocked(items []fetchItem, replies []wire.FetchPartitionReply) {
	if s.copied != nil {
		return
	}
	sent := make(map[*sessionPartition]bool)
	for i := range items {
		if hasRecords(&replies[i]) {
			sent[items[i].remembered] = true
		}
	}
	if len(sent) == 0 || len(sent) == len(s.mu.partitions) {
		return
	}
	slices.SortStableFunc(s.mu.partitions, func(a, b *sessionPartition) int {
		switch {
		case sent[a] == sent[b]:
			return 0
		case sent[a]:
			return 1
		default:
			return -1
		}
	})
}

func hasRecords(r *wire.FetchPartitionReply) bool { return r.Records != nil && r.Records.Size() > 0 }

// fetchUsesIDs tells whether a request names topics by id.
func fetchUsesIDs(req *wire.FetchRequest) bool { return req.Version >= 13 }
