package partition

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
	"pgregory.net/rapid"
)

func leading(t *testing.T, minISR int, replicas, isr []cluster.NodeID) *machine {
	t.Helper()
	m := newMachine(1, 1000, 0, 0, 0)
	m.assigned(assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 1, Replicas: replicas, ISR: isr, MinISR: minISR}, 0)
	if !m.isLeader() {
		t.Fatal("not leader")
	}
	return &m
}

func TestAloneTheHighWatermarkIsTheFlushedEnd(t *testing.T) {
	m := leading(t, 2, ids(1), ids(1)) // min.insync.replicas above the replication factor counts as the factor
	if e := m.appended(10, 0); e.advanced || m.highWatermark != 0 {
		t.Fatalf("advanced to %d before a flush", m.highWatermark)
	}
	if e := m.flushedTo(7); !e.advanced || !e.wake || m.highWatermark != 7 {
		t.Fatalf("high watermark %d after a flush to 7", m.highWatermark)
	}
	if e := m.flushedTo(3); e.advanced || m.highWatermark != 7 {
		t.Fatal("went back")
	}
}

func TestHighWatermarkIsTheLeastFlushedEndInSync(t *testing.T) {
	m := leading(t, 2, ids(1, 2, 3), ids(1, 2, 3))
	m.appended(10, 0)
	m.flushedTo(10)
	m.followerFetched(2, 10, 10, 0)
	if m.highWatermark != 0 {
		t.Fatalf("advanced to %d without follower 3", m.highWatermark)
	}
	m.followerFetched(3, 10, 4, 0)
	if m.highWatermark != 4 {
		t.Fatalf("high watermark %d, want follower 3's flushed end 4", m.highWatermark)
	}
}

func TestNoAdvanceBelowMinISR(t *testing.T) {
	m := leading(t, 2, ids(1, 2, 3), ids(1))
	m.appended(5, 0)
	if e := m.flushedTo(5); e.advanced || m.enoughInSync() {
		t.Fatal("advanced with one of two needed replicas in sync")
	}
	m.assigned(assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 2, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 2}, 0)
	m.followerFetched(2, 5, 5, 0)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d once two are in sync, want 5", m.highWatermark)
	}
}

func TestReplicaBeingLetInHoldsTheHighWatermark(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	m.appended(5, 0)
	m.flushedTo(5)
	e := m.followerFetched(2, 5, 5, 0)
	if want := (ISRChange{LeaderEpoch: 5, PartitionEpoch: 1, ISR: ids(1, 2)}); !sameChange(e.alterISR, want) {
		t.Fatalf("asked for %v, want %v", e.alterISR, want)
	}
	m.appended(9, 0)
	m.flushedTo(9)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d passed the replica whose admission is under way", m.highWatermark)
	}
	m.proposalRefused()
	m.flushedTo(10)
	if m.highWatermark != 10 {
		t.Fatalf("high watermark %d after the refusal, want 10", m.highWatermark)
	}
}

// A follower that has not reached the leader's own epoch may hold another tail: its log end says nothing.
func TestFollowerJoinsOnlyInsideTheLeadersEpoch(t *testing.T) {
	m := newMachine(1, 1000, 10, 10, 4)
	m.assigned(assignment{Leader: 1, LeaderEpoch: 2, PartitionEpoch: 1, Replicas: ids(1, 2), ISR: ids(1), MinISR: 2}, 0)
	if e := m.followerFetched(2, 8, 8, 0); e.alterISR.ISR != nil {
		t.Fatal("let in above the high watermark but below the start of the epoch")
	}
	if e := m.followerFetched(2, 10, 10, 0); e.alterISR.ISR == nil {
		t.Fatal("not let in at the start of the epoch")
	}
}

func TestLaggingFollowerLeaves(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1, 2, 3))
	m.appended(5, 0)
	m.flushedTo(5)
	m.followerFetched(2, 5, 5, 900)
	m.followerFetched(3, 4, 4, 900)
	if e := m.tick(1000); e.alterISR.ISR != nil {
		t.Fatal("dropped within the lag time")
	}
	e := m.tick(1001)
	if !slices.Equal(e.alterISR.ISR, ids(1, 2)) {
		t.Fatalf("asked for %v, want 1 and 2", e.alterISR.ISR)
	}
	if e := m.tick(2000); e.alterISR.ISR != nil {
		t.Fatal("asked again before the answer")
	}
	if m.highWatermark != 4 {
		t.Fatalf("high watermark %d moved before the controller confirmed", m.highWatermark)
	}
	m.assigned(assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: 2, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 1}, 1001)
	if m.highWatermark != 5 {
		t.Fatalf("high watermark %d after the change, want 5", m.highWatermark)
	}
}

// TestFollowerStaysUnderLoad lets a follower fetch that never has all, since records come without a pause, and another one
// that fetches everything and whose disk stands still.
func TestFollowerStaysUnderLoad(t *testing.T) {
	m := leading(t, 1, ids(1, 2, 3), ids(1, 2, 3))
	before := int64(0)
	for now := int64(0); now < 10_000; now += 10 {
		m.appended(m.end+3, 0)
		m.flushedTo(m.end)
		m.followerFetched(2, m.end-1, before, now)
		m.followerFetched(3, m.end, 0, now)
		before = m.end - 3
		if e := m.tick(now); e.alterISR.ISR != nil {
			if !slices.Equal(e.alterISR.ISR, ids(1, 2)) || now <= 100 {
				t.Fatalf("at %d ms asked for %v", now, e.alterISR.ISR)
			}
			m.assigned(assignment{Leader: 1, LeaderEpoch: 5, PartitionEpoch: m.partitionEpoch + 1, Replicas: ids(1, 2, 3), ISR: ids(1, 2), MinISR: 1}, now)
		}
	}
	if !slices.Equal(m.isr, ids(1, 2)) || m.highWatermark < m.end-10 {
		t.Fatalf("in sync are %v, the high watermark is %d of %d", m.isr, m.highWatermark, m.end)
	}
}

func TestNewEpochEndsWaitsAndOldImagesAreIgnored(t *testing.T) {
	m := leading(t, 1, ids(1, 2), ids(1))
	if e := m.assigned(assignment{Leader: 1, LeaderEpoch: 6, PartitionEpoch: 2, Replicas: ids(1, 2), ISR: ids(1)}, 0); !e.lostLeadership {
		t.Fatal("a new epoch of the same leader did not end the old one")
	}
	if e := m.assigned(assignment{Leader: 2, LeaderEpoch: 5, PartitionEpoch: 9}, 0); e.lostLeadership || !m.isLeader() {
		t.Fatal("an older image was taken over")
	}
	if e := m.assigned(assignment{Leader: 2, LeaderEpoch: 7, PartitionEpoch: 3}, 0); !e.lostLeadership || !e.wake || m.isLeader() {
		t.Fatal("did not step down")
	}
}

func TestFollowerTruncatesWhereItDivergesNeverBelowTheHighWatermark(t *testing.T) {
	m := newMachine(2, 1000, 10, 10, 6)
	m.assigned(assignment{Leader: 1, LeaderEpoch: 3, Replicas: ids(1, 2), ISR: ids(1)}, 0)
	if e := m.diverged(8); e.truncateTo != 8 || m.end != 8 || m.flushed != 8 {
		t.Fatalf("truncate to %d, end %d, flushed %d", e.truncateTo, m.end, m.flushed)
	}
	if e := m.diverged(2); e.truncateTo != 6 {
		t.Fatalf("truncate to %d, want the high watermark 6", e.truncateTo)
	}
	if e := m.diverged(9); e.truncateTo != -1 {
		t.Fatal("truncated beyond its end")
	}
	if m.leaderHighWatermark(100); m.highWatermark != 6 {
		t.Fatalf("high watermark %d passed the own end", m.highWatermark)
	}
}

// Whatever happens, a leader's high watermark is monotone and never above a flushed end in the in-sync set.
func TestHighWatermarkInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(1, 10, 0, 0, 0)
		epoch, partitionEpoch, now := int32(0), int32(0), int64(0)
		isr := ids(1, 2, 3)
		image := func() assignment {
			return assignment{Leader: 1, LeaderEpoch: epoch, PartitionEpoch: partitionEpoch, Replicas: ids(1, 2, 3), ISR: isr, MinISR: 2}
		}
		m.assigned(image(), now)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			before, e := m.highWatermark, nothing
			now += rapid.Int64Range(0, 8).Draw(t, "ms")
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0:
				end := m.end + rapid.Int64Range(1, 5).Draw(t, "records")
				e = m.appended(end, rapid.Int64Range(0, end).Draw(t, "flushed with it"))
			case 1:
				e = m.flushedTo(rapid.Int64Range(m.flushed, m.end).Draw(t, "flushed"))
			case 2, 3:
				i := rapid.IntRange(0, 1).Draw(t, "follower")
				end := rapid.Int64Range(max(m.followers[i].end, 0), m.end).Draw(t, "end")
				e = m.followerFetched(m.followers[i].id, end, rapid.Int64Range(max(m.followers[i].flushed, 0), end).Draw(t, "its flush"), now)
			case 4:
				e = m.tick(now)
			case 5:
				if m.proposed != nil {
					isr = m.proposed
					partitionEpoch++
					e = m.assigned(image(), now)
				}
			}
			checkHighWatermark(t, &m, before, e)
		}
	})
}

func checkHighWatermark(t *rapid.T, m *machine, before int64, e effects) {
	if m.highWatermark < before {
		t.Fatalf("high watermark went from %d back to %d", before, m.highWatermark)
	}
	if e.advanced != (m.highWatermark > before) {
		t.Fatal("effect and state differ")
	}
	if !e.advanced {
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
