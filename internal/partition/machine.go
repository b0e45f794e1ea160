package partition

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

// machine is the replication rule of one replica. It is pure: the shell tells it what happened, with the time where the
// rule needs one, and carries out the effects it returns.
//
// The rules are Kafka's (KIP-101, KIP-279, KIP-497, KIP-903) with one difference: a replica counts with its flushed end
// offset, not its end offset. What "flushed" promises is the log's matter.
type machine struct {
	self     cluster.NodeID
	lagMaxMs int64 // replica.lag.time.max.ms

	leader         cluster.NodeID // noNode when there is none
	leaderEpoch    int32
	partitionEpoch int32
	epochStart     int64 // end offset when this replica became leader
	minISR         int
	isr            []cluster.NodeID // sorted
	proposed       []cluster.NodeID // the in-sync set asked of the controller and not answered yet; nil when none
	followers      []follower       // the other assigned replicas, sorted by id; only a leader's

	end, flushed  int64 // this replica's
	highWatermark int64
}

// follower is what a leader knows of another replica. end and flushed are -1 until it has fetched in this epoch.
type follower struct {
	id           cluster.NodeID
	end, flushed int64
	caughtUpMs   int64 // up to when it is known to have had on disk all that the leader had then
	// goal is where the leader's log ended at goalMs. While records come without a pause a follower never has all of them,
	// but it has reached one goal after the other.
	goal, goalMs int64
}

// reached notes how far the follower has flushed while the leader's log ends at end.
func (f *follower) reached(end, nowMs int64) {
	switch {
	case f.flushed >= end:
		f.caughtUpMs = nowMs
	case f.flushed >= f.goal:
		f.caughtUpMs = max(f.caughtUpMs, f.goalMs)
	default:
		return
	}
	f.goal, f.goalMs = end, nowMs
}

// assignment is the part of the cluster's image that concerns one partition.
type assignment struct {
	Leader         cluster.NodeID
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas, ISR  []cluster.NodeID
	MinISR         int // min.insync.replicas of the topic
}

// effects are what the shell has to do after an event, in the order of the fields.
type effects struct {
	lostLeadership bool      // fail all who wait for an acknowledgement
	advanced       bool      // the high watermark moved
	wake           bool      // what a read returns may have changed: wake all who wait for data
	truncateTo     int64     // drop the log's records from this offset on; -1: nothing
	alterISR       ISRChange // ask the controller for another in-sync set; zero: nothing
}

// ISRChange asks the controller for another in-sync set. PartitionEpoch says on what it rests.
type ISRChange struct {
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []cluster.NodeID
}

const noNode cluster.NodeID = -1

func newMachine(self cluster.NodeID, lagMaxMs int64, end, flushed, highWatermark int64) machine {
	return machine{
		self: self, lagMaxMs: lagMaxMs,
		leader: noNode, leaderEpoch: -1, partitionEpoch: -1,
		end: end, flushed: flushed, highWatermark: highWatermark,
	}
}

func (m *machine) isLeader() bool { return m.leader == m.self }

// assigned takes over what the cluster's image says. An image that is older than the last one changes nothing.
func (m *machine) assigned(a assignment, nowMs int64) effects {
	if a.LeaderEpoch < m.leaderEpoch || (a.LeaderEpoch == m.leaderEpoch && a.PartitionEpoch < m.partitionEpoch) {
		return nothing
	}
	wasLeader, newEpoch := m.isLeader(), a.LeaderEpoch > m.leaderEpoch
	if a.PartitionEpoch > m.partitionEpoch || newEpoch {
		m.proposed = nil
	}
	m.leader, m.leaderEpoch, m.partitionEpoch = a.Leader, a.LeaderEpoch, a.PartitionEpoch
	m.minISR = max(a.MinISR, 1)
	m.isr = slices.Sorted(slices.Values(a.ISR))
	e := nothing
	e.wake = newEpoch || wasLeader != m.isLeader()
	e.lostLeadership = wasLeader && e.wake
	if !m.isLeader() {
		m.followers = nil
		return e
	}
	if newEpoch || !wasLeader {
		m.followers = nil
		m.epochStart = m.end
	}
	m.track(a.Replicas, nowMs)
	return m.advance(e)
}

// track makes followers match the assigned replicas. A replica that is new gets the whole lag time to catch up.
func (m *machine) track(replicas []cluster.NodeID, nowMs int64) {
	m.followers = slices.DeleteFunc(m.followers, func(f follower) bool { return !slices.Contains(replicas, f.id) })
	for _, id := range slices.Sorted(slices.Values(replicas)) {
		at, found := m.follower(id)
		if id != m.self && !found {
			m.followers = slices.Insert(m.followers, at, follower{id: id, end: -1, flushed: -1, caughtUpMs: nowMs, goal: m.end, goalMs: nowMs})
		}
	}
}

func (m *machine) follower(id cluster.NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.followers, id, func(f follower, id cluster.NodeID) int { return int(f.id) - int(id) })
}

// appended says that this replica's log ends at end, and that what is below flushed is on disk already.
func (m *machine) appended(end, flushed int64) effects {
	m.end = max(m.end, end, flushed)
	m.flushed = max(m.flushed, flushed)
	e := nothing
	e.wake = len(m.followers) > 0 // followers read beyond the high watermark
	return m.advance(e)
}

// flushedTo says that this replica's records below flushed are on disk.
func (m *machine) flushedTo(flushed int64) effects {
	m.flushed = max(m.flushed, flushed)
	m.end = max(m.end, flushed)
	return m.advance(nothing)
}

// followerFetched says that a replica asks for records from end on, so that it holds all below, and has those below
// flushed on disk. The shell has checked that the fetch carries this leader's epoch.
func (m *machine) followerFetched(id cluster.NodeID, end, flushed int64, nowMs int64) effects {
	i, found := m.follower(id)
	if !m.isLeader() || !found {
		return nothing
	}
	f := &m.followers[i]
	f.end, f.flushed = end, min(flushed, end)
	f.reached(m.end, nowMs)
	e := m.advance(nothing)
	if m.mayJoin(f) {
		return m.propose(e, append(slices.Clone(m.isr), id))
	}
	return e
}

// mayJoin reports whether a follower may be let into the in-sync set: it holds all that is committed, and has reached
// this leader's own epoch, without which its tail may differ from the leader's.
func (m *machine) mayJoin(f *follower) bool {
	return m.proposed == nil && !slices.Contains(m.isr, f.id) && f.flushed >= max(m.highWatermark, m.epochStart)
}

// tick drops followers from the in-sync set that have not caught up for the lag time. One whose disk does not keep up holds
// the high watermark as much as one that does not fetch.
func (m *machine) tick(nowMs int64) effects {
	if !m.isLeader() || m.proposed != nil {
		return nothing
	}
	isr := slices.DeleteFunc(slices.Clone(m.isr), func(id cluster.NodeID) bool {
		i, found := m.follower(id)
		return found && m.followers[i].flushed < m.end && nowMs-m.followers[i].caughtUpMs > m.lagMaxMs
	})
	if len(isr) == len(m.isr) {
		return nothing
	}
	return m.propose(nothing, isr)
}

func (m *machine) propose(e effects, isr []cluster.NodeID) effects {
	slices.Sort(isr)
	m.proposed = isr
	e.alterISR = ISRChange{LeaderEpoch: m.leaderEpoch, PartitionEpoch: m.partitionEpoch, ISR: slices.Clone(isr)}
	return e
}

// proposalRefused says that the controller did not take the last in-sync set; the next event may ask again.
func (m *machine) proposalRefused() { m.proposed = nil }

// diverged says that the leader's log and this follower's part after end: what follows is not the leader's. Committed
// records are never dropped.
func (m *machine) diverged(end int64) effects {
	e := nothing
	if m.isLeader() || end >= m.end {
		return e
	}
	m.end = max(end, m.highWatermark)
	m.flushed = min(m.flushed, m.end)
	e.truncateTo = m.end
	return e
}

// leaderHighWatermark is what a follower learns from the leader's answer; it never passes the follower's own end.
func (m *machine) leaderHighWatermark(hw int64) effects {
	e := nothing
	if hw = min(hw, m.end); !m.isLeader() && hw > m.highWatermark {
		m.highWatermark, e.advanced, e.wake = hw, true, true
	}
	return e
}

// startedAt says that the log begins at start: everything below counts as committed.
func (m *machine) startedAt(start int64) effects {
	e := nothing
	if start > m.highWatermark {
		m.highWatermark, e.advanced, e.wake = start, true, true
	}
	return e
}

// enoughInSync reports whether acks=all can be promised now.
func (m *machine) enoughInSync() bool {
	return len(m.isr) >= min(m.minISR, len(m.followers)+1)
}

// advance moves a leader's high watermark to the least flushed end over the in-sync set and those being let in.
func (m *machine) advance(e effects) effects {
	if !m.isLeader() || !m.enoughInSync() {
		return e
	}
	hw := m.flushed
	for i := range m.followers {
		f := &m.followers[i]
		if slices.Contains(m.isr, f.id) || slices.Contains(m.proposed, f.id) {
			hw = min(hw, f.flushed)
		}
	}
	if hw > m.highWatermark {
		m.highWatermark, e.advanced, e.wake = hw, true, true
	}
	return e
}

var nothing = effects{truncateTo: -1}
