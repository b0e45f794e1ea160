package broker

import (
	"context"
	"errors"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetch, versions 0 to 18.
//
// v0 to v3 are given message sets of magic 0 and 1 (fetch_old.go); v3 has a limit for the whole reply (KIP-74), and from
// then on only the first partition that has any records is given more than the limits; v7 sessions (KIP-227); v9 leader
// epochs (KIP-320); v11 reads from followers (KIP-392, fetch_copy.go); v12 diverging epochs (KIP-595); v13 topic ids (KIP-516); v16 the new leader's address (KIP-951).

// fetchItem is one partition that a request reads.
type fetchItem struct {
	key        fetchKey
	want       wire.FetchPartition
	remembered *sessionPartition // its place in the session, nil without one
	told       wire.Error        // of it in the session's last reply
}

// fetchCall is one Fetch request on its way.
type fetchCall struct {
	b   *Broker
	r   *Request
	req *wire.FetchRequest
	img *cluster.Image
	// session is what the request goes on with, nil when it is a full one.
	session *fetchSession
	items   []fetchItem
	found   []fetched // one for each item
	// refused: something cannot be read here at all, and the session has not told so. A client that goes on asking for it
	// hears of it each time, and waits for the rest as it has said.
	refused bool
	// reserved is what the reply has of the memory for fetches.
	reserved int
	follower follower        // who fetches, when it is a replica
	next     <-chan struct{} // receives when the next request of a replica, or a proxy, is there; nil for clients
}

// fetched is what is known of one item.
type fetched struct {
	topic     *cluster.Topic
	partition *partition.Partition // nil when it cannot be read here at all
	read      partition.Read
	records   chunkRecords
	reply     wire.FetchPartitionReply
	counted   bool // what the replica has is known to the partition
}

func (b *Broker) startFetch(_ context.Context, r *Request) Finish {
	req := r.Body.(*wire.FetchRequest)
	if ofMetadata(req) {
		return func(ctx context.Context) wire.Response { return b.cfg.Metadata.Fetch(ctx, req) }
	}
	next := nextAfter(r.Conn, req)
	return func(ctx context.Context) wire.Response {
		return b.fetch(ctx, r, req, next)
	}
}

func (b *Broker) fetch(ctx context.Context, r *Request, req *wire.FetchRequest, next <-chan struct{}) wire.Response {
	s, items, code := b.sessions.items(req)
	if code != wire.None {
		return &wire.FetchResponse{Version: req.Version, Error: code}
	}
	c := &fetchCall{b: b, r: r, req: req, img: b.cfg.Metadata.Image(), session: s, items: items, next: next}
	c.follower = followerOf(c.img, req)
	c.found = make([]fetched, len(items))
	c.resolve(0)
	c.readEnough(ctx)
	c.convert()
	return c.respond(s)
}

// items finds the session of a request and what to read. The session is nil when the request is a full one: a new
// session is made, if one is wanted, when the first reply is known.
func (c *sessionCache) items(req *wire.FetchRequest) (*fetchSession, []fetchItem, wire.Error) {
	if req.Version < 7 || req.SessionEpoch == sessionEpochFull || req.SessionEpoch == sessionEpochFinal {
		if req.Version >= 7 && req.SessionID != 0 {
			c.remove(req.SessionID)
		}
		return nil, requestedItems(req), wire.None
	}
	s, ok := c.get(req.SessionID)
	if !ok {
		return nil, nil, wire.FetchSessionIDNotFound
	}
	items, size, code := s.begin(req)
	if code != wire.None {
		return nil, nil, code
	}
	if size == 0 {
		c.remove(s.id)
		return nil, nil, wire.None
	}
	c.used(s, size)
	return s, items, wire.None
}

// requestedItems returns what a request names, in its order, each partition once: the last mention counts.
func requestedItems(req *wire.FetchRequest) []fetchItem {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	items := make([]fetchItem, 0, n)
	at := make(map[fetchKey]int, n)
	for i := range req.Topics {
		t := &req.Topics[i]
		for _, want := range t.Partitions {
			key := fetchKey{topic: t.Topic, topicID: t.TopicID, partition: want.Partition}
			if earlier, named := at[key]; named {
				items[earlier].want = want
				continue
			}
			at[key] = len(items)
			items = append(items, fetchItem{key: key, want: want})
		}
	}
	return items
}

// resolve finds the partitions of the items from the given one on. Those that cannot be read have their error in the
// reply.
func (c *fetchCall) resolve(from int) {
	for i := from; i < len(c.items); i++ {
		f, key := &c.found[i], &c.items[i].key
		f.reply = wire.NewFetchPartitionReply(key.partition)
		ref := topicRef{name: key.topic, id: key.topicID, byID: fetchUsesIDs(c.req)}
		f.topic, f.reply.Error = ref.find(c.img)
		if f.reply.Error == wire.None {
			f.partition, f.reply.Error = c.b.replica(f.topic, key.partition)
		}
		if c.follower.stale && f.reply.Error == wire.None {
			f.partition, f.reply.Error = nil, wire.NotLeaderOrFollower
		}
		c.refused = c.refused || f.partition == nil && f.reply.Error != c.items[i].told
	}
	if c.session != nil {
		c.session.watch(c.items[from:], c.found[from:])
	}
}

// readEnough reads until the client's least number of bytes is there, its patience ends, or something is to be told at
// once. One waiter watches all partitions.
func (c *fetchCall) readEnough(ctx context.Context) {
	if c.readAll() {
		return
	}
	changed, end := c.changes()
	defer end()
	timer := time.NewTimer(time.Duration(c.req.MaxWaitMillis) * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			if c.awaitsChanges() {
				c.addChanged()
			}
			if c.readAll() {
				return
			}
		case <-timer.C:
			return
		case <-c.next:
			return
		case <-ctx.Done():
			return
		}
	}
}

// changes returns what receives when the partitions have changed since they were read.
func (c *fetchCall) changes() (changed <-chan struct{}, end func()) {
	if c.awaitsChanges() {
		return c.session.copied.changes.C, func() {}
	}
	w := partition.NewWaiter()
	for i := range c.found {
		if f := &c.found[i]; f.partition != nil {
			w.Watch(f.partition, f.read.Version)
		}
	}
	return w.C, w.Close
}

// readAll reads every partition within the limits and reports whether the reply may leave.
func (c *fetchCall) readAll() bool {
	wanted := c.bytesMax()
	budget := c.reserve(wanted)
	bytes, readable, urgent := 0, 0, false
	start := c.firstToRead()
	for n := range c.found {
		i := (start + n) % len(c.found)
		f := &c.found[i]
		if f.partition == nil {
			continue
		}
		readable++
		// Only v3 and later allow a reply that holds nothing of a partition whose next batch is larger than its limit.
		minOne := bytes == 0 || (c.req.Version < 3 && bytes < budget)
		c.read(f, &c.items[i].want, budget-bytes, minOne && !c.reportsOnly())
		bytes += f.read.Chunk.Size()
		urgent = urgent || f.reply.Error != wire.None || f.reply.Forgotten.Copy != 0 || f.read.Diverging != nil || f.reply.PreferredReadReplica >= 0 || c.isNewsToFollower(&c.items[i], f)
	}
	c.keep(bytes)
	enough := bytes >= min(int(c.req.MinBytes), wanted) || bytes > 0 && budget < int(c.req.MinBytes)
	nothing := readable == 0 && !(c.awaitsChanges() && len(c.items) == 0)
	return enough || urgent || nothing || c.refused || c.req.MaxWaitMillis <= 0
}

// reserve takes memory for the reply, in the place of what it has.
func (c *fetchCall) reserve(n int) int {
	if c.isReplica() {
		return n // of which there are few, and clients must not hold them up
	}
	c.b.fetchMemory.Release(c.reserved)
	c.reserved = c.b.fetchMemory.Reserve(n)
	return c.reserved
}

// keep gives back what of the reserved memory the reply does not need. A first batch may need more than was granted.
func (c *fetchCall) keep(n int) {
	if c.isReplica() {
		return
	}
	c.b.fetchMemory.Release(c.reserved - n)
	c.reserved = n
}

// firstToRead returns the index of the item to begin with. Clients up to v2 cannot limit the whole reply and do not
// rotate their partitions, so that with them the later ones could starve.
func (c *fetchCall) firstToRead() int {
	if c.req.Version >= 3 || len(c.found) == 0 {
		return 0
	}
	return int(c.b.rotation.Add(1)) % len(c.found)
}

// bytesMax bounds the record bytes of the reply, whatever the client asks for.
func (c *fetchCall) bytesMax() int {
	return max(min(int(c.req.MaxBytes), c.b.cfg.Settings.FetchBytesMax), 0)
}

// read reads one partition and fills in its reply, but for the records.
func (c *fetchCall) read(f *fetched, want *wire.FetchPartition, budget int, minOne bool) {
	f.read.Chunk.Release()
	if c.tellsLoss(want) {
		c.forget(f, want)
		return
	}
	maxBytes, heldBack := max(min(int(want.PartitionMaxBytes), budget), 0), c.isReplica() && f.partition.HoldsBack(c.req.ReplicaID)
	if heldBack {
		maxBytes = 0
	}
	var err error
	f.read, err = f.partition.Read(partition.ReadOptions{
		Offset:             want.FetchOffset,
		MaxBytes:           maxBytes,
		MinOne:             minOne && !heldBack,
		Isolation:          partition.Isolation(c.req.IsolationLevel),
		CurrentLeaderEpoch: want.CurrentLeaderEpoch,
		LastFetchedEpoch:   want.LastFetchedEpoch,
		ReplicaID:          c.req.ReplicaID,
		AnyCopy:            c.anyCopy(),
	})
	r := &f.reply
	*r = wire.NewFetchPartitionReply(want.Partition)
	r.Error = c.code(f, err)
	if r.Error == wire.OffsetOutOfRange {
		r.LogStartOffset = f.read.LogStartOffset // where a follower begins anew
	}
	if r.Error != wire.None {
		return
	}
	r.PreferredReadReplica = c.preferredCopy(f, want)
	r.HighWatermark, r.LastStableOffset, r.LogStartOffset = f.read.HighWatermark, f.read.LastStableOffset, f.read.LogStartOffset
	if d := f.read.Diverging; d != nil {
		r.DivergingEpoch = wire.EpochEnd{Epoch: d.Epoch, EndOffset: d.EndOffset}
	} else {
		c.countFollower(f, want)
	}
	if partition.Isolation(c.req.IsolationLevel) == partition.ReadCommitted {
		r.AbortedTransactions = []wire.AbortedTransaction{}
	}
	if r.PreferredReadReplica >= 0 { // what the client asks of that one next
		f.read.Chunk.Release()
		f.read.Chunk = commitlog.Chunk{}
		return
	}
	f.records = chunkRecords{Chunk: &f.read.Chunk}
	r.Records = &f.records
}

// code maps what reading a partition came to, as far as clients of the version know the codes.
func (c *fetchCall) code(f *fetched, err error) wire.Error {
	code := c.b.fetchError(err)
	s := f.partition.Settings()
	switch {
	case code == wire.KafkaStorageError && c.req.Version < storageErrorFetchVersion:
		return wire.NotLeaderOrFollower // which they retry
	case code == wire.OffsetNotAvailable && c.req.Version < copyFetchVersion:
		return wire.NotLeaderOrFollower // whoever cannot read from followers need not know the code
	case code == wire.None && c.req.Version < zstdFetchVersion && s.Recompress && s.Codec == record.Zstd:
		return wire.UnsupportedCompressionType
	}
	return code
}

const (
	storageErrorFetchVersion = 6  // KIP-112
	zstdFetchVersion         = 10 // KIP-110
)

// respond makes the reply of what was read.
func (c *fetchCall) respond(s *fetchSession) wire.Response {
	reply := &fetchReply{FetchResponse: wire.FetchResponse{Version: c.req.Version}, b: c.b, found: c.found, reserved: c.reserved}
	replies := make([]wire.FetchPartitionReply, len(c.found))
	for i := range c.found {
		c.count(&c.found[i])
		c.tellLeader(&reply.FetchResponse, &c.found[i])
		replies[i] = c.found[i].reply
	}
	var isNews []bool
	c.markOpen(s)
	switch {
	case s != nil:
		reply.SessionID = s.id
		if isNews, reply.Error = s.news(c.req.SessionEpoch, c.items, replies); reply.Error != wire.None {
			return reply
		}
	case c.req.Version >= 7 && c.req.SessionEpoch == sessionEpochFull && c.mayHaveSession():
		if s = c.b.sessions.create(c.items, fetchUsesIDs(c.req), c.req.ReplicaID); s != nil {
			s.first(c.items, replies)
			s.watch(c.items, c.found)
			c.markOpen(s)
			reply.SessionID = s.id
		}
	}
	reply.Topics = groupByTopic(c.items, replies, isNews)
	return reply
}

// count notes what a consumer, or a replica, got of a partition.
func (c *fetchCall) count(f *fetched) {
	switch {
	case f.partition == nil:
		return
	case c.isReplica():
		f.partition.Served(f.read.Chunk.Size())
		return
	}
	traffic := f.partition.Traffic()
	traffic.Fetches.Add(1)
	traffic.BytesOut.Add(int64(f.read.Chunk.Size()))
	if f.reply.Error != wire.None {
		traffic.FetchesFailed.Add(1)
	}
	if _, old := oldMagic(c.req.Version); old && f.read.Chunk.Size() > 0 {
		traffic.FetchesOfOldMessageFormat.Add(1)
	}
}

// tellLeader adds the new leader to the reply of a partition that has moved.
func (c *fetchCall) tellLeader(resp *wire.FetchResponse, f *fetched) {
	if !movesClient(f.reply.Error) {
		return
	}
	f.reply.CurrentLeader = c.b.leaderOf(f.topic, f.reply.Partition)
	resp.NodeEndpoints = nodeEndpoints(resp.NodeEndpoints, c.img, c.r.Conn.Listener, f.reply.CurrentLeader)
}

// groupByTopic arranges partitions under their topics, in the order of their first mention. include, when not nil, says
// which are part of the reply.
func groupByTopic(items []fetchItem, replies []wire.FetchPartitionReply, include []bool) []wire.FetchTopicReply {
	var topics []wire.FetchTopicReply
	at := make(map[fetchKey]int)
	for i := range items {
		if include != nil && !include[i] {
			continue
		}
		key := fetchKey{topic: items[i].key.topic, topicID: items[i].key.topicID}
		n, ok := at[key]
		if !ok {
			n = len(topics)
			at[key] = n
			topics = append(topics, wire.FetchTopicReply{Topic: key.topic, TopicID: key.topicID})
		}
		topics[n].Partitions = append(topics[n].Partitions, replies[i])
	}
	return topics
}

// chunkRecords gives a partition's records to the reply and remembers when they could not be read.
type chunkRecords struct {
	*commitlog.Chunk
	err error
}

// AppendTo implements wire.RecordSource.
func (c *chunkRecords) AppendTo(dst []byte) ([]byte, error) {
	dst, c.err = c.Chunk.AppendTo(dst)
	return dst, c.err
}

// fetchReply is a FetchResponse that lets go of the log's files once it is encoded, and of its memory once it has left.
type fetchReply struct {
	wire.FetchResponse
	b        *Broker
	found    []fetched
	reserved int
}

// Release gives back what the reply holds. It is called when the reply has left, or instead of AppendTo when nobody is
// there to read it.
func (r *fetchReply) Release() {
	release(r.found)
	r.b.fetchMemory.Release(r.reserved)
}

// AppendTo implements wire.Response. Partitions whose records turn out to be unreadable become errors; the others are
// encoded again.
func (r *fetchReply) AppendTo(dst []byte) ([]byte, error) {
	defer release(r.found)
	for {
		out, err := r.FetchResponse.AppendTo(dst)
		if err == nil || !r.dropUnreadable() {
			return out, err
		}
	}
}

func (r *fetchReply) dropUnreadable() (dropped bool) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			c, ok := p.Records.(*chunkRecords)
			if !ok || c.err == nil {
				continue
			}
			code := r.b.fetchError(c.err)
			*p = wire.NewFetchPartitionReply(p.Partition)
			p.Error, dropped = code, true
		}
	}
	return dropped
}

func release(found []fetched) {
	for i := range found {
		found[i].read.Chunk.Release()
	}
}

// fetchError maps what reading a partition can fail with.
func (b *Broker) fetchError(err error) wire.Error {
	var offline *partition.OfflineError
	switch {
	case err == nil:
		return wire.None
	case errors.Is(err, partition.ErrNotLeader), errors.Is(err, partition.ErrUnknownReplica), errors.Is(err, commitlog.ErrTruncated):
		return wire.NotLeaderOrFollower
	case errors.Is(err, partition.ErrNotForgotten):
		return wire.ReplicaNotAvailable
	case errors.Is(err, partition.ErrFencedLeaderEpoch):
		return wire.FencedLeaderEpoch
	case errors.Is(err, partition.ErrUnknownLeaderEpoch):
		return wire.UnknownLeaderEpoch
	case errors.Is(err, partition.ErrOffsetOutOfRange):
		return wire.OffsetOutOfRange
	case errors.Is(err, partition.ErrOffsetNotAvailable):
		return wire.OffsetNotAvailable
	case errors.Is(err, commitlog.ErrCorrupt):
		return wire.CorruptMessage
	case errors.As(err, &offline), errors.Is(err, commitlog.ErrStorage), errors.Is(err, commitlog.ErrClosed):
		return wire.KafkaStorageError
	}
	return b.failed("Fetch", err)
}
