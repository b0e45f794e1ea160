package partition

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// fetchSession is the follower's half of an incremental fetch session (KIP-227). The zero value has none: the next request
// names all partitions and asks for one.
type fetchSession struct{ id, epoch int32 }

// answered takes note of an answer without an error.
func (s *fetchSession) answered(id int32) {
	switch {
	case s.epoch == 0 && id != 0:
		*s = fetchSession{id: id, epoch: 1}
	case s.epoch == math.MaxInt32:
		s.epoch = 1
	case s.epoch > 0:
		s.epoch++
	}
}

const (
	sessionEpochFinal int32 = -1 // the request is not part of a session
	restMax                 = time.Hour
)

// request builds the next request. It returns none when there is nothing to fetch, and how long to wait then, unless
// something changes.
func (f *fetcher) request(now time.Time) (*wire.FetchRequest, time.Duration) {
	f.mu.Lock()
	look := f.mu.changed
	f.mu.changed = nil
	f.mu.polling = true // from here on, what changes is not in this request
	for _, x := range look {
		x.queued = false
	}
	f.mu.Unlock()

	f.begin()
	wait := restMax
	delayed := f.delayed
	f.delayed = nil
	for _, x := range append(delayed, look...) {
		if left := f.look(x, now); left > 0 {
			wait = min(wait, left)
		}
	}
	if len(f.byKey) == 0 {
		f.answered()
		f.session = fetchSession{}
		return nil, wait
	}
	if f.session.epoch == 0 {
		f.nameAll()
	}
	sortTopics(f.req.Topics)
	f.req.MaxWaitMillis = int32(min(f.cfg.Replication.WaitMax, wait+time.Millisecond).Milliseconds()) // rounded up
	return &f.req, 0
}

// begin makes the request empty.
func (f *fetcher) begin() {
	topics, forgotten := f.req.Topics[:0], f.req.ForgottenTopics[:0]
	f.req = wire.FetchRequest{
		Version: wire.FetchVersion, ReplicaID: f.cfg.NodeID, ReplicaEpoch: f.cfg.BrokerEpoch(),
		MinBytes: f.cfg.Replication.BytesMin, MaxBytes: f.cfg.Replication.ResponseBytesMax,
		SessionID: f.session.id, SessionEpoch: f.session.epoch, Topics: topics, ForgottenTopics: forgotten,
	}
}

// look puts a partition that has changed into the request or takes it out of the session. It returns how long the
// partition has to wait after an error.
func (f *fetcher) look(x *followed, now time.Time) time.Duration {
	f.mu.Lock()
	gone := x.gone
	left := x.retryAt.Sub(now)
	if x.anew || left <= 0 {
		x.anew, x.retryAt, left = false, time.Time{}, 0
	}
	f.mu.Unlock()
	want, follows := x.partition.position()
	if follows && want.FetchOffset != wire.LostOffset {
		left = max(left, x.partition.heldBack(now))
	}
	switch {
	case gone || !follows:
		f.forget(x)
		return 0
	case left > 0:
		f.forget(x)
		if !slices.Contains(f.delayed, x) {
			f.delayed = append(f.delayed, x)
		}
		return left
	}
	want.PartitionMaxBytes = f.cfg.Replication.PartitionBytesMax
	if x.inSession && x.sent == want && !x.refused {
		return 0
	}
	key := idKey{x.partition.topicID, x.partition.index}
	if x.inSession && f.byKey[key] != x {
		return 0 // a later replica of the same partition has taken its place
	}
	x.sent, x.inSession, x.refused, f.byKey[key] = want, true, false, x
	if f.session.epoch > 0 {
		f.req.ForgottenTopics = remember(f.req.ForgottenTopics, key)
		f.req.Topics = name(f.req.Topics, key, want)
	}
	return 0
}

// remember takes a partition out of those that a request forgets. One that was given up and taken up again, as when its
// leader has changed twice, would be in both lists: the leader forgets it last, and it would never be fetched again.
func remember(forgotten []wire.ForgottenTopic, key idKey) []wire.ForgottenTopic {
	for i := range forgotten {
		if t := &forgotten[i]; t.TopicID == key.topic {
			t.Partitions = slices.DeleteFunc(t.Partitions, func(index int32) bool { return index == key.index })
		}
	}
	return slices.DeleteFunc(forgotten, func(t wire.ForgottenTopic) bool { return len(t.Partitions) == 0 })
}

// forget takes a partition out of the session.
func (f *fetcher) forget(x *followed) {
	key := idKey{x.partition.topicID, x.partition.index}
	if !x.inSession || f.byKey[key] != x {
		x.inSession = false
		return
	}
	x.inSession = false
	delete(f.byKey, key)
	if f.session.epoch == 0 {
		return
	}
	for i := range f.req.ForgottenTopics {
		if t := &f.req.ForgottenTopics[i]; t.TopicID == key.topic {
			t.Partitions = append(t.Partitions, key.index)
			return
		}
	}
	f.req.ForgottenTopics = append(f.req.ForgottenTopics, wire.ForgottenTopic{TopicID: key.topic, Partitions: []int32{key.index}})
}

// nameAll puts every partition into the request, which has no session to remember them.
func (f *fetcher) nameAll() {
	for key, x := range f.byKey {
		f.req.Topics = name(f.req.Topics, key, x.sent)
	}
}

// name adds a partition as a topic of its own; sortTopics brings those of one topic together.
func name(topics []wire.FetchTopic, key idKey, want wire.FetchPartition) []wire.FetchTopic {
	if n := len(topics); n < cap(topics) {
		topics = topics[:n+1]
		topics[n].TopicID, topics[n].Partitions = key.topic, append(topics[n].Partitions[:0], want)
		return topics
	}
	return append(topics, wire.FetchTopic{TopicID: key.topic, Partitions: []wire.FetchPartition{want}})
}

// sortTopics orders a request: the order is that in which the leader reads, first to last.
func sortTopics(topics []wire.FetchTopic) {
	slices.SortFunc(topics, func(a, b wire.FetchTopic) int {
		return cmp.Or(bytes.Compare(a.TopicID[:], b.TopicID[:]), cmp.Compare(a.Partitions[0].Partition, b.Partitions[0].Partition))
	})
}
