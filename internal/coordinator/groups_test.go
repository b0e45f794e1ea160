package coordinator

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Expected values are of Java 17: Math.abs(s.hashCode()) % 50.
func TestPartitionFor(t *testing.T) {
	for group, want := range map[string]int32{
		"": 0, "analytics": 10, "pricing": 36, "g": 3, "größe": 7, "データ": 26, "a😀b": 44,
		"polygenelubricants": 0, // its hash is the least integer
		"connect-cluster-1":  25,
	} {
		if got := PartitionFor(group, 50); got != want {
			t.Errorf("%q is in %d, not in %d", group, got, want)
		}
	}
}

func commitRequest(topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group = 9, "g"
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	return req
}

func (f *fixture) commit(ctx context.Context, topic string, partition int32, offset int64) string {
	resp := f.OffsetCommit(ctx, Client{}, commitRequest(topic, partition, offset))(ctx)
	return errorName(resp.Topics[0].Partitions[0].ErrorCode)
}

func fetchRequest(topic string, partition int32) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = 9
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	if topic != "" {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, Partitions: []int32{partition}}}
	}
	req.Groups = []kmsg.OffsetFetchRequestGroup{g}
	return req
}

func (f *fixture) fetch(ctx context.Context, topic string, partition int32) string {
	return describeFetch(f.OffsetFetch(ctx, Client{}, fetchRequest(topic, partition))(ctx))
}

func describeFetch(resp *kmsg.OffsetFetchResponse) string {
	s := ""
	for _, g := range resp.Groups {
		s += errorName(g.ErrorCode)
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				s += fmt.Sprintf(" %s-%d=%d %s", t.Topic, p.Partition, p.Offset, errorName(p.ErrorCode))
			}
		}
	}
	return s
}

func errorName(code int16) string {
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "ok"
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestReplyWaitsForHighWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		f.log.change(func() { f.log.held = true })
		commit := f.OffsetCommit(ctx, Client{}, commitRequest("t", 1, 5))
		fetch := f.OffsetFetch(ctx, Client{}, fetchRequest("t", 1))
		done := make(chan string, 2)
		go func() { done <- errorName(commit(ctx).Topics[0].Partitions[0].ErrorCode) }()
		go func() { done <- describeFetch(fetch(ctx)) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("answered before the flush: %v", <-done)
		}
		f.log.change(func() { f.log.held = false })
		synctest.Wait()
		if len(done) != 2 {
			t.Fatalf("%d answers after the flush", len(done))
		}
		expect(t, f.fetch(ctx, "t", 1), "ok t-1=5 ok")
	})
}

func TestFailedAppendForgetsWhatItHeld(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	f.log.change(func() { f.log.failing = 1 })
	expect(t, f.commit(ctx, "t", 0, 2), "NOT_COORDINATOR")
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
	expect(t, f.commit(ctx, "t", 0, 3), "ok")
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=3 ok")
}

// While too few replicas are in sync consumers go on committing. The partition is not loaded anew for each of them.
func TestCommitsBelowMinISRLoadNothing(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	loads := f.log.loads
	f.log.change(func() { f.log.short = true })
	for range 3 {
		expect(t, f.commit(ctx, "t", 0, 2), "COORDINATOR_NOT_AVAILABLE")
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
	}
	f.log.change(func() { f.log.short = false })
	expect(t, f.commit(ctx, "t", 0, 3), "ok")
	if f.log.loads != loads {
		t.Fatalf("the partition was loaded %d times more", f.log.loads-loads)
	}
}

// Nor is it for who ends a rebalance, or deletes.
func TestWritesBelowMinISRLoadNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		joined := joinGroup(ctx, f, "a", "")(ctx)
		loads := f.log.loads
		f.log.change(func() { f.log.short = true })
		expect(t, errorName(syncGroup(ctx, f, joined, "p")(ctx).ErrorCode), "COORDINATOR_NOT_AVAILABLE")
		groups := kmsg.NewPtrDeleteGroupsRequest()
		groups.Groups = []string{"g"}
		expect(t, errorName(f.DeleteGroups(ctx, Client{}, groups)(ctx).Groups[0].ErrorCode), "COORDINATOR_NOT_AVAILABLE")
		offsets := kmsg.NewPtrOffsetDeleteRequest()
		offsets.Group = "g"
		expect(t, errorName(f.OffsetDelete(ctx, Client{}, offsets)(ctx).ErrorCode), "COORDINATOR_NOT_AVAILABLE")
		f.log.change(func() { f.log.short = false })
		expect(t, errorName(syncGroup(ctx, f, joined, "p")(ctx).ErrorCode), "ok")
		if f.log.loads != loads {
			t.Fatalf("the partition was loaded %d times more", f.log.loads-loads)
		}
	})
}

// A log that fails after the append took the record: nobody may go on with what may not be durable.
func TestFailedFlushUnloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		f.log.change(func() { f.log.held = true })
		finish := f.OffsetCommit(ctx, Client{}, commitRequest("t", 0, 2))
		synctest.Wait()
		f.log.change(func() { f.log.broken = true })
		expect(t, errorName(finish(ctx).Topics[0].Partitions[0].ErrorCode), "NOT_COORDINATOR")
		synctest.Wait()
		if n := len(f.loaded()); n != 0 {
			t.Fatalf("%d shards go on", n)
		}
	})
}

func TestLeadershipChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		join := joinGroup(ctx, f, "a", "")
		synctest.Wait()
		second := joinGroup(ctx, f, "b", "") // parks: the first member has to rejoin
		synctest.Wait()

		f.log.change(func() { f.log.leading = false })
		f.ImageApplied(nil)
		synctest.Wait()
		expect(t, errorName(join(ctx).ErrorCode), "NOT_COORDINATOR") // its reply was not out yet
		expect(t, errorName(second(ctx).ErrorCode), "NOT_COORDINATOR")
		expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
		expect(t, f.commit(ctx, "t", 0, 2), "NOT_COORDINATOR")
		list := f.ListGroups(ctx, Client{}, kmsg.NewPtrListGroupsRequest())(ctx)
		if list.ErrorCode != 0 || len(list.Groups) != 0 {
			t.Fatalf("%+v", list)
		}

		// Elected again, in a later epoch: even without hearing of it, the coordinator loads anew.
		f.log.change(func() { f.log.leading, f.log.epoch = true, 3 })
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
		f.log.change(func() { f.log.epoch = 4 })
		expect(t, f.commit(ctx, "t", 0, 2), "ok")
	})
}

// TestUnconfirmedShardTellsNothing: a coordinator that may have been replaced says nothing from its memory, and
// acknowledges what its log has taken meanwhile.
func TestUnconfirmedShardTellsNothing(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	f.log.change(func() { f.log.unsure = true })
	expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
	expect(t, heartbeat(ctx, f, &kmsg.JoinGroupResponse{MemberID: "m", Generation: 1}), "COORDINATOR_NOT_AVAILABLE")
	list := f.ListGroups(ctx, Client{}, kmsg.NewPtrListGroupsRequest())(ctx)
	expect(t, errorName(list.ErrorCode), "COORDINATOR_NOT_AVAILABLE")
	expect(t, f.commit(ctx, "t", 1, 2), "ok")
	f.log.change(func() { f.log.unsure = false })
	expect(t, f.fetch(ctx, "", 0), "ok t-0=1 ok t-1=2 ok")
}

// TestLateAnswerOfLead: a caller that was told the former epoch and comes late does not unload the shard of the present.
func TestLateAnswerOfLead(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	asked, finished, late := make(chan struct{}), make(chan struct{}), false
	f.restart(func(c *Config) {
		c.Lead = func(int32) (Log, error) {
			log, err := f.log.lead()
			if !late {
				late = true
				close(asked)
				select {
				case <-finished:
				case <-time.After(100 * time.Millisecond): // the other has to wait for this one
				}
			}
			return log, err
		}
	})
	first := make(chan string, 1)
	go func() { first <- f.fetch(ctx, "t", 0) }()
	<-asked
	f.log.change(func() { f.log.epoch++ })
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
	present := f.loaded()[0]
	close(finished)
	<-first
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
	if f.loaded()[0] != present {
		t.Fatal("the shard of the present epoch has been unloaded")
	}
}

func TestLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		for i := range 3 {
			expect(t, f.commit(ctx, "t", int32(i), 7), "ok")
		}
		gate := make(chan struct{})
		f.log.change(func() { f.log.loadGate = gate })
		f.restart()

		var quick string
		go func() { quick = f.fetch(ctx, "t", 0) }()
		synctest.Wait()
		expect(t, quick, "") // it waits for the load
		time.Sleep(time.Second)
		gate <- struct{}{} // the next batch: patience is over
		synctest.Wait()
		expect(t, quick, "COORDINATOR_LOAD_IN_PROGRESS")

		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group = "g"
		heartbeat := f.Heartbeat(ctx, Client{}, beat)
		gate <- struct{}{}
		synctest.Wait()
		expect(t, errorName(heartbeat(ctx).ErrorCode), "ok")
		close(gate)
		synctest.Wait()
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=7 ok")
	})
}

// TestUnloadedWhileLoading: a shard that has read half of its log when it is unloaded answers nobody from that half.
func TestUnloadedWhileLoading(t *testing.T) {
	for range 20 { // what goes wrong depends on which ready channel a select takes
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			f := newFixture(t)
			for i := range 3 {
				expect(t, f.commit(ctx, "t", int32(i), 7), "ok")
			}
			gate := make(chan struct{})
			f.log.change(func() { f.log.loadGate = gate })
			f.restart()
			waiting := f.OffsetFetch(ctx, Client{}, fetchRequest("t", 2))
			go f.Close()
			synctest.Wait()
			close(gate)
			if got := describeFetch(waiting(ctx)); got == "ok t-2=-1 ok" {
				t.Fatal("a committed offset is denied")
			}
		})
	}
}

func joinGroup(ctx context.Context, f *fixture, client, member string) func(context.Context) *kmsg.JoinGroupResponse {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = 3, "g", member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription("t")}}
	return f.JoinGroup(ctx, Client{ID: client, Host: "127.0.0.1"}, req)
}

func subscription(topic string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 0}, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	return append(append(b, topic...), 0, 0, 0, 0)
}

func syncGroup(ctx context.Context, f *fixture, joined *kmsg.JoinGroupResponse, assign string) func(context.Context) *kmsg.SyncGroupResponse {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = "g", joined.MemberID, joined.Generation
	for _, m := range joined.Members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: []byte(assign + m.MemberID)})
	}
	return f.SyncGroup(ctx, Client{}, req)
}

func TestParkedJoinEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		first := joinGroup(ctx, f, "a", "")(ctx)
		parked, cancel := context.WithCancel(ctx)
		second := joinGroup(ctx, f, "b", "")
		var got string
		go func() { got = errorName(second(parked).ErrorCode) }()
		synctest.Wait()
		expect(t, got, "")
		cancel()
		synctest.Wait()
		expect(t, got, "COORDINATOR_NOT_AVAILABLE")

		// The group goes on without anyone to hear the other's reply; its session ends in time.
		again := joinGroup(ctx, f, "a", first.MemberID)(ctx)
		if len(again.Members) != 2 {
			t.Fatalf("%+v", again)
		}
		expect(t, string(syncGroup(ctx, f, again, "for ")(ctx).MemberAssignment), "for "+again.MemberID)
		time.Sleep(9 * time.Second)
		heartbeat(ctx, f, again)
		time.Sleep(2 * time.Second)
		expect(t, heartbeat(ctx, f, again), "REBALANCE_IN_PROGRESS")
	})
}

func heartbeat(ctx context.Context, f *fixture, joined *kmsg.JoinGroupResponse) string {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = "g", joined.MemberID, joined.Generation
	return errorName(f.Heartbeat(ctx, Client{}, req)(ctx).ErrorCode)
}

// TestSessionSurvivesRestart: who has its assignment goes on with the next incarnation, without a rebalance.
func TestSessionSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		joined := joinGroup(ctx, f, "a", "")(ctx)
		syncGroup(ctx, f, joined, "")(ctx)
		f.restart()
		expect(t, heartbeat(ctx, f, joined), "ok")
		time.Sleep(11 * time.Second)
		expect(t, heartbeat(ctx, f, joined), "UNKNOWN_MEMBER_ID")
		// The timer, not a request, has written that the group is empty.
		f.restart()
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{"g", "none"}
		got := f.DescribeGroups(ctx, Client{}, describe)(ctx)
		expect(t, got.Groups[0].State+" "+got.Groups[1].State, "Empty Dead")
	})
}

// logTo has the coordinator log without times.
func logTo(log *bytes.Buffer) func(*Config) {
	return func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
	}
}

// TestFailureIsLogged: clients of a partition that cannot be loaded look for a coordinator for ever, and only the log says why. It
// says so once a minute, however often they come.
func TestFailureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var log bytes.Buffer
		f := newFixture(t, logTo(&log))
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		f.log.change(func() {
			f.log.epoch++ // which is no failure
			batch := f.log.batches[0]
			batch[len(batch)-1]++
		})
		for range 2 {
			for range 3 {
				expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
			}
			time.Sleep(failureAgain)
		}
		f.Close()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		const says = `msg="the groups of a partition are not served: their log fails" partition=0 err="load the groups of partition 0: corrupt record batch: checksum`
		if len(lines) != 2 || !strings.HasPrefix(lines[0], says) || !strings.HasPrefix(lines[1], says) {
			t.Fatalf("%d lines:\n%s", len(lines), log.String())
		}
	})
}

// TestRebalancesAreLogged follows a group whose member falls silent.
func TestRebalancesAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var log bytes.Buffer
		f := newFixture(t, logTo(&log))
		joined := joinGroup(ctx, f, "a", "")(ctx)
		syncGroup(ctx, f, joined, "")(ctx)
		joinGroup(ctx, f, "a", joined.MemberID)(ctx)
		time.Sleep(11 * time.Second)
		f.Close()
		expect(t, strings.ReplaceAll(log.String(), joined.MemberID, "a-1"), `msg="group rebalances" group=g generation=0 state=Empty reason="new member a-1"
msg="group has a new generation" group=g generation=1 members=1
msg="group rebalances" group=g generation=1 state=Stable reason="leader a-1 joins anew"
msg="group has a new generation" group=g generation=2 members=1
msg="group rebalances" group=g generation=2 state=CompletingRebalance reason="member a-1 has been silent for its session timeout"
msg="group is empty" group=g generation=3
`)
	})
}

func TestRequestsShareAnAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		gate := make(chan struct{})
		f.log.change(func() { f.log.gate = gate })
		var finishes []func(context.Context) *kmsg.OffsetCommitResponse
		for i := range 20 {
			finishes = append(finishes, f.OffsetCommit(ctx, Client{}, commitRequest("t", int32(i%10), int64(i))))
		}
		synctest.Wait()
		close(gate)
		for _, finish := range finishes {
			expect(t, errorName(finish(ctx).Topics[0].Partitions[0].ErrorCode), "ok")
		}
		if n := f.log.appends(); n > 2 {
			t.Fatalf("%d appends for requests that were waiting together", n)
		}
		expect(t, f.fetch(ctx, "t", 9), "ok t-9=19 ok")
	})
}

func TestBatchIsBounded(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, func(c *Config) { c.BatchBytesMax = 200 })
	for i := range 10 {
		expect(t, f.commit(ctx, "t", int32(i), 1), "ok")
	}
	before := f.log.appends()
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"g"}
	expect(t, errorName(f.DeleteGroups(ctx, Client{}, del)(ctx).Groups[0].ErrorCode), "ok")
	if f.log.appends()-before < 2 {
		t.Fatal("one batch for what does not fit into one")
	}
	for _, b := range f.log.batches {
		if len(b) > 200 {
			t.Fatalf("a batch of %d bytes", len(b))
		}
	}
	f.restart()
	expect(t, f.fetch(ctx, "", 0), "ok")
}

// TestTopicTakesSmallBatches: max.message.bytes of the topic bounds a batch, and what one request may write. A request
// for more is refused alone; the shard goes on.
func TestTopicTakesSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		f.log.change(func() { f.log.maxBytes = 1000 })
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		serving := f.loaded()[0]

		large := commitRequest("t", 1, 1)
		large.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(strings.Repeat("x", 1000))
		resp := f.OffsetCommit(ctx, Client{}, large)(ctx)
		expect(t, errorName(resp.Topics[0].Partitions[0].ErrorCode), "INVALID_COMMIT_OFFSET_SIZE")

		gate := make(chan struct{})
		f.log.change(func() { f.log.gate = gate })
		var waiting []func(context.Context) *kmsg.OffsetCommitResponse
		for range 40 { // they pile up behind the first
			waiting = append(waiting, f.OffsetCommit(ctx, Client{}, commitRequest("t", 2, 5)))
		}
		close(gate)
		for _, finish := range waiting {
			expect(t, errorName(finish(ctx).Topics[0].Partitions[0].ErrorCode), "ok")
		}
		if f.loaded()[0] != serving {
			t.Fatal("the shard has been unloaded")
		}

		f.log.change(func() { f.log.maxBytes = 500 }) // the first batch that is too large now makes it load anew
		for range 2 {
			for i := range waiting {
				waiting[i] = f.OffsetCommit(ctx, Client{}, commitRequest("t", 2, 6))
			}
			for _, finish := range waiting {
				finish(ctx)
			}
		}
		expect(t, f.fetch(ctx, "t", 2), "ok t-2=6 ok")
	})
}

func TestClosed(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	f.Close()
	expect(t, f.commit(ctx, "t", 0, 2), "COORDINATOR_NOT_AVAILABLE")
	expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
}

func TestNoOffsetsTopic(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, func(c *Config) { c.Partitions = func() int32 { return 0 } })
	expect(t, f.commit(ctx, "t", 0, 1), "COORDINATOR_NOT_AVAILABLE")
	expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
	if list := f.ListGroups(ctx, Client{}, kmsg.NewPtrListGroupsRequest())(ctx); list.ErrorCode != 0 {
		t.Fatalf("%+v", list)
	}
}

// TestTransactionalOffsets loads what a Kafka broker may have left: offsets of a transaction count with its commit marker.
func TestTransactionalOffsets(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	expect(t, f.commit(ctx, "t", 1, 1), "ok")
	var committed, aborted [][]byte
	for i, list := range []*[][]byte{&committed, &aborted} {
		o := record.BuilderOptions{Transactional: true, Producer: &record.Producer{ID: int64(i)}}
		b := record.NewBuilder(o)
		for rec, err := range record.Records(f.log.batches[i], 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			value := append([]byte{}, rec.Value...)
			binary.BigEndian.PutUint64(value[2:], 99)
			b.Append(record.Record{Key: rec.Key, Value: value})
		}
		*list = append(*list, append([]byte{}, b.Bytes()...))
		o.Control = true
		b = record.NewBuilder(o)
		b.Append(record.Record{Key: []byte{0, 0, 0, byte(1 - i)}, Value: []byte{0, 0, 0, 0, 0, 0}})
		*list = append(*list, append([]byte{}, b.Bytes()...))
	}
	log, _ := f.log.lead()
	for _, b := range append(committed, aborted...) {
		if _, err := log.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=99 ok")
	expect(t, f.fetch(ctx, "t", 1), "ok t-1=1 ok")
}

// TestTransactionalOffsetsDoNotOvertake: of two offsets for a partition the one that was written later counts, whenever
// the marker came; compaction keeps that one, and Kafka has it in memory.
func TestTransactionalOffsetsDoNotOvertake(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	var key, value []byte
	for rec, err := range record.Records(f.log.batches[0], 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		key, value = rec.Key, rec.Value
	}
	log, _ := f.log.lead()
	write := func(o record.BuilderOptions, r record.Record) {
		b := record.NewBuilder(o)
		b.Append(r)
		if _, err := log.Append(b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	stage := func(producer, offset int64) {
		value := append([]byte{}, value...)
		binary.BigEndian.PutUint64(value[2:], uint64(offset))
		o := record.BuilderOptions{}
		if producer > 0 {
			o.Transactional, o.Producer = true, &record.Producer{ID: producer}
		}
		write(o, record.Record{Key: key, Value: value})
	}
	commit := func(producer int64) {
		o := record.BuilderOptions{Transactional: true, Control: true, Producer: &record.Producer{ID: producer}}
		write(o, record.Record{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}})
	}
	stage(1, 10)
	stage(0, 20)
	commit(1)
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=20 ok")

	stage(1, 30)
	stage(2, 40)
	commit(2)
	commit(1)
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=40 ok")

	stage(1, 50)
	write(record.BuilderOptions{}, record.Record{Key: key})
	commit(1)
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=-1 ok")

	stage(1, 60)
	stage(2, 70)
	commit(1)
	stage(1, 80)
	commit(2)
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=70 ok")
	commit(1)
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=80 ok")
}

func TestMalformedRecordIsSkipped(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	b := record.NewBuilder(record.BuilderOptions{})
	b.Append(record.Record{Key: []byte{0, 1, 0}, Value: []byte("garbage")})
	b.Append(record.Record{Key: []byte{0, 3, 0, 1, 'g'}, Value: []byte("a record of another protocol")})
	log, _ := f.log.lead()
	if _, err := log.Append(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
}

func TestCorruptBatchIsNotServed(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	f.log.batches[0][len(f.log.batches[0])-1] ^= 1
	f.restart()
	expect(t, f.fetch(ctx, "t", 0), "NOT_COORDINATOR")
}

// TestLoadedStateWaitsForHighWatermark: what a new incarnation has loaded may not be safe yet either.
func TestLoadedStateWaitsForHighWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		f.log.change(func() { f.log.held = true })
		f.OffsetCommit(ctx, Client{}, commitRequest("t", 0, 5))
		synctest.Wait()
		f.restart()
		done := make(chan string, 1)
		go func() { done <- f.fetch(ctx, "t", 0) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("answered before the flush: %v", <-done)
		}
		f.log.change(func() { f.log.held = false })
		expect(t, <-done, "ok t-0=5 ok")
	})
}

// TestIncarnationsDoNotOverlap: a new one loads only when the former can append no more.
func TestIncarnationsDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		gate := make(chan struct{})
		f.log.change(func() { f.log.gate = gate })
		f.OffsetCommit(ctx, Client{}, commitRequest("t", 0, 2))
		synctest.Wait() // it is being appended
		f.loaded()[0].unload(errDisk)
		done := make(chan string, 1)
		go func() { done <- f.fetch(ctx, "t", 0) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("answered during the former's append: %v", <-done)
		}
		close(gate)
		expect(t, <-done, "ok t-0=2 ok")
	})
}
