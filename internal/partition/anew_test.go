package partition

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// askedLeader is a leader of one partition whose answers a test gives, one by one.
type askedLeader struct {
	t       *testing.T
	asked   chan wire.FetchPartition
	answers chan wire.FetchPartitionReply
}

func newAskedLeader(t *testing.T) *askedLeader {
	return &askedLeader{t, make(chan wire.FetchPartition), make(chan wire.FetchPartitionReply)}
}

func (l *askedLeader) fetch(ctx context.Context, _ cluster.NodeID, req *wire.FetchRequest) (*wire.FetchResponse, func(), error) {
	resp := &wire.FetchResponse{Version: req.Version}
	if req.MaxBytes == 0 { // a report
		return resp, func() {}, nil
	}
	select {
	case l.asked <- req.Topics[0].Partitions[0]:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	select {
	case reply := <-l.answers:
		resp.Topics = []wire.FetchTopicReply{{TopicID: topicID, Partitions: []wire.FetchPartitionReply{reply}}}
		return resp, func() {}, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// expect returns the next request, which must be one from an offset of a copy.
func (l *askedLeader) expect(offset int64, number int32) wire.FetchPartition {
	l.t.Helper()
	select {
	case want := <-l.asked:
		if want.FetchOffset != offset || want.Copy != number {
			l.t.Fatalf("asked for %+v, want offset %d of copy %d", want, offset, number)
		}
		return want
	case <-time.After(20 * time.Second):
		l.t.Fatal("the follower does not ask")
	}
	return wire.FetchPartition{}
}

func (l *askedLeader) answer(change func(*wire.FetchPartitionReply)) {
	reply := wire.NewFetchPartitionReply(0)
	reply.HighWatermark, reply.LogStartOffset = 1, 0
	change(&reply)
	l.answers <- reply
}

func (l *askedLeader) record(value string) func(*wire.FetchPartitionReply) {
	b := batch(value)
	record.PatchOffsets(b, 0, 1)
	return func(r *wire.FetchPartitionReply) { r.Records = wire.RecordBytes(b) }
}

func nothing(*wire.FetchPartitionReply) {}

// TestCorruptFollowerBeginsAnew: it drops what it has when its leader and the image count on nothing of it, and no earlier.
func TestCorruptFollowerBeginsAnew(t *testing.T) {
	mem := vfs.NewMem()
	n := startNode(t, mem)
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	l := newAskedLeader(t)
	n.set.cfg.Fetch, n.set.cfg.Replication.Backoff = l.fetch, time.Millisecond
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1}
	p := n.create(topicID, nil, two)
	l.expect(0, 0)
	l.answer(l.record("a"))
	l.expect(1, 0)
	p.log.Condemn(&commitlog.CorruptionError{File: "f"})
	if err := waitUntil(t, func() bool { return p.Offline() != nil }); err != nil {
		t.Fatal(err)
	}
	l.answer(nothing)

	l.expect(wire.LostOffset, 1)
	l.answer(func(r *wire.FetchPartitionReply) { r.Error = wire.ReplicaNotAvailable })
	l.expect(wire.LostOffset, 1)
	l.answer(nothing) // as a leader that does not know what is meant
	l.expect(wire.LostOffset, 1)
	l.answer(func(r *wire.FetchPartitionReply) { r.Forgotten = wire.Forgotten{Copy: 1, PartitionEpoch: 2} })
	change := func(epoch int32, isr, elr []cluster.NodeID) {
		two.PartitionEpoch, two.ISR, two.ELR = epoch, isr, elr
		n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	}
	if err := waitUntil(t, func() bool { _, asks := p.position(); return !asks }); err != nil {
		t.Fatal(err)
	}
	change(1, ids(2), nil)
	if n.get() != p {
		t.Fatal("the image is older than the leader's, and the replica has dropped its records")
	}
	change(2, ids(1, 2), nil)
	if n.get() != p {
		t.Fatal("a replica that is in sync has dropped its records")
	}
	change(3, ids(2), ids(1))
	if n.get() != p {
		t.Fatal("a replica that may be elected has dropped its records")
	}
	change(4, ids(2), nil)
	if n.get() == p {
		t.Fatal("a replica that nobody counts on keeps its corrupt records")
	}
	p = n.get()
	if want := l.expect(0, 1); want.FlushedOffset != 0 || want.HighWatermark != 0 {
		t.Errorf("it begins with %+v", want)
	}
	l.answer(l.record("b"))
	l.expect(1, 1)
	if err := waitUntil(t, func() bool { return p.HighWatermark() == 1 }); err != nil {
		t.Fatal(err)
	}
	if err := p.Offline(); err != nil || p.log.EndOffset() != 1 {
		t.Errorf("the new copy ends at %d, %v", p.log.EndOffset(), err)
	}
	names, err := mem.List("data")
	if err != nil || !strings.Contains(strings.Join(names, " "), "-stray") {
		t.Errorf("the folder was not kept: %q, %v", names, err)
	}
}

// TestTrafficOfACorruptReplica is counted once, whether its folder can be set aside or not.
func TestTrafficOfACorruptReplica(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startNode(t, faults)
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(2), Leader: 2, LeaderEpoch: 1}
	p := n.create(topicID, nil, two)
	p.Traffic().BytesIn.Add(5)
	p.log.Condemn(&commitlog.CorruptionError{File: "f"})
	if err := waitUntil(t, func() bool { return p.Offline() != nil }); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.mu.forgotten.leaderEpoch = two.LeaderEpoch
	p.mu.Unlock()
	counted := func() int64 {
		sum := n.set.Removed().BytesIn
		for _, p := range n.set.All() {
			sum += p.Traffic().BytesIn.Load()
		}
		return sum
	}
	faults.Add(vfs.Rule{Match: func(op vfs.Op, _ string) bool { return op == vfs.OpRename }, Fault: vfs.Fault{Err: os.ErrPermission}})
	for _, again := range []bool{false, false, true} {
		if again {
			faults.Clear()
		}
		two.PartitionEpoch++
		n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
		if began := n.get() != p; began != again || counted() != 5 {
			t.Errorf("begun anew: %v, want %v; %d bytes were counted, 5 have come", began, again, counted())
		}
	}
}

// waitUntil waits for what other goroutines do.
func waitUntil(t *testing.T, holds func() bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// A replica that has failed otherwise says so too, and keeps what it has.
func TestFailedFollowerTellsItsLeader(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	l := newAskedLeader(t)
	n.set.cfg.Fetch, n.set.cfg.Replication.Backoff = l.fetch, time.Millisecond
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1}
	p := n.create(topicID, nil, two)
	l.expect(0, 0)
	p.fail(errors.New("the disk does not write"))
	l.answer(nothing)
	l.expect(wire.LostOffset, 1)
	l.answer(func(r *wire.FetchPartitionReply) { r.Forgotten = wire.Forgotten{Copy: 1} })
	two.PartitionEpoch, two.ISR = 1, ids(2)
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	if n.get() != p || p.Offline() == nil {
		t.Error("a replica whose disk does not write has begun anew")
	}
	two.PartitionEpoch, two.LeaderEpoch = 2, 2
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	if want := l.expect(wire.LostOffset, 1); want.CurrentLeaderEpoch != 2 {
		t.Errorf("the next leader is told %+v", want)
	}
}

// TestLeaderForgetsALostFollower: it leaves the in-sync set first.
func TestLeaderForgetsALostFollower(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 3}
	p := n.create(topicID, nil, two)
	if _, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
		t.Fatal(err)
	}
	fetch := replica.Fetch{ID: 2, LeaderEpoch: 3, BrokerEpoch: 9, End: 1, Flushed: 1}
	p.FollowerFetched(fetch)
	loss := replica.Loss{ID: 2, LeaderEpoch: 3, BrokerEpoch: 9, Copy: 1}
	if _, err := p.FollowerLost(loss); !errors.Is(err, ErrNotForgotten) {
		t.Fatalf("of a follower in sync: %v", err)
	}
	if c := (<-asked).Topics[0].Partitions[0]; len(c.NewEpochISR) != 1 || c.NewEpochISR[0].BrokerID != 1 {
		t.Fatalf("asked for %+v, want 1 alone", c.NewEpochISR)
	}
	p.FollowerFetched(fetch) // it comes late
	if end, _ := p.mu.machine.FollowerEnd(2); end != -1 {
		t.Errorf("what a lost copy had counts, to offset %d", end)
	}
	if _, err := p.FollowerLost(loss); !errors.Is(err, ErrNotForgotten) {
		t.Fatalf("while the controller decides: %v", err)
	}
	two.PartitionEpoch, two.ISR = 1, ids(1)
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	if f, err := p.FollowerLost(loss); err != nil || f != (wire.Forgotten{Copy: 1, PartitionEpoch: 1}) {
		t.Fatalf("out of the set: %+v, %v", f, err)
	}
	for _, c := range []struct {
		loss replica.Loss
		want error
	}{
		{replica.Loss{ID: 2, LeaderEpoch: 2, BrokerEpoch: 9, Copy: 1}, ErrFencedLeaderEpoch},
		{replica.Loss{ID: 2, LeaderEpoch: 4, BrokerEpoch: 9, Copy: 1}, ErrUnknownLeaderEpoch},
		{replica.Loss{ID: 3, LeaderEpoch: 3, BrokerEpoch: 9, Copy: 1}, ErrUnknownReplica},
		{replica.Loss{ID: 2, LeaderEpoch: 3, BrokerEpoch: 8, Copy: 1}, ErrNotForgotten},
		{replica.Loss{ID: 2, LeaderEpoch: 3, BrokerEpoch: -1, Copy: 1}, ErrNotForgotten},
	} {
		if _, err := p.FollowerLost(c.loss); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.loss, err, c.want)
		}
	}
	p.fail(errors.New("the disk does not write"))
	if _, err := p.FollowerLost(loss); !errors.As(err, new(*OfflineError)) {
		t.Errorf("a leader that is offline says %v", err)
	}
}

// TestRotInTheOnlyCopy: the scrubber takes no replica offline that nobody could replace.
func TestRotInTheOnlyCopy(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	n.produce(p, "a")
	rot := &commitlog.CorruptionError{File: "f"}
	p.rotten(rot)
	if got, _ := read(t, p, from(0)); p.Offline() != nil || got != "a" {
		t.Fatalf("offline: %v; it reads %q", p.Offline(), got)
	}
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	two := alone()
	two.Replicas, two.ISR, two.PartitionEpoch = ids(1, 2), ids(1, 2), 1
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	p.rotten(rot)
	if err := waitUntil(t, func() bool { return p.Offline() != nil }); err != nil {
		t.Fatal("another replica is in sync, and the leader goes on with corrupt records")
	}
}
