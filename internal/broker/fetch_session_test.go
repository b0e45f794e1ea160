package broker

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

func (n *node) appendInternal(p *partition.Partition, batch []byte) error {
	a, err := p.Append(batch, partition.AppendOptions{Origin: commitlog.Internal, LeaderEpoch: partition.AnyEpoch})
	if err != nil {
		return err
	}
	return p.Wait(n.t.Context(), partition.Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1})
}

// summary writes a fetch reply as "topic-partition:values|error" in its order.
func (n *node) summary(resp *kmsg.FetchResponse) string {
	var list []string
	for _, topic := range resp.Topics {
		name := topic.Topic
		if t, ok := n.quorum.Image().TopicByID(topic.TopicID); ok {
			name = t.Name
		}
		for _, p := range topic.Partitions {
			what := values(n.t, p.RecordBatches)
			if p.ErrorCode != 0 {
				what = wire.Error(p.ErrorCode).Name()
			}
			list = append(list, fmt.Sprintf("%s-%d:%s", name, p.Partition, what))
		}
	}
	return strings.Join(list, " ")
}

// session begins a session over partitions 0 of the topics.
func (n *node) session(version int16, topics ...string) *kmsg.FetchResponse {
	n.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch = version, 1<<20, sessionEpochFull
	for _, topic := range topics {
		n.alsoFetch(req, topic, 0, 0)
	}
	resp := n.fetch(req)
	if resp.ErrorCode != 0 {
		n.t.Fatalf("session: %v", wire.Error(resp.ErrorCode))
	}
	return resp
}

func next(version int16, id, epoch int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionID, req.SessionEpoch = version, 1<<20, id, epoch
	return req
}

func TestSessionTellsOnlyWhatIsNew(t *testing.T) {
	for _, version := range []int16{7, 12, 13, 18} {
		n := start(t)
		n.create("a", 1)
		n.create("b", 1)
		n.produce("a", "1")
		full := n.session(version, "a", "b")
		if got := n.summary(full); got != "a-0:1 b-0:" || full.SessionID == 0 {
			t.Fatalf("version %d: full reply %q of session %d", version, got, full.SessionID)
		}
		req := next(version, full.SessionID, 1)
		n.alsoFetch(req, "a", 0, 1)
		if resp := n.fetch(req); n.summary(resp) != "" || resp.SessionID != full.SessionID {
			t.Errorf("version %d: nothing new: %q", version, n.summary(resp))
		}
		n.produce("b", "2")
		if got := n.summary(n.fetch(next(version, full.SessionID, 2))); got != "b-0:2" {
			t.Errorf("version %d: after produce: %q", version, got)
		}
		n.produce("a", "3")
		req = next(version, full.SessionID, 3)
		n.alsoFetch(req, "b", 0, 1)
		if got := n.summary(n.fetch(req)); got != "a-0:3" {
			t.Errorf("version %d: with an offset changed: %q", version, got)
		}
		// The log's start is news without any records.
		req = next(version, full.SessionID, 4)
		n.alsoFetch(req, "a", 0, 2)
		n.fetch(req)
		n.deleteRecords("a", 2)
		if got := n.summary(n.fetch(next(version, full.SessionID, 5))); got != "a-0:" {
			t.Errorf("version %d: after the start moved: %q", version, got)
		}
	}
}

// crabka#208, platformatic#321: topics that leave and enter a session.
func TestSessionForgetsAndAdds(t *testing.T) {
	n := start(t)
	for _, topic := range []string{"a", "b", "c"} {
		n.create(topic, 1)
	}
	id := n.session(12, "a", "b").SessionID
	for _, topic := range []string{"a", "b", "c"} {
		n.produce(topic, topic)
	}
	req := next(12, id, 1)
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "a", Partitions: []int32{0}}}
	n.alsoFetch(req, "c", 0, 0)
	if got := n.summary(n.fetch(req)); got != "b-0:b c-0:c" {
		t.Errorf("after forgetting a and adding c: %q", got)
	}
	req = next(12, id, 2)
	req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "b", Partitions: []int32{0}}, {Topic: "c", Partitions: []int32{0}}}
	if resp := n.fetch(req); resp.ErrorCode != 0 || n.summary(resp) != "" {
		t.Errorf("empty session: %v, %q", wire.Error(resp.ErrorCode), n.summary(resp))
	}
	wantCode(t, "a session that became empty", n.fetch(next(12, id, 3)).ErrorCode, wire.FetchSessionIDNotFound)
}

func TestSessionErrors(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	id := n.session(12, "a").SessionID
	wantCode(t, "unknown session", n.fetch(next(12, id+1, 1)).ErrorCode, wire.FetchSessionIDNotFound)
	wantCode(t, "epoch skipped", n.fetch(next(12, id, 2)).ErrorCode, wire.InvalidFetchSessionEpoch)
	wantCode(t, "names to ids", n.fetch(next(13, id, 1)).ErrorCode, wire.FetchSessionTopicIDError)
	wantCode(t, "right epoch", n.fetch(next(12, id, 1)).ErrorCode, wire.None)
	wantCode(t, "epoch repeated", n.fetch(next(12, id, 1)).ErrorCode, wire.InvalidFetchSessionEpoch)
	final := n.fetchRequest(12, "a", 0, 0)
	final.SessionID = id // epoch -1: ends the session
	if resp := n.fetch(final); resp.SessionID != 0 {
		t.Errorf("session %d after its end", resp.SessionID)
	}
	wantCode(t, "ended session", n.fetch(next(12, id, 2)).ErrorCode, wire.FetchSessionIDNotFound)
}

// franz-go#1426, kop#530: no stale records, no silent stall.
func TestSessionOverARecreatedTopic(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	n.produce("a", "old", "old")
	byName, byID := n.session(12, "a").SessionID, n.session(13, "a").SessionID
	n.remove("a")
	if got := n.summary(n.fetch(next(12, byName, 1))); got != "a-0:UNKNOWN_TOPIC_OR_PARTITION" {
		t.Errorf("by name while deleted: %q", got)
	}
	n.create("a", 1)
	n.produce("a", "new")
	req := next(12, byName, 2)
	n.alsoFetch(req, "a", 0, 2)
	if got := n.summary(n.fetch(req)); got != "a-0:OFFSET_OUT_OF_RANGE" {
		t.Errorf("by name at an old offset: %q", got)
	}
	for epoch := int32(1); epoch < 3; epoch++ {
		resp := n.fetch(next(13, byID, epoch))
		if len(resp.Topics) != 1 || wire.Error(resp.Topics[0].Partitions[0].ErrorCode) != wire.UnknownTopicID {
			t.Errorf("by id, epoch %d: %q", epoch, n.summary(resp))
		}
	}
}

// An error is repeated, and so is its end.
func TestSessionTellsThatAnErrorHasEnded(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	id := n.session(12, "a").SessionID
	n.remove("a")
	n.fetch(next(12, id, 1))
	n.create("a", 1)
	if got := n.summary(n.fetch(next(12, id, 2))); got != "a-0:" {
		t.Errorf("after the error: %q", got)
	}
}

// Partitions that have just sent records go to the end, so that a small limit starves none.
func TestSessionRotates(t *testing.T) {
	n := start(t)
	long := strings.Repeat("x", 1000)
	for _, topic := range []string{"a", "b", "c"} {
		n.create(topic, 1)
		n.produce(topic, long)
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch = 12, 1200, sessionEpochFull
	for _, topic := range []string{"a", "b", "c"} {
		n.alsoFetch(req, topic, 0, 0)
	}
	resp := n.fetch(req)
	seen := map[string]bool{}
	for epoch := int32(1); ; epoch++ {
		for _, topic := range resp.Topics {
			if len(topic.Partitions[0].RecordBatches) > 0 {
				seen[topic.Topic] = true
			}
		}
		if epoch == 3 {
			break
		}
		again := next(12, resp.SessionID, epoch)
		again.MaxBytes = 1200
		resp = n.fetch(again)
	}
	if len(seen) != 3 {
		t.Errorf("only %v were read in three fetches", seen)
	}
}

func sessionOf(c *sessionCache, size int) *fetchSession {
	items := make([]fetchItem, size)
	for i := range items {
		items[i].key.partition = int32(i)
	}
	return c.create(items, false, partition.Consumer)
}

func TestSessionCacheIsBounded(t *testing.T) {
	var k clock
	c := newSessionCache(2, k.now)
	small, large := sessionOf(c, 1), sessionOf(c, 10)
	if sessionOf(c, 5) != nil {
		t.Fatal("young sessions were evicted")
	}
	k.advance(sessionSafeTime + time.Second)
	c.used(small, 1)
	c.used(large, 10)
	if sessionOf(c, 1) != nil {
		t.Fatal("a session was evicted for one that is no larger")
	}
	middle := sessionOf(c, 5)
	if middle == nil {
		t.Fatal("the small session kept its place")
	}
	if _, there := c.get(small.id); there {
		t.Fatal("not the smallest was evicted")
	}
	k.advance(sessionSafeTime + time.Second)
	c.used(middle, 5)
	if sessionOf(c, 1) == nil {
		t.Fatal("an idle session kept its place")
	}
	if _, there := c.get(large.id); there {
		t.Fatal("not the idle one was evicted")
	}
}

// A client for which there is no room is served without a session.
func TestFullCacheServesWithoutSession(t *testing.T) {
	n := start(t, "max.incremental.fetch.session.cache.slots", "1")
	n.create("a", 1)
	n.produce("a", "1")
	if n.session(12, "a").SessionID == 0 {
		t.Fatal("no session for the first")
	}
	if second := n.session(12, "a"); second.SessionID != 0 || n.summary(second) != "a-0:1" {
		t.Errorf("session %d: %q", second.SessionID, n.summary(second))
	}
}

func TestSessionEpochWraps(t *testing.T) {
	if e := nextSessionEpoch(math.MaxInt32); e != 1 {
		t.Errorf("after the last epoch comes %d", e)
	}
}

func TestPartitionNamedTwiceIsReadOnce(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	n.produce("a", "1")
	n.produce("a", "2")
	req := n.fetchRequest(12, "a", 0, 0)
	n.alsoFetch(req, "a", 0, 1)
	if got := n.summary(n.fetch(req)); got != "a-0:2" {
		t.Errorf("read %q, want the last mention only", got)
	}
}

// A replica's next request may come while the last one waits, and forget what that one reads.
func TestSessionGoesOnWhileAFetchWaits(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	req := n.fetchRequest(12, "a", 0, 0)
	req.ReplicaID, req.SessionEpoch = 1, sessionEpochFull
	s, found := n.broker.sessions.get(n.fetch(req).SessionID)
	if !found {
		t.Fatal("no session")
	}
	p := wire.FetchPartition{CurrentLeaderEpoch: partition.AnyEpoch, LastFetchedEpoch: partition.AnyEpoch}
	named := &wire.FetchRequest{Version: 12, ReplicaID: 1, SessionID: s.id, SessionEpoch: 1,
		Topics: []wire.FetchTopic{{Topic: "a", Partitions: []wire.FetchPartition{p}}}}
	items, _, code := s.begin(named)
	if code != wire.None || len(items) != 1 {
		t.Fatalf("%v, %d items", code, len(items))
	}
	c := &fetchCall{b: n.broker, req: named, img: n.quorum.Image(), session: s, items: items, found: make([]fetched, len(items))}
	c.resolve(0)
	forgetful := &wire.FetchRequest{Version: 12, ReplicaID: 1, SessionID: s.id, SessionEpoch: 2,
		ForgottenTopics: []wire.ForgottenTopic{{Topic: "a", Partitions: []int32{0}}}}
	if items, _, code := s.begin(forgetful); code != wire.None || len(items) != 0 {
		t.Fatalf("%v, %d items of a session that has forgotten all", code, len(items))
	}
	c.addChanged()
	if len(c.items) != 1 || len(c.found) != 1 {
		t.Errorf("the fetch that waits has %d items and %d places", len(c.items), len(c.found))
	}
}

// Sessions of replicas are bounded by the number of brokers: who is none has none.
func TestStrangerHasNoSessionOfAReplica(t *testing.T) {
	n := start(t)
	n.create("a", 1)
	for id, want := range map[int32]bool{1: true, 2: false, math.MaxInt32: false} {
		req := n.fetchRequest(12, "a", 0, 0)
		req.ReplicaID, req.SessionEpoch = id, sessionEpochFull
		if resp := n.fetch(req); resp.ErrorCode != 0 || (resp.SessionID != 0) != want {
			t.Errorf("replica %d: session %d, error %v", id, resp.SessionID, wire.Error(resp.ErrorCode))
		}
	}
}
