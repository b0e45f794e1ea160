package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// TestObserverFollows follows from nothing, refuses requests, says who leads, and goes on after a stop where it was.
func TestObserverFollows(t *testing.T) {
	bubble(t, 1, 3, func(s *simulated) {
		var first []uint64 // where the observer's fetches began
		s.change = func(c *Config) {
			fetch := c.Fetch
			c.Fetch = func(ctx context.Context, to cluster.NodeID, req *wire.FetchRequest) (*wire.FetchResponse, func(), error) {
				s.mu.Lock()
				first = append(first, uint64(req.Topics[0].Partitions[0].FetchOffset))
				s.mu.Unlock()
				return fetch(ctx, to, req)
			}
		}
		four := s.add(4)
		s.startAll()
		for i := range 30 {
			s.mustDo(fmt.Sprint(i))
		}
		s.settle()
		if _, err := four.v.q.Do(s.t.Context(), set("x")); !errors.Is(err, ErrNotController) {
			t.Errorf("an observer says %v", err)
		}
		if c := four.v.q.Image().ControllerID(); c != s.leader().id {
			t.Errorf("it takes node %d for the controller", c)
		}
		for _, how := range []string{"in order", "killed"} {
			if how == "killed" {
				s.stop(four, kill)
			} else {
				s.stop(four, nil)
			}
			first = nil
			end := s.running(s.leader().id).Status().EndOffset
			s.mustStart(four)
			if img := four.v.q.Image(); how == "in order" && img.Offset() < end-2 {
				t.Errorf("%s: it starts with the image of offset %d of %d", how, img.Offset(), end)
			}
			s.await(5*time.Second, "a fetch", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(first) > 0 })
			if first[0] < uint64(end)-2 {
				t.Errorf("%s: it fetches from offset %d of %d", how, first[0], end)
			}
			s.settle()
		}
	})
}

// TestObserverOfAnyVoter follows although it does not reach the leader.
func TestObserverOfAnyVoter(t *testing.T) {
	bubble(t, 2, 3, func(s *simulated) {
		four := s.add(4)
		s.startAll()
		s.mustDo("a")
		s.mu.Lock()
		s.cut[[2]cluster.NodeID{4, s.leaderLocked()}] = true
		s.mu.Unlock()
		begin := time.Now()
		s.mustDo("b")
		offset := s.running(s.leader().id).Image().Offset()
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		if err := four.v.q.AwaitImage(ctx, offset); err != nil {
			t.Fatalf("after %v: %v", time.Since(begin), err)
		}
	})
}

func (s *simulated) leaderLocked() cluster.NodeID {
	s.mu.Unlock()
	defer s.mu.Lock()
	return s.leader().id
}

// TestSnapshotsForThoseBehind cuts a voter and an observer off until the log that they need is gone, then adds a voter with an
// empty disk: it needs a snapshot that knows it.
func TestSnapshotsForThoseBehind(t *testing.T) {
	bubble(t, 3, 3, func(s *simulated) {
		four := s.add(4)
		s.startAll()
		s.mustDo("a")
		late := cluster.NodeID(1 + s.leader().id%3)
		s.isolate(late, true)
		s.isolate(4, true)
		for i := range 1300 {
			s.mustDo(fmt.Sprint(i))
		}
		s.settle()
		for _, id := range []cluster.NodeID{late, 4} {
			if start := s.nodes[id].v.log.StartOffset(); start == 0 {
				t.Errorf("node %d was sent the whole log", id)
			}
		}
		five := s.add(5)
		s.change = func(c *Config) { c.Fetch = nil } // raft alone
		s.mustStart(five)
		s.addVoter(five.self, wire.None, "")
		s.settle()
		s.wantVoters(1, 2, 3, 5)
		if start := five.v.log.StartOffset(); start == 0 {
			t.Error("the new voter was sent the whole log")
		}
		s.stop(four, kill)
		s.wipe(four)
		s.change = nil
		s.mustStart(four)
		s.settle()
	})
}

// TestDeposedLeaderBecomesObserver removes a leader that is cut off and has entries that nobody else has.
func TestDeposedLeaderBecomesObserver(t *testing.T) {
	bubble(t, 4, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		old := s.leader()
		s.isolate(old.id, true)
		fates := make(chan error, 5)
		for i := range 5 {
			go func() {
				ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
				defer cancel()
				key := fmt.Sprint("lost", i)
				_, err := old.v.q.Do(ctx, set(key))
				s.check.outcome(key, old.v.q.Image(), err)
				fates <- err
			}()
		}
		s.await(5*time.Second, "another leader", func() bool { return s.leader() != nil && s.leader() != old })
		s.removeVoter(old.self, wire.None, "")
		for i := range 20 {
			s.mustDo(fmt.Sprint(i))
		}
		s.settle()
		for range 5 {
			if err := <-fates; !errors.Is(err, ErrNotController) {
				t.Errorf("a change that was overruled: %v", err)
			}
		}
		if old.v.isMember() {
			t.Error("it does not know that it was removed")
		}
	})
}

// TestObserverOfAnotherHistory gives an observer voters that do not have what it knows to be committed.
func TestObserverOfAnotherHistory(t *testing.T) {
	bubble(t, 5, 3, func(s *simulated) {
		four := s.add(4)
		s.startAll()
		for i := range 20 {
			s.mustDo(fmt.Sprint(i))
		}
		s.settle()
		s.stopAll()
		for _, n := range s.nodes {
			if n != four {
				s.wipe(n)
			}
		}
		s.begun = []Voter{s.nodes[1].self, s.nodes[2].self, s.nodes[3].self}
		s.check.fail = func(string, ...any) {} // it is another history
		s.mustStart(s.nodes[1], s.nodes[2], s.nodes[3])
		s.mustDo("other")
		first := s.leader()
		s.stop(first, kill)
		for i := range 40 {
			s.mustDo(fmt.Sprint("of a later epoch ", i))
		}
		s.mustStart(first)
		s.mustStart(four)
		<-four.v.q.Failed()
		if err := four.v.q.Err(); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "does not have it") {
			t.Error(err)
		}
	})
}

// TestFetchServesWhatIsCommitted asks a cut off leader for what it has not committed, and everybody for nonsense.
func TestFetchServesWhatIsCommitted(t *testing.T) {
	bubble(t, 6, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		q := s.running(s.leader().id)
		s.await(time.Second, "the status", func() bool { return q.Status().HighWatermark == q.Image().Offset()+1 })
		s.isolate(s.leader().id, true)
		go func() { _, _ = q.Do(s.t.Context(), set("uncommitted")) }()
		s.await(time.Second, "an entry", func() bool { return q.cfg.Log.EndOffset() > q.Status().HighWatermark })
		fetch := func(change func(*wire.FetchRequest, *wire.FetchPartition)) wire.FetchPartitionReply {
			p := wire.NewFetchPartition(0, 0)
			p.PartitionMaxBytes = 1 << 20
			req := &wire.FetchRequest{Version: 17, ReplicaID: 9, MaxBytes: 1 << 20, Topics: []wire.FetchTopic{{Topic: MetadataTopic}}}
			change(req, &p)
			req.Topics[0].Partitions = []wire.FetchPartition{p}
			resp := q.Fetch(s.t.Context(), req)
			if resp.Error != wire.None {
				return wire.FetchPartitionReply{Error: resp.Error}
			}
			return resp.Topics[0].Partitions[0]
		}
		last := int64(-1)
		for more := true; more; { // a segment at a time
			all := fetch(func(_ *wire.FetchRequest, p *wire.FetchPartition) { p.FetchOffset = last + 1 })
			before := last
			for b, _ := all.Records.(wire.RecordBytes); len(b) > 0; {
				h, err := record.ReadHeader(b)
				if err != nil {
					t.Fatal(err)
				}
				last, b = h.LastOffset(), b[h.Size():]
			}
			more = last > before
		}
		if last != q.Status().HighWatermark-1 {
			t.Errorf("served up to offset %d, committed is what is below %d", last, q.Status().HighWatermark)
		}
		if r := fetch(func(_ *wire.FetchRequest, p *wire.FetchPartition) { p.FetchOffset = -1 }); r.Error != wire.OffsetOutOfRange {
			t.Errorf("offset -1: %v", r.Error)
		}
		if r := fetch(func(_ *wire.FetchRequest, p *wire.FetchPartition) { p.FetchOffset, p.LastFetchedEpoch = 3, 77 }); r.DivergingEpoch == wire.NoEpochEnd {
			t.Errorf("an epoch that never was: %+v", r)
		}
		if r := fetch(func(r *wire.FetchRequest, _ *wire.FetchPartition) { other := "other"; r.ClusterID = &other }); r.Error != wire.InconsistentClusterID {
			t.Errorf("another cluster: %v", r.Error)
		}
		begin := time.Now()
		fetch(func(r *wire.FetchRequest, p *wire.FetchPartition) {
			p.FetchOffset, p.LastFetchedEpoch, r.MaxWaitMillis = last+1, -1, 300
		})
		if d := time.Since(begin); d < 300*time.Millisecond {
			t.Errorf("it waited %v for news", d)
		}
	})
}

// TestAwaitImage waits for what comes, no longer than its context and the quorum live.
func TestAwaitImage(t *testing.T) {
	bubble(t, 7, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		q := s.running(s.leader().id)
		now := q.Image().Offset()
		if err := q.AwaitImage(s.t.Context(), now); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		if err := q.AwaitImage(ctx, now+1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		done := make(chan error)
		go func() { done <- q.AwaitImage(s.t.Context(), now+1) }()
		s.mustDo("b")
		if err := <-done; err != nil {
			t.Error(err)
		}
		go func() { done <- q.AwaitImage(s.t.Context(), now+1000) }()
		time.Sleep(time.Second)
		s.stopAll()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// FuzzFetchedEntries reads answers that a voter would not give.
func FuzzFetchedEntries(f *testing.F) {
	b := record.NewBuilder(record.BuilderOptions{})
	var batches []byte
	for _, e := range entriesOf(1, 3, 2) {
		var err error
		if batches, err = appendEntry(batches, b, e); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(batches, uint64(3), uint64(0))
	f.Add(batches[:len(batches)-5], uint64(2), uint64(0))
	f.Add(bytes.Repeat([]byte{0}, 80), uint64(1), uint64(4))
	f.Fuzz(func(t *testing.T, b []byte, highWatermark, index uint64) {
		r := fetchResult{highWatermark: highWatermark, fetchPlan: fetchPlan{index: index % (1 << 40)}}
		if err := r.readEntries(wire.RecordBytes(b)); err != nil {
			return
		}
		ordered := slices.IsSortedFunc(r.entries, func(a, b *pb.Entry) int { return int(a.GetIndex()) - int(b.GetIndex()) })
		if n := len(r.entries); !ordered || n > 0 && r.entries[n-1].GetIndex() > highWatermark {
			t.Fatalf("%d entries up to %d, committed up to %d", n, r.entries[n-1].GetIndex(), highWatermark)
		}
	})
}

// TestStaleLeaderIsNoJudge asks a leader whose disk is full, and which does not know that it was deposed, about entries that
// the next leader has committed: its word is not taken.
func TestStaleLeaderIsNoJudge(t *testing.T) {
	bubble(t, 8, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		stale := s.leader()
		stale.disk.Add(vfs.Rule{
			Match: func(op vfs.Op, name string) bool { return op == vfs.OpWrite && strings.HasSuffix(name, ".log") },
			Fault: vfs.Fault{Err: syscall.ENOSPC},
		})
		go func() { _, _ = stale.v.q.Do(s.t.Context(), set("stuck")) }()
		var next *simNode
		s.await(5*time.Second, "another leader", func() bool { next = s.leader(); return next != nil && next != stale })
		if _, err := next.v.q.Do(s.t.Context(), removeVoter(next.self)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := next.v.q.Err(); err != nil {
			t.Fatal(err)
		}
		s.settle()
	})
}
