package replica

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
	"pgregory.net/rapid"
)

func leading(t *testing.T, minISR int, replicas, isr []cluster.NodeID) *Machine {
	t.Helper()
	m := New(Config{Self: 1, LagMaxMs: 1000}, Log{0, 0, 0})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 1, Replicas: replicas, ISR: isr, MinISR: minISR}, 0)
	if !m.IsLeader() {
		t.Fatal("not leader")
	}
	return &m
}

func TestAloneTheHighWatermarkIsTheFlushedEnd(t *testing.T) {
	m := leading(t, 2, ids(1), ids(1)) // min.insync.replicas above the replication factor counts as the factor
	if e := m.Appended(10, 0); e.Moved || m.highWatermark != 0 {
		t.Fatalf("advanced to %d before a flush", m.highWatermark)
	}
	if e := m.FlushedTo(7); !e.Moved || !e.Wake || m.highWatermark != 7 {
		t.Fatalf("high watermark %d after a flush to 7", m.highWatermark)
	}
	if e := m.FlushedTo(3); e.Moved || m.highWatermark != 7 {
		t.Fatal("went back")
	}
}

func TestHighWatermarkIsTheLeastFlushedEndInSync(t *testing.T) {
	m := leading(t, 2, ids(1, 2, 3), ids(1, 2, 3))
	m.Appended(10, 0)
	m.FlushedTo(10)
	m.FollowerFetched(fetch(m.leaderEpoch, 2, 10, 10), 0)
	if m.highWatermark != 0 {
		t.Fatalf("advanced to %d without follower 3", m.highWatermark)
	}
	m.FollowerFetched(fetch(m.leaderEpoch, 3, 10, 4), 0)
	if m.highWatermark != 4 {
		t.Fatalf("high watermark %d, want follower 3's flushed end 4", m.highWatermark)
	}
}

func TestNoAdvanceBelowMinISR(t *testing.T) {
	m := leading(t, 2, ids(1, 2, 3), ids(1))
	m.Appended(5, 0)
	if e := m.FlushedTo(5); e.Moved || m.EnoughInSync() {
		t.Fatal("advanced with one of two needed replicas in sync")
	}
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 2, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 2}, 0)
	m.FollowerFetched(fetch(m.leaderEpoch, 2, 5, 5), 0)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d once two are in sync, want 5", m.highWatermark)
	}
}

func TestReplicaBeingLetInHoldsTheHighWatermark(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	m.Appended(5, 0)
	m.FlushedTo(5)
	e := m.FollowerFetched(fetch(m.leaderEpoch, 2, 5, 5), 0)
	if want := (ISRChange{LeaderEpoch: 5, PartitionEpoch: 1, ISR: []Member{{1, -1}, {2, 1}}}); !sameChange(e.Propose, want) {
		t.Fatalf("asked for %v, want %v", e.Propose, want)
	}
	m.Appended(9, 0)
	m.FlushedTo(9)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d passed the replica whose admission is under way", m.highWatermark)
	}
	m.ProposalRefused(e.Propose)
	m.FlushedTo(10)
	if m.highWatermark != 10 {
		t.Fatalf("high watermark %d after the refusal, want 10", m.highWatermark)
	}
}

// A follower that has not reached the leader's own epoch may hold another tail: its log end says None.
func TestFollowerJoinsOnlyInsideTheLeadersEpoch(t *testing.T) {
	m := New(Config{Self: 1, LagMaxMs: 1000}, Log{10, 10, 4})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 2, PartitionEpoch: 1, Replicas: ids(1, 2), ISR: ids(1), MinISR: 2}, 0)
	if e := m.FollowerFetched(fetch(m.leaderEpoch, 2, 8, 8), 0); e.Propose.ISR != nil {
		t.Fatal("let in above the high watermark but below the start of the epoch")
	}
	if e := m.FollowerFetched(fetch(m.leaderEpoch, 2, 10, 10), 0); e.Propose.ISR == nil {
		t.Fatal("not let in at the start of the epoch")
	}
}

func TestLaggingFollowerLeaves(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1, 2, 3))
	m.Appended(5, 0)
	m.FlushedTo(5)
	m.FollowerFetched(fetch(m.leaderEpoch, 2, 5, 5), 900)
	m.FollowerFetched(fetch(m.leaderEpoch, 3, 4, 4), 900)
	if e := m.Tick(1000); e.Propose.ISR != nil {
		t.Fatal("dropped within the lag time")
	}
	e := m.Tick(1001)
	if !slices.Equal(members(e.Propose), ids(1, 2)) {
		t.Fatalf("asked for %v, want 1 and 2", e.Propose.ISR)
	}
	if e := m.Tick(2000); e.Propose.ISR != nil {
		t.Fatal("asked again before the answer")
	}
	if m.highWatermark != 4 {
		t.Fatalf("high watermark %d moved before the controller confirmed", m.highWatermark)
	}
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 2, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 1}, 1001)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d after the change, want 5", m.highWatermark)
	}
}

func TestLeaderWithoutRoomResigns(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1, 2))
	e := m.NoSpace()
	if !slices.Equal(members(e.Propose), ids(2)) {
		t.Fatalf("asked for %v, want 2", e.Propose.ISR)
	}
	if e := m.NoSpace(); e.Propose.ISR != nil {
		t.Fatal("asked again before the answer")
	}
	m.ProposalRefused(e.Propose)
	if e := m.Tick(10); e.Propose.ISR != nil {
		t.Fatal("asked again although the log may have room by now")
	}
	if e := m.NoSpace(); e.Propose.ISR == nil {
		t.Fatal("does not ask again")
	}
	if e := leading(t, 1, ids(1, 2), ids(1)).NoSpace(); e.Propose.ISR != nil {
		t.Fatal("the only one in sync resigns")
	}
}

// Whoever has resigned may have been followed by another leader, until it is told or refused.
func TestResignsUntilItIsKnown(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1, 2, 3))
	if m.Resigns() {
		t.Fatal("it has not")
	}
	e := m.NoSpace()
	if !m.Resigns() {
		t.Fatal("another may lead")
	}
	m.ProposalRefused(e.Propose)
	if m.Resigns() {
		t.Fatal("it was refused")
	}
	m.NoSpace()
	m.Assigned(Assignment{Leader: 2, LeaderEpoch: m.leaderEpoch + 1, PartitionEpoch: m.partitionEpoch + 1, Replicas: ids(1, 2, 3), ISR: ids(2, 3), MinISR: 1}, 0)
	if m.Resigns() {
		t.Fatal("it follows")
	}
	m = leading(t, 1, ids(1, 2), ids(1, 2))
	if e := m.Tick(5000); e.Propose.ISR == nil || m.Resigns() {
		t.Fatal("a follower that leaves is no resignation")
	}
}

// A leader that is alone in sync leaves the partition to those that have everything too, if there are any.
func TestFailedLeaderResigns(t *testing.T) {
	for _, c := range []struct {
		isr, elr, want []cluster.NodeID
	}{
		{ids(1, 2, 3), nil, ids(2, 3)},
		{ids(1), ids(2, 3), []cluster.NodeID{}},
		{ids(1), ids(1), nil},
		{ids(1), nil, nil},
	} {
		m := leading(t, 1, ids(1, 2, 3), c.isr)
		m.Assigned(Assignment{Leader: 1, LeaderEpoch: m.leaderEpoch, PartitionEpoch: m.partitionEpoch + 1,
			Replicas: ids(1, 2, 3), ISR: c.isr, ELR: c.elr, MinISR: 2}, 0)
		e := m.Failed()
		if (e.Propose.ISR == nil) != (c.want == nil) || !slices.Equal(members(e.Propose), c.want) {
			t.Errorf("in sync %v, eligible %v: asks for %v, want %v", c.isr, c.elr, e.Propose.ISR, c.want)
		}
	}
}

// Two that have failed do not hand a partition to and fro as fast as the controller answers.
func TestFailedLeaderThatIsElectedWaits(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	m.Failed()
	a := Assignment{Leader: 1, LeaderEpoch: 6, PartitionEpoch: 2, Replicas: ids(1, 2), ISR: ids(1), ELR: ids(2), MinISR: 2}
	if e := m.Assigned(a, 0); e.Propose.ISR != nil {
		t.Fatal("it resigns at once, to one that may just have done so")
	}
	if e := m.Tick(1); e.Propose.ISR == nil || len(e.Propose.ISR) > 0 {
		t.Fatalf("in time it asks for %v, want nobody in sync", e.Propose.ISR)
	}
	a.LeaderEpoch, a.PartitionEpoch, a.ISR, a.ELR = 7, 3, ids(1, 2), nil
	if e := m.Assigned(a, 2); !slices.Equal(members(e.Propose), ids(2)) {
		t.Fatalf("with another one in sync it asks for %v, want 2", e.Propose.ISR)
	}
}

// TestFollowerStaysUnderLoad lets a follower fetch that never has all, since records come without a pause, and another one
// that fetches everything and whose disk stands still.
func TestFollowerStaysUnderLoad(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1, 2, 3))
	before := int64(0)
	for now := int64(0); now < 10_000; now += 10 {
		m.Appended(m.end+3, 0)
		m.FlushedTo(m.end)
		m.FollowerFetched(fetch(m.leaderEpoch, 2, m.end-1, before), now)
		m.FollowerFetched(fetch(m.leaderEpoch, 3, m.end, 0), now)
		before = m.end - 3
		if e := m.Tick(now); e.Propose.ISR != nil {
			if !slices.Equal(members(e.Propose), ids(1, 2)) || now <= 100 {
				t.Fatalf("at %d ms asked for %v", now, e.Propose.ISR)
			}
			m.Assigned(Assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: m.partitionEpoch + 1, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 1}, now)
		}
	}
	if !slices.Equal(m.isr, ids(1, 2)) || m.highWatermark < m.end-10 {
		t.Fatalf("in sync are %v, the high watermark is %d of %d", m.isr, m.highWatermark, m.end)
	}
}

func TestNewEpochEndsWaitsAndOldImagesAreIgnored(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	if e := m.Assigned(Assignment{Leader: 1, LeaderEpoch: 6, PartitionEpoch: 2, Replicas: ids(1, 2), ISR: ids(1)}, 0); !e.LostLeadership {
		t.Fatal("a new epoch of the same leader did not end the old one")
	}
	if e := m.Assigned(Assignment{Leader: 2, LeaderEpoch: 5, PartitionEpoch: 9}, 0); e.LostLeadership || !m.IsLeader() {
		t.Fatal("an older image was taken over")
	}
	if e := m.Assigned(Assignment{Leader: 2, LeaderEpoch: 7, PartitionEpoch: 3}, 0); !e.LostLeadership || !e.Wake || m.IsLeader() {
		t.Fatal("did not step down")
	}
}

func TestFollowerTruncatesWhereItDivergesNeverBelowTheHighWatermark(t *testing.T) {
	m := New(Config{Self: 2, LagMaxMs: 1000}, Log{10, 10, 6})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 3, Replicas: ids(1, 2), ISR: ids(1)}, 0)
	if e := m.Diverged(EpochEnd{2, 9}, EpochEnd{2, 8}, 1); e.TruncateTo != 8 || m.end != 8 || m.flushed != 8 {
		t.Fatalf("truncate to %d, end %d, flushed %d", e.TruncateTo, m.end, m.flushed)
	}
	if _, names := m.FetchFrom(); !names {
		t.Fatal("does not name its last epoch")
	}
	if e := m.Diverged(EpochEnd{1, 2}, EpochEnd{1, 7}, 1); e.TruncateTo != 6 || e.Moved {
		t.Fatalf("truncate to %d, want the high watermark 6", e.TruncateTo)
	}
	if from, names := m.FetchFrom(); from != 6 || names {
		t.Fatalf("asks from %d (naming an epoch: %v), want the high watermark, whatever epoch is before it", from, names)
	}
	if e := m.Diverged(EpochEnd{1, 9}, EpochEnd{1, 9}, 1); e.TruncateTo != -1 {
		t.Fatal("truncated beyond its end")
	}
	if m.LeaderAnswered(100); m.highWatermark != 6 {
		t.Fatalf("high watermark %d passed the own end", m.highWatermark)
	}
	m.Appended(8, 6)
	if from, names := m.FetchFrom(); from != 8 || !names {
		t.Fatalf("asks from %d (naming an epoch: %v) after it has appended", from, names)
	}
}

// What was committed before an unclean election is not in the new leader's log for sure.
func TestFollowerGivesUpWhatAnUncleanElectionHasLost(t *testing.T) {
	m := New(Config{Self: 2, LagMaxMs: 1000}, Log{10, 10, 6})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 3, UncleanEpoch: 3, Replicas: ids(1, 2), ISR: ids(1)}, 0)
	if e := m.Diverged(EpochEnd{1, 4}, EpochEnd{1, 7}, 2); e.TruncateTo != 4 || !e.Moved || m.HighWatermark() != 4 {
		t.Fatalf("truncate to %d, high watermark %d, want 4", e.TruncateTo, m.HighWatermark())
	}
	m = New(Config{Self: 2, LagMaxMs: 1000}, Log{10, 10, 6})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 3, UncleanEpoch: 2, Replicas: ids(1, 2), ISR: ids(1)}, 0)
	if e := m.Diverged(EpochEnd{1, 4}, EpochEnd{1, 7}, 2); e.TruncateTo != 6 {
		t.Fatalf("truncate to %d, want the high watermark: it was written after the unclean election", e.TruncateTo)
	}
}

func TestFollowerBeginsWhereTheLeaderBegins(t *testing.T) {
	m := New(Config{Self: 2, LagMaxMs: 1000}, Log{10, 10, 6})
	m.Assigned(Assignment{Leader: 1, LeaderEpoch: 3, Replicas: ids(1, 2), ISR: ids(1)}, 0)
	if e := m.OutOfRange(20, 1); e.ResetTo != 20 || !e.Moved || m.HighWatermark() != 20 || m.End() != 20 {
		t.Fatalf("reset to %d, high watermark %d, end %d; want 20", e.ResetTo, m.HighWatermark(), m.End())
	}
	if e := m.OutOfRange(5, 1); e.ResetTo != -1 || e.TruncateTo != -1 {
		t.Fatalf("a leader that is behind what is committed made it reset to %d", e.ResetTo)
	}
}

func TestFetchesOfAnotherLife(t *testing.T) {
	m := leading(t, 2, ids(1, 2), ids(1, 2))
	m.Appended(10, 10)
	m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 7, End: 4, Flushed: 4, Eligible: true}, 0)
	m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 7, End: 2, Flushed: 2, Eligible: true}, 0) // overtaken
	if end, _ := m.FollowerEnd(2); end != 4 {
		t.Fatalf("the follower ends at %d, want 4", end)
	}
	m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 6, End: 9, Flushed: 9, Eligible: true}, 0)
	if end, _ := m.FollowerEnd(2); end != 4 {
		t.Fatal("a fetch of an earlier life counts")
	}
	m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 8, End: 1, Flushed: 0, Eligible: true}, 0)
	if end, _ := m.FollowerEnd(2); end != 1 {
		t.Fatal("what an earlier life had counts for the next")
	}
}

// A replica that is fenced, draining or of a life that the image does not have stays out (KIP-841, KIP-903).
func TestIneligibleFollowerIsNotProposed(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	if e := m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 7}, 0); e.Propose.ISR != nil {
		t.Fatal("proposed though it is not eligible")
	}
	if e := m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 7, Eligible: true}, 0); e.Propose.ISR == nil {
		t.Fatal("not proposed")
	}
}

// Whatever happens, a leader's high watermark is monotone and never above a flushed end in the in-sync set.
func TestHighWatermarkInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New(Config{Self: 1, LagMaxMs: 10}, Log{0, 0, 0})
		epoch, partitionEpoch, now := int32(0), int32(0), int64(0)
		isr := ids(1, 2, 3)
		image := func() Assignment {
			return Assignment{Leader: 1, LeaderEpoch: epoch, PartitionEpoch: partitionEpoch, Replicas: ids(1, 2, 3), ISR: isr, MinISR: 2}
		}
		m.Assigned(image(), now)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			before, e := m.highWatermark, None
			now += rapid.Int64Range(0, 8).Draw(t, "ms")
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0:
				end := m.end + rapid.Int64Range(1, 5).Draw(t, "records")
				e = m.Appended(end, rapid.Int64Range(0, end).Draw(t, "flushed with it"))
			case 1:
				e = m.FlushedTo(rapid.Int64Range(m.flushed, m.end).Draw(t, "flushed"))
			case 2, 3:
				i := rapid.IntRange(0, 1).Draw(t, "follower")
				end := rapid.Int64Range(max(m.followers[i].end, 0), m.end).Draw(t, "end")
				flushed := rapid.Int64Range(max(m.followers[i].flushed, 0), end).Draw(t, "its flush")
				e = m.FollowerFetched(fetch(m.leaderEpoch, m.followers[i].id, end, flushed), now)
			case 4:
				e = m.Tick(now)
			case 5:
				if m.proposed != nil {
					isr = m.proposed
					partitionEpoch++
					e = m.Assigned(image(), now)
				}
			}
			checkHighWatermark(t, &m, before, e)
		}
	})
}

func checkHighWatermark(t *rapid.T, m *Machine, before int64, e Effects) {
	if m.highWatermark < before {
		t.Fatalf("high watermark went from %d back to %d", before, m.highWatermark)
	}
	if e.Moved != (m.highWatermark > before) {
		t.Fatal("effect and state differ")
	}
	if !e.Moved {
		return
	}
	if m.highWatermark > m.flushed {
		t.Fatalf("high watermark %d above the own flush %d", m.highWatermark, m.flushed)
	}
	for _, f := range m.followers {
		if (slices.Contains(m.isr, f.id) || slices.Contains(m.proposed, f.id)) && f.flushed < m.highWatermark {
			// one that is asked in by this very event has been checked against the old high watermark
			t.Fatalf("high watermark %d above the flush %d of replica %d", m.highWatermark, f.flushed, f.id)
		}
	}
	if len(m.isr) < 2 {
		t.Fatal("advanced below min.insync.replicas")
	}
}

func ids(n ...cluster.NodeID) []cluster.NodeID { return n }

func sameChange(a, b ISRChange) bool {
	return a.LeaderEpoch == b.LeaderEpoch && a.PartitionEpoch == b.PartitionEpoch && slices.Equal(a.ISR, b.ISR)
}

// fetch is a fetch of a replica whose broker epoch is 1.
func fetch(epoch int32, id cluster.NodeID, end, flushed int64) Fetch {
	return Fetch{ID: id, LeaderEpoch: epoch, BrokerEpoch: 1, End: end, Flushed: flushed, Eligible: true}
}

func members(c ISRChange) (list []cluster.NodeID) {
	for _, m := range c.ISR {
		list = append(list, m.ID)
	}
	return list
}

// TestAdmitWhoWasNotEligible: a follower with nothing to fetch is let in when the image has it alive, without a fetch.
func TestAdmitWhoWasNotEligible(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1))
	m.Appended(4, 4)
	m.FollowerFetched(Fetch{ID: 2, LeaderEpoch: 5, BrokerEpoch: 7, End: 4, Flushed: 4}, 0)
	m.FollowerFetched(Fetch{ID: 3, LeaderEpoch: 5, BrokerEpoch: 9, End: 4, Flushed: 3}, 0)
	all := func(cluster.NodeID, int64) bool { return true }
	if e := m.Admit(func(id cluster.NodeID, epoch int64) bool { return id == 2 && epoch != 7 }); e.Propose.ISR != nil {
		t.Fatalf("proposed %v, of an earlier life", e.Propose.ISR)
	}
	e := m.Admit(all)
	if want := []Member{{1, -1}, {2, 7}}; !slices.Equal(e.Propose.ISR, want) {
		t.Fatalf("proposed %v, want %v", e.Propose.ISR, want)
	}
	if again := m.Admit(all); again.Propose.ISR != nil {
		t.Fatal("proposed while a proposal has no answer")
	}
	m.ProposalRefused(e.Propose)
	if again := m.Admit(all); !slices.Equal(again.Propose.ISR, e.Propose.ISR) {
		t.Fatalf("proposed %v after a refusal", again.Propose.ISR)
	}
}
