package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is broker 1's replicas over a file system, with the images that it has been given.
type node struct {
	t   *testing.T
	fs  vfs.FS
	dir *commitlog.Dir
	set *Set
	img *cluster.Image
}

var topicID = cluster.UUID{1: 7}

func startNode(t *testing.T, fsys vfs.FS) *node {
	t.Helper()
	n := &node{t: t, fs: fsys, img: cluster.NewImage("c")}
	n.open()
	t.Cleanup(func() { _ = n.dir.Close() })
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Epoch: n.img.NextBrokerEpoch()}})
	return n
}

func (n *node) open() {
	n.t.Helper()
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: n.fs, Path: "data", ClusterID: "c", NodeID: 1})
	if err != nil {
		n.t.Fatal(err)
	}
	n.dir, n.set = dir, NewSet(Config{NodeID: 1, Dir: dir})
}

// restart closes the directory and opens it again, with the image as it was.
func (n *node) restart() {
	n.t.Helper()
	if err := n.dir.Close(); err != nil {
		n.t.Fatal(err)
	}
	n.open()
	n.set.Apply(n.img, cluster.Diff(nil, n.img))
}

func (n *node) apply(changes ...cluster.Change) {
	n.t.Helper()
	img, d, err := n.img.Apply(changes, n.img.Offset()+1, 1)
	if err != nil {
		n.t.Fatal(err)
	}
	n.img = img
	n.set.Apply(img, d)
}

func syncOfLog(op vfs.Op, name string) bool {
	return op == vfs.OpSync && strings.HasSuffix(name, ".log")
}

func alone() cluster.Partition {
	return cluster.Partition{Replicas: ids(1), ISR: ids(1), Leader: 1, LeaderEpoch: 3}
}

func (n *node) create(id cluster.UUID, config map[string]string, partitions ...cluster.Partition) *Partition {
	n.t.Helper()
	n.apply(cluster.CreateTopic{Topic: cluster.Topic{Name: "t", ID: id, Partitions: partitions, Config: config}})
	return n.get()
}

func (n *node) get() *Partition {
	n.t.Helper()
	p, ok := n.set.Get("t", 0)
	if !ok {
		n.t.Fatal("no replica of t-0")
	}
	return p
}

func batch(values ...string) []byte { return batchAt(1000, values...) }

func batchAt(timestamp int64, values ...string) []byte {
	b := record.NewBuilder(record.BuilderOptions{})
	for i, v := range values {
		b.Append(record.Record{Timestamp: timestamp + int64(i), Value: []byte(v)})
	}
	return bytes.Clone(b.Bytes())
}

func (n *node) produce(p *Partition, values ...string) Appended {
	n.t.Helper()
	a, err := p.Append(batch(values...), AppendOptions{LeaderEpoch: AnyEpoch, AllInSync: true})
	if err != nil {
		n.t.Fatal(err)
	}
	if err := p.Wait(n.t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1}); err != nil {
		n.t.Fatal(err)
	}
	return a
}

func from(offset int64) ReadOptions {
	return ReadOptions{Offset: offset, MaxBytes: 1 << 20, MinOne: true, CurrentLeaderEpoch: AnyEpoch, LastFetchedEpoch: AnyEpoch, ReplicaID: Consumer}
}

func read(t *testing.T, p *Partition, o ReadOptions) (string, Read) {
	t.Helper()
	r, err := p.Read(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Chunk.Release()
	b, err := r.Chunk.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for len(b) > 0 {
		h, err := record.ReadHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range record.Records(b[:h.Size()], 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, string(rec.Value))
		}
		b = b[h.Size():]
	}
	return strings.Join(values, " "), r
}

func TestAcknowledgedRecordsAreReadAndSurviveARestart(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	if a := n.produce(p, "a", "b"); a.FirstOffset != 0 || a.LeaderEpoch != 3 {
		t.Fatalf("appended %+v", a)
	}
	n.restart()
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Epoch: n.img.NextBrokerEpoch(), Incarnation: cluster.UUID{1}}})
	p = n.get()
	if p.HighWatermark() != 2 {
		t.Fatalf("high watermark %d after a restart, want 2", p.HighWatermark())
	}
	if a := n.produce(p, "c"); a.FirstOffset != 2 || a.LeaderEpoch != 4 {
		t.Fatalf("appended %+v: the registration must have raised the epoch", a)
	}
	if got, _ := read(t, p, from(0)); got != "a b c" {
		t.Fatalf("read %q", got)
	}
}

// Nothing that is not flushed is seen or acknowledged.
func TestConsumersSeeFlushedRecordsOnly(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startNode(t, faults)
	p := n.create(topicID, nil, alone())
	gate := make(chan struct{})
	faults.Add(vfs.Rule{Match: syncOfLog, Fault: vfs.Fault{Before: func() { <-gate }}})
	a, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch})
	if err != nil {
		t.Fatal(err)
	}
	if got, r := read(t, p, from(0)); got != "" || r.HighWatermark != 0 {
		t.Fatalf("read %q up to %d before the flush", got, r.HighWatermark)
	}
	expired := make(chan time.Time)
	close(expired)
	ack := Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: 1, Expired: expired}
	if err := p.Wait(t.Context(), ack); !errors.Is(err, ErrTimeout) {
		t.Fatalf("acknowledged before the flush: %v", err)
	}
	close(gate)
	ack.Expired = nil
	if err := p.Wait(t.Context(), ack); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, p, from(0)); got != "a" {
		t.Fatalf("read %q after the flush", got)
	}
}

func TestFailedFlushTakesTheReplicaOffline(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startNode(t, faults)
	p := n.create(topicID, nil, alone())
	n.produce(p, "a")
	faults.Add(vfs.Rule{Match: syncOfLog, Fault: vfs.Fault{Err: errors.New("EIO")}})
	w := NewWaiter()
	defer w.Close()
	_, r := read(t, p, from(0))
	w.Watch(p, r.Version)
	a, err := p.Append(batch("b"), AppendOptions{LeaderEpoch: AnyEpoch})
	if err != nil {
		t.Fatal(err)
	}
	var offline *OfflineError
	if err := p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: 1}); !errors.As(err, &offline) {
		t.Fatalf("wait: %v, want OfflineError", err)
	}
	<-w.C
	if _, err := p.Append(batch("c"), AppendOptions{LeaderEpoch: AnyEpoch}); !errors.As(err, &offline) {
		t.Fatalf("append: %v, want OfflineError", err)
	}
	if p.Offline() == nil {
		t.Fatal("not offline")
	}
}

func TestLostLeadershipWakesEveryone(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startNode(t, faults)
	p := n.create(topicID, nil, alone())
	gate := make(chan struct{})
	faults.Add(vfs.Rule{Match: syncOfLog, Fault: vfs.Fault{Before: func() { <-gate }}})
	defer close(gate)
	a, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWaiter()
	defer w.Close()
	_, r := read(t, p, from(0))
	w.Watch(p, r.Version)
	failed := make(chan error, 1)
	go func() {
		failed <- p.Wait(context.Background(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1})
	}()
	moved := alone()
	moved.LeaderEpoch, moved.PartitionEpoch, moved.Leader = 4, 1, cluster.NoLeader
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: moved})
	if err := <-failed; !errors.Is(err, ErrNotLeader) {
		t.Fatalf("wait: %v, want ErrNotLeader", err)
	}
	<-w.C
	back := moved
	back.LeaderEpoch, back.PartitionEpoch, back.Leader = 5, 2, 1
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: back})
	if err := p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1}); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("the next epoch confirmed an append of the one before: %v", err)
	}
	if _, err := p.Append(batch("b"), AppendOptions{LeaderEpoch: a.LeaderEpoch}); !errors.Is(err, ErrFencedLeaderEpoch) {
		t.Fatalf("append under the old epoch: %v", err)
	}
}

func TestTooFewInSync(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1), Leader: 1, LeaderEpoch: 1}
	p := n.create(topicID, map[string]string{"min.insync.replicas": "2"}, two)
	if _, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch, AllInSync: true}); !errors.Is(err, ErrNotEnoughReplicas) {
		t.Fatalf("append: %v, want ErrNotEnoughReplicas", err)
	}
	if err := p.MayAppend(AppendOptions{LeaderEpoch: AnyEpoch, AllInSync: true}); !errors.Is(err, ErrNotEnoughReplicas) {
		t.Fatalf("may append: %v, want ErrNotEnoughReplicas", err)
	}
	if err := p.MayAppend(AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
		t.Fatalf("may append without all: %v", err)
	}
	if p.EndOffset() != 0 {
		t.Fatal("appended all the same")
	}
}

// Two replicas over the same code: a follower reads beyond the high watermark, and what it has flushed moves it.
func TestFollowerMovesTheHighWatermark(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 1}
	p := n.create(topicID, map[string]string{"min.insync.replicas": "1"}, two)
	a, err := p.Append(batch("a", "b"), AppendOptions{LeaderEpoch: AnyEpoch, AllInSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: 1}); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, p, from(0)); got != "" {
		t.Fatalf("a consumer read %q that one replica has", got)
	}
	o := from(0)
	o.ReplicaID = 2
	if got, _ := read(t, p, o); got != "a b" {
		t.Fatalf("the follower read %q", got)
	}
	o.ReplicaID = 3
	if _, err := p.Read(o); !errors.Is(err, ErrUnknownReplica) {
		t.Fatalf("replica 3 of 1 and 2: %v", err)
	}
	p.FollowerFetched(replica.Fetch{ID: 2, LeaderEpoch: 1, BrokerEpoch: -1, End: 2, Flushed: 1})
	if hw := p.HighWatermark(); hw != 1 {
		t.Fatalf("high watermark %d, want what the follower has flushed", hw)
	}
	p.FollowerFetched(replica.Fetch{ID: 2, LeaderEpoch: 1, BrokerEpoch: -1, End: 2, Flushed: 2})
	if err := p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(batch("c"), AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
		t.Fatal(err)
	}
	n.set.Tick(time.Now().Add(time.Minute))
	asking := <-asked
	if c := asking.Topics[0].Partitions[0]; len(c.NewEpochISR) != 1 || c.NewEpochISR[0].BrokerID != 1 || c.LeaderEpoch != 1 {
		t.Fatalf("asked for %+v, want 1 alone", c)
	}
}

// A wall clock that was wrong for a while, and is set right, keeps nobody in the in-sync set.
func TestClockSetBackDoesNotHideLag(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	ahead := 24 * 365 * time.Hour
	n.set.cfg.Now = func() time.Time { return time.Now().Add(ahead) }
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 1})
	p.FollowerFetched(replica.Fetch{ID: 2, LeaderEpoch: 1, BrokerEpoch: -1})
	ahead = 0
	if _, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
		t.Fatal(err)
	}
	n.set.Tick(time.Now())
	select {
	case asking := <-asked:
		t.Fatalf("asked for %+v at once", asking.Topics[0].Partitions[0])
	default:
	}
	n.set.Tick(time.Now().Add(time.Minute))
	select {
	case asking := <-asked:
		if c := asking.Topics[0].Partitions[0]; len(c.NewEpochISR) != 1 || c.NewEpochISR[0].BrokerID != 1 {
			t.Fatalf("asked for %+v, want 1 alone", c)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a follower that does not fetch stays in sync")
	}
}

// A partition that goes to another leader and comes back between two requests stays in the session.
func TestPartitionThatComesBackIsNotForgotten(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1})
	cfg := n.set.cfg
	cfg.BrokerEpoch = func() int64 { return 1 }
	f := newFetcher(&cfg, 2)
	f.add(p)
	if req, _ := f.request(time.Now()); req == nil || len(req.Topics) != 1 {
		t.Fatalf("asks for %+v", req)
	}
	f.answered()
	if err := f.take(&wire.FetchResponse{SessionID: 5}); err != nil {
		t.Fatal(err)
	}
	f.remove(p.followed.Load())
	f.add(p)
	req, _ := f.request(time.Now())
	if req == nil || req.SessionEpoch != 1 || len(req.Topics) != 1 || len(req.ForgottenTopics) != 0 {
		t.Fatalf("asks for %+v", req)
	}
	f.remove(p.followed.Load())
	if req, _ = f.request(time.Now()); req != nil {
		t.Fatalf("asks for %+v when it follows nobody", req)
	}
}

// What is not committed stays, however old it is: without it the high watermark would pass what the in-sync replicas have.
func TestRetentionWaitsForReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, vfs.NewMem())
		n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
		p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 1})
		if _, err := p.Append(batchAt(1000, "from 1970"), AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if p.HighWatermark() != 0 || p.StartOffset() != 0 {
			t.Fatalf("of a record that one of two replicas has: the log begins at %d, committed is %d", p.StartOffset(), p.HighWatermark())
		}
		p.FollowerFetched(replica.Fetch{ID: 2, LeaderEpoch: 1, BrokerEpoch: -1, End: 1, Flushed: 1})
		time.Sleep(time.Hour)
		if p.StartOffset() != 1 {
			t.Fatalf("an hour after both had it the log begins at %d", p.StartOffset())
		}
	})
}

// A partition that the leader has refused is named again, however late the next request: the leader does not watch it.
func TestRefusedPartitionIsNamedAgain(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1})
	cfg := n.set.cfg
	cfg.BrokerEpoch = func() int64 { return 1 }
	refusal := wire.NewFetchPartitionReply(0)
	refusal.Error = wire.UnknownTopicID
	for name, next := range map[string]func(f *fetcher) time.Time{
		"after its pause":       func(*fetcher) time.Time { return time.Now().Add(time.Minute) },
		"with a new assignment": func(f *fetcher) time.Time { f.add(p); return time.Now() },
	} {
		f := newFetcher(&cfg, 2)
		f.add(p)
		if req, _ := f.request(time.Now()); req == nil || len(req.Topics) != 1 {
			t.Fatalf("asks for %+v", req)
		}
		f.answered()
		if err := f.take(&wire.FetchResponse{SessionID: 5, Topics: []wire.FetchTopicReply{{TopicID: topicID, Partitions: []wire.FetchPartitionReply{refusal}}}}); err != nil {
			t.Fatal(err)
		}
		if req, _ := f.request(next(f)); req == nil || req.SessionEpoch != 1 || len(req.Topics) != 1 || len(req.ForgottenTopics) != 0 {
			t.Errorf("%s it asks for %+v", name, req)
		}
		f.answered()
		if err := f.take(&wire.FetchResponse{SessionID: 5}); err != nil {
			t.Fatal(err)
		}
		if req, _ := f.request(time.Now().Add(time.Hour)); req == nil || len(req.Topics) != 0 {
			t.Errorf("%s, and an answer without news, it asks for %+v", name, req)
		}
	}
}

// runOutOfRoom lets a leader have a record on disk, and no room for the next one.
func (n *node) runOutOfRoom(p *Partition, faults *vfs.Faults) {
	n.t.Helper()
	if _, err := p.Append(batch("a"), AppendOptions{LeaderEpoch: AnyEpoch}); err != nil {
		n.t.Fatal(err)
	}
	if err := p.log.Flush(); err != nil {
		n.t.Fatal(err)
	}
	p.flushed()
	full := func(op vfs.Op, name string) bool { return op == vfs.OpWrite && strings.HasSuffix(name, ".log") }
	faults.Add(vfs.Rule{Match: full, Fault: vfs.Fault{Err: syscall.ENOSPC}})
	if _, err := p.Append(batch("b"), AppendOptions{LeaderEpoch: AnyEpoch}); !errors.Is(err, commitlog.ErrNoSpace) {
		n.t.Fatalf("append: %v, want ErrNoSpace", err)
	}
}

// A leader without room for a record leaves its place to the other one, and promises nothing until it has copied the next
// record.
func TestLeaderWithoutRoom(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	n := startNode(t, faults)
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 1}
	p := n.create(topicID, nil, two)
	n.runOutOfRoom(p, faults)
	asking := <-asked
	if c := asking.Topics[0].Partitions[0]; len(c.NewEpochISR) != 1 || c.NewEpochISR[0].BrokerID != 2 {
		t.Fatalf("asked for %+v, want 2 alone", c.NewEpochISR)
	}
	if _, err := p.Read(from(9)); !errors.Is(err, ErrOffsetNotAvailable) {
		t.Errorf("beyond the end, where another may lead already: %v, want ErrOffsetNotAvailable", err)
	}
	two.ISR, two.Leader, two.LeaderEpoch, two.PartitionEpoch = ids(2), 2, 2, 1
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	if at, follows := p.position(); !follows || at.FlushedOffset != 0 {
		t.Fatalf("without room it asks for %+v, %v", at, follows)
	}
	faults.Clear()
	next := batch("b")
	record.PatchOffsets(next, 1, 2)
	if _, err := p.log.AppendReplica(next); err != nil {
		t.Fatal(err)
	}
	if at, follows := p.position(); !follows || at.FlushedOffset != 1 {
		t.Fatalf("with room it asks for %+v, %v", at, follows)
	}
}

// A replica that had no room says when it has, with nothing to copy as well: its leader would never let it in again.
func TestReplicaThatHasRoomAgainSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := vfs.Inject(vfs.NewMem())
		n := startNode(t, faults)
		n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
		two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 1}
		p := n.create(topicID, nil, two)
		n.runOutOfRoom(p, faults)
		faults.Clear()
		two.ISR, two.Leader, two.LeaderEpoch, two.PartitionEpoch = ids(2), 2, 2, 1
		n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
		cfg := n.set.cfg
		cfg.BrokerEpoch = func() int64 { return 1 }
		f := newFetcher(&cfg, 2)
		f.add(p)
		ask := func() []wire.FetchTopic {
			t.Helper()
			n.set.Tick(time.Now())
			req, _ := f.request(time.Now())
			if req == nil {
				t.Fatal("it asks for nothing")
			}
			f.answered()
			if err := f.take(&wire.FetchResponse{SessionID: 5}); err != nil {
				t.Fatal(err)
			}
			return req.Topics
		}
		if asked := ask(); len(asked) != 1 || asked[0].Partitions[0].FlushedOffset != 0 {
			t.Fatalf("without room it asks for %+v", asked)
		}
		if asked := ask(); len(asked) != 0 {
			t.Fatalf("too early for what was refused it asks for %+v", asked)
		}
		time.Sleep(time.Minute)
		if asked := ask(); len(asked) != 1 || asked[0].Partitions[0].FlushedOffset != 1 {
			t.Fatalf("with room it asks for %+v", asked)
		}
	})
}

// A replica that is elected and cannot begin its epoch asks for another leader: the image does not change by itself.
func TestLeaderThatCannotBeginResigns(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1}
	p := n.create(topicID, nil, two)
	if err := n.dir.Close(); err != nil {
		t.Fatal(err)
	}
	two.Leader, two.LeaderEpoch, two.PartitionEpoch = 1, 2, 1
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	if _, leads := p.Leading(); leads || p.Offline() == nil {
		t.Fatalf("leads: %v; offline: %v", leads, p.Offline())
	}
	select {
	case asking := <-asked:
		if c := asking.Topics[0].Partitions[0]; len(c.NewEpochISR) != 1 || c.NewEpochISR[0].BrokerID != 2 || c.LeaderEpoch != 2 {
			t.Fatalf("asked for %+v in epoch %d, want 2 alone in epoch 2", c.NewEpochISR, c.LeaderEpoch)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no other leader is asked for")
	}
}

// The checksum does not cover a batch's offset: one beyond all numbers must not become the log's end.
func TestImpossibleOffsetIsRefused(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
	p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 2, LeaderEpoch: 1})
	sent, follows := p.position()
	if !follows {
		t.Fatal("follows nobody")
	}
	for _, base := range []int64{math.MaxInt64 - 1, math.MaxInt64, math.MinInt64} {
		spoilt := batch("a", "b")
		record.PatchOffsets(spoilt, base, 1)
		reply := wire.NewFetchPartitionReply(0)
		reply.Records = wire.RecordBytes(spoilt)
		if err := p.takeFetched(sent, &reply); err == nil || p.EndOffset() != 0 {
			t.Errorf("offset %d: %v, and the log ends at %d", base, err, p.EndOffset())
		}
	}
}

// controller takes requests and never answers.
type controller chan *kmsg.AlterPartitionRequest

func (c controller) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c <- req.(*kmsg.AlterPartitionRequest)
	<-ctx.Done()
	return nil, ctx.Err()
}

func ids(n ...cluster.NodeID) []cluster.NodeID { return n }

func TestFetchChecksEpochs(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	n.produce(p, "a")
	for epoch, want := range map[int32]error{AnyEpoch: nil, 2: ErrFencedLeaderEpoch, 3: nil, 4: ErrUnknownLeaderEpoch} {
		o := from(0)
		o.CurrentLeaderEpoch = epoch
		r, err := p.Read(o)
		if !errors.Is(err, want) {
			t.Errorf("read with epoch %d: %v, want %v", epoch, err, want)
		}
		r.Chunk.Release()
		if _, err := p.EpochEnd(3, epoch); !errors.Is(err, want) {
			t.Errorf("epoch end with epoch %d: %v, want %v", epoch, err, want)
		}
		if _, err := p.ListOffset(Latest, ReadUncommitted, Consumer, epoch); !errors.Is(err, want) {
			t.Errorf("list offsets with epoch %d: %v, want %v", epoch, err, want)
		}
	}
}

// K#10930, RP#17674: truncation is found by the epoch of the last record; below the start it is out of range.
func TestDivergingEpoch(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	n.produce(p, "a", "b") // 0, 1 in epoch 3
	next := alone()
	next.LeaderEpoch, next.PartitionEpoch = 5, 1
	n.apply(cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: next})
	n.produce(p, "c") // 2 in epoch 5
	for _, c := range []struct {
		offset    int64
		epoch     int32
		diverging *EpochEnd
		err       error
	}{
		{offset: 2, epoch: 3},
		{offset: 3, epoch: 5},
		{offset: 3, epoch: 3, diverging: &EpochEnd{Epoch: 3, EndOffset: 2}},
		{offset: 3, epoch: 4, diverging: &EpochEnd{Epoch: 3, EndOffset: 2}},
		{offset: 2, epoch: 9, err: ErrOffsetOutOfRange},
		{offset: 4, epoch: 5, diverging: &EpochEnd{Epoch: 5, EndOffset: 3}},
		{offset: 4, epoch: AnyEpoch, err: ErrOffsetOutOfRange},
	} {
		o := from(c.offset)
		o.LastFetchedEpoch = c.epoch
		r, err := p.Read(o)
		if !errors.Is(err, c.err) || fmt.Sprint(r.Diverging) != fmt.Sprint(c.diverging) {
			t.Errorf("offset %d after epoch %d: %v, %v; want %v, %v", c.offset, c.epoch, r.Diverging, err, c.diverging, c.err)
		}
		r.Chunk.Release()
	}
	if _, err := p.DeleteRecords(2); err != nil {
		t.Fatal(err)
	}
	o := from(1)
	o.LastFetchedEpoch = 4
	if _, err := p.Read(o); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("below the start with a diverging epoch: %v, want ErrOffsetOutOfRange", err)
	}
}

func TestListOffset(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	for _, b := range [][]byte{batchAt(100, "a", "b"), batchAt(500, "c"), batchAt(300, "d")} {
		a, err := p.Append(b, AppendOptions{LeaderEpoch: AnyEpoch})
		if err == nil {
			err = p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.DeleteRecords(1); err != nil {
		t.Fatal(err)
	}
	for ts, want := range map[int64]TimeOffset{
		Latest:                {4, -1, 3},
		Earliest:              {1, -1, 3},
		EarliestLocal:         {1, -1, 3},
		LatestTiered:          noOffset,
		EarliestPendingUpload: noOffset,
		MaxTimestamp:          {2, 500, 3},
		0:                     {1, 101, 3},
		101:                   {1, 101, 3},
		102:                   {2, 500, 3},
		501:                   noOffset,
	} {
		got, err := p.ListOffset(ts, ReadUncommitted, Consumer, AnyEpoch)
		if err != nil || got != want {
			t.Errorf("timestamp %d: %+v, %v; want %+v", ts, got, err, want)
		}
	}
}

func TestListOffsetOfAnEmptyLog(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	for ts, want := range map[int64]TimeOffset{
		Latest: {0, -1, 3}, Earliest: {0, -1, p.Log().EpochAt(0)}, MaxTimestamp: noOffset, 5: noOffset,
	} {
		if got, err := p.ListOffset(ts, ReadCommitted, Consumer, AnyEpoch); err != nil || got != want {
			t.Errorf("timestamp %d: %+v, %v; want %+v", ts, got, err, want)
		}
	}
}

func TestDeleteRecords(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	n.produce(p, "a", "b", "c")
	for _, c := range []struct{ offset, low int64 }{{1, 1}, {0, 1}, {-1, 3}} {
		if low, err := p.DeleteRecords(c.offset); err != nil || low != c.low {
			t.Errorf("delete before %d: %d, %v; want %d", c.offset, low, err, c.low)
		}
	}
	for _, offset := range []int64{4, -2} {
		if _, err := p.DeleteRecords(offset); !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("delete before %d: %v, want ErrOffsetOutOfRange", offset, err)
		}
	}
	if _, err := p.Read(from(2)); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("read below the start: %v", err)
	}
}

// A change between reading and watching is not missed, and one waiter sees all partitions.
func TestWaiterMissesNothing(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.create(topicID, nil, alone(), alone())
	p0, _ := n.set.Get("t", 0)
	p1, _ := n.set.Get("t", 1)
	_, before := read(t, p0, from(0))
	n.produce(p0, "a")
	w := NewWaiter()
	w.Watch(p0, before.Version)
	<-w.C
	_, now := read(t, p1, from(0))
	w.Watch(p1, now.Version)
	n.produce(p1, "b")
	<-w.C
	w.Close()
	if len(p0.mu.watchers)+len(p1.mu.watchers) != 0 {
		t.Fatal("a closed waiter is still watched for")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx, Ack{LeaderEpoch: 3, EndOffset: 1, Acks: -1}); !errors.Is(err, context.Canceled) {
		t.Fatalf("wait: %v", err)
	}
	if len(p.mu.waiting) != 0 {
		t.Fatal("still on the list")
	}
}

func TestRecreatedTopicStartsAnew(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	old := n.create(topicID, nil, alone())
	n.produce(old, "old")
	again := cluster.UUID{1: 8}
	n.apply(cluster.DeleteTopic{ID: topicID}, cluster.CreateTopic{Topic: cluster.Topic{Name: "t", ID: again, Partitions: []cluster.Partition{alone()}}})
	p := n.get()
	if p == old || p.EndOffset() != 0 || p.TopicID() != again {
		t.Fatalf("the new topic holds %d records of %v", p.EndOffset(), p.TopicID())
	}
	if _, found := n.set.ByID(topicID, 0); found {
		t.Fatal("the old topic's replica is still there")
	}
	if _, err := old.Append(batch("x"), AppendOptions{LeaderEpoch: AnyEpoch}); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("append to the deleted replica: %v", err)
	}
	if _, err := old.Read(from(0)); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("read of the deleted replica: %v", err)
	}
}

// A topic that was deleted while the broker was away leaves its folder; another topic of the name must not find it.
func TestFoldersWithoutTopicAreSetAside(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	n.produce(n.create(topicID, nil, alone()), "old")
	img, _, err := n.img.Apply([]cluster.Change{cluster.DeleteTopic{ID: topicID}}, 9, 1)
	if err != nil {
		t.Fatal(err)
	}
	n.img = img
	n.restart()
	if _, err := n.fs.Stat("data/t-0"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the folder is still there: %v", err)
	}
	if p := n.create(cluster.UUID{1: 9}, nil, alone()); p.EndOffset() != 0 {
		t.Fatal("the new topic found old records")
	}
}

// A topic that is made while the disk is full is served as soon as it is not.
func TestLogOpensWhenThereIsRoom(t *testing.T) {
	mem := vfs.NewMem()
	n := startNode(t, mem)
	t.Cleanup(n.set.Close)
	mem.SetLimit(1)
	p := n.create(topicID, nil, alone())
	if err := p.Offline(); !errors.Is(err, commitlog.ErrNoSpace) {
		t.Fatalf("offline: %v, want ErrNoSpace", err)
	}
	n.set.Tick(time.Now())
	if err := waitUntil(t, func() bool { return !n.set.retrying.Load() }); err != nil {
		t.Fatal(err)
	}
	if n.get() != p {
		t.Fatal("the replica was replaced by one without room")
	}
	n.apply(cluster.SetConfig{Resource: cluster.Resource{Type: cluster.TopicResource, Name: "t"}, Key: "max.message.bytes", Value: new("4711")})
	mem.SetLimit(1 << 20)
	n.set.Tick(time.Now())
	if err := waitUntil(t, func() bool { return n.get() != p }); err != nil {
		t.Fatal(err)
	}
	p = n.get()
	if got := p.Settings().Log.MaxMessageBytes; got != 4711 {
		t.Fatalf("max.message.bytes is %d, as it was before", got)
	}
	n.produce(p, "a")
	if got, _ := read(t, p, from(0)); got != "a" {
		t.Fatalf("read %q", got)
	}
}

func TestLogThatDoesNotOpenIsOfflineWithItsReason(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	n := startNode(t, faults)
	n.produce(n.create(topicID, nil, alone(), alone()), "a")
	inFolder := func(_ vfs.Op, name string) bool { return strings.HasPrefix(name, "data/t-0/") }
	faults.Add(vfs.Rule{Match: inFolder, Fault: vfs.Fault{Err: os.ErrPermission}})
	_ = n.dir.Close()
	n.open()
	n.set.Apply(n.img, cluster.Diff(nil, n.img))
	var offline *OfflineError
	p := n.get()
	if err := p.Offline(); !errors.As(err, &offline) || !errors.Is(err, os.ErrPermission) {
		t.Fatalf("offline: %v", err)
	}
	if _, err := p.Read(from(0)); !errors.As(err, &offline) {
		t.Fatalf("read: %v", err)
	}
	other, _ := n.set.Get("t", 1)
	if other.Offline() != nil {
		t.Fatalf("the other replica is offline too: %v", other.Offline())
	}
}

func TestSettingsFollowTheImage(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, map[string]string{"cleanup.policy": "compact"}, alone())
	if s := p.Settings(); !s.Log.Compact || s.Log.Delete || s.Log.MaxMessageBytes != 1048588 {
		t.Fatalf("settings %+v", s)
	}
	max, codec := "2000", "zstd"
	n.apply(
		cluster.SetConfig{Resource: cluster.Resource{Type: cluster.TopicResource, Name: "t"}, Key: "max.message.bytes", Value: &max},
		cluster.SetConfig{Resource: cluster.Resource{Type: cluster.BrokerDefaultResource}, Key: "compression.type", Value: &codec},
	)
	s := p.Settings()
	if s.Log.MaxMessageBytes != 2000 || !s.Recompress || s.Codec != record.Zstd {
		t.Fatalf("settings %+v", s)
	}
	if p.Log().Config().MaxMessageBytes != 2000 {
		t.Fatal("the log has the old settings")
	}
}

func TestManyProducersAndReadersAtOnce(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	const producers, each = 8, 50
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for i := range each {
				a, err := p.Append(batch(fmt.Sprint(i)), AppendOptions{LeaderEpoch: AnyEpoch})
				if err == nil {
					err = p.Wait(t.Context(), Ack{LeaderEpoch: a.LeaderEpoch, EndOffset: a.EndOffset(), Acks: -1})
				}
				if err == nil && p.HighWatermark() < a.EndOffset() {
					err = errors.New("acknowledged above the high watermark")
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	w := NewWaiter()
	defer w.Close()
	for next, version := int64(0), ^uint64(0); next < producers*each; {
		w.Watch(p, version)
		<-w.C
		_, r := read(t, p, from(next))
		next, version = r.Chunk.NextOffset(), r.Version
	}
	wg.Wait()
}

// TestUnconfirmedLeaderSendsNobodyAway: a leader that the controller may have replaced does not say that an offset which it
// lacks is none.
func TestUnconfirmedLeaderSendsNobodyAway(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	p := n.create(topicID, nil, alone())
	n.produce(p, "a")
	confirmed := false
	n.set.cfg.Confirmed = func() bool { return confirmed }
	if _, err := p.Read(from(2)); !errors.Is(err, ErrOffsetNotAvailable) {
		t.Errorf("beyond the end, unconfirmed: %v, want ErrOffsetNotAvailable", err)
	}
	confirmed = true
	if _, err := p.Read(from(2)); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("beyond the end: %v, want ErrOffsetOutOfRange", err)
	}
}
