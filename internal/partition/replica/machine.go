package replica

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/seeded"
)

// Machine is the state of one replica. See the package comment.
type Machine struct {
	self     cluster.NodeID
	lagMaxMs int64 // replica.lag.time.max.ms

	leader         cluster.NodeID // noNode when there is none
	leaderEpoch    int32
	partitionEpoch int32
	uncleanEpoch   int32
	minISR         int
	isr            []cluster.NodeID // sorted
	others         bool             // another replica is eligible to lead without being in sync

	end, flushed  int64 // this replica's
	highWatermark int64

	failed bool // nothing can be written here any more

	// Of a leader.
	epochStart int64            // end offset when this replica became leader
	proposed   []cluster.NodeID // the in-sync set asked of the controller and not answered yet; nil when none
	followers  []follower       // the other assigned replicas, sorted by id

	// Of a follower. unchecked is the offset from which it asks without naming the epoch before, -1 for none.
	unchecked int64
}

const noNode cluster.NodeID = -1

// Config is what never changes of a replica.
type Config struct {
	Self     cluster.NodeID
	LagMaxMs int64 // replica.lag.time.max.ms
}

// Log is what a machine begins with: where the log ends, how much of it is flushed, and what is known to be committed.
type Log struct{ End, Flushed, HighWatermark int64 }

// Assignment is the part of the cluster's image that concerns one partition.
type Assignment struct {
	Leader         cluster.NodeID
	LeaderEpoch    int32
	PartitionEpoch int32
	// UncleanEpoch is the epoch of the last leader that was elected without being known to have all committed records; 0
	// when there was none.
	UncleanEpoch  int32
	Replicas, ISR []cluster.NodeID
	ELR           []cluster.NodeID // who has all committed records without being in sync (KIP-966)
	MinISR        int              // min.insync.replicas of the topic
}

// Effects are what has to be done after an event, in the order of the fields.
type Effects struct {
	LostLeadership bool      // fail all who wait for an acknowledgement
	Moved          bool      // the high watermark is another one
	Wake           bool      // what a read returns may have changed: wake all who wait for data
	TruncateTo     int64     // drop the log's records from this offset on, then call Truncated; -1: nothing
	ResetTo        int64     // drop all records and begin again at this offset, then call Truncated; -1: nothing
	Propose        ISRChange // ask the controller for another in-sync set; its ISR is nil when there is nothing to ask
}

// None is the Effects of an event that has none.
var None = Effects{TruncateTo: -1, ResetTo: -1}

// ISRChange asks the controller for another in-sync set. LeaderEpoch and PartitionEpoch say on what it rests.
type ISRChange struct {
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []Member // sorted by id
}

// Member is a replica in a proposed in-sync set, in the life in which it is known to be in sync.
type Member struct {
	ID          cluster.NodeID
	BrokerEpoch int64 // -1 when it has not fetched from this leader, and for the leader itself
}

// New returns a replica that nobody has been told of yet: neither leader nor follower.
func New(c Config, l Log) Machine {
	return Machine{
		self: c.Self, lagMaxMs: c.LagMaxMs,
		leader: noNode, leaderEpoch: -1, partitionEpoch: -1, unchecked: -1,
		end: l.End, flushed: l.Flushed, highWatermark: l.HighWatermark,
	}
}

// Clone returns a machine that shares nothing with m.
func (m *Machine) Clone() Machine {
	c := *m
	c.isr, c.proposed, c.followers = slices.Clone(m.isr), slices.Clone(m.proposed), slices.Clone(m.followers)
	return c
}

// IsLeader reports whether this replica leads.
func (m *Machine) IsLeader() bool { return m.leader == m.self }

// Leader returns the leader of the partition, -1 when there is none.
func (m *Machine) Leader() cluster.NodeID { return m.leader }

// LeaderEpoch returns the epoch of the leader, -1 before the first.
func (m *Machine) LeaderEpoch() int32 { return m.leaderEpoch }

// PartitionEpoch returns how often the partition had changed in the image.
func (m *Machine) PartitionEpoch() int32 { return m.partitionEpoch }

// EpochStart returns where a leader's own epoch begins.
func (m *Machine) EpochStart() int64 { return m.epochStart }

// HighWatermark returns the offset below which records are committed, as far as this replica knows.
func (m *Machine) HighWatermark() int64 { return m.highWatermark }

// End returns where this replica's log ends, Flushed how much of it is on disk.
func (m *Machine) End() int64 { return m.end }

// Flushed returns the offset below which this replica's records are on disk.
func (m *Machine) Flushed() int64 { return m.flushed }

// ISR returns the in-sync set of the image, sorted. It is not to be changed.
func (m *Machine) ISR() []cluster.NodeID { return m.isr }

// Assigned takes over what the cluster's image says. An image that is older than the last one changes nothing. A replica
// that becomes leader must have begun the new epoch at the end of its log before.
func (m *Machine) Assigned(a Assignment, nowMs int64) Effects {
	if a.LeaderEpoch < m.leaderEpoch || (a.LeaderEpoch == m.leaderEpoch && a.PartitionEpoch < m.partitionEpoch) {
		return None
	}
	wasLeader, newEpoch := m.IsLeader(), a.LeaderEpoch > m.leaderEpoch
	changed := a.PartitionEpoch > m.partitionEpoch
	if changed || newEpoch {
		m.proposed = nil
	}
	m.leader, m.leaderEpoch, m.partitionEpoch, m.uncleanEpoch = a.Leader, a.LeaderEpoch, a.PartitionEpoch, a.UncleanEpoch
	m.minISR = max(a.MinISR, 1)
	m.isr = slices.Sorted(slices.Values(a.ISR))
	m.others = slices.ContainsFunc(a.ELR, func(id cluster.NodeID) bool { return id != m.self })
	e := None
	e.Wake = newEpoch || wasLeader != m.IsLeader()
	e.LostLeadership = wasLeader && e.Wake
	if newEpoch {
		m.unchecked = -1
	}
	if seeded.Is(seeded.TruncateToHighWatermark) && newEpoch && !m.IsLeader() && m.end > m.highWatermark {
		e.TruncateTo = m.highWatermark
		m.end, m.flushed = m.highWatermark, min(m.flushed, m.highWatermark)
	}
	if !m.IsLeader() {
		m.followers = nil
		return e
	}
	if newEpoch || !wasLeader {
		m.followers = nil
		m.epochStart = m.end
	}
	m.track(a.Replicas, nowMs)
	e.Wake = e.Wake || changed // who has left the in-sync set is to be looked at again, though nothing is appended
	e = m.advance(e)
	// One that is elected although it has failed, alone, waits for Tick: those it would leave the partition to may have failed
	// as well, and would give it back at once.
	if m.mustResign() && (len(m.isr) > 1 || !newEpoch) {
		return m.resign(e)
	}
	return e
}

// Retired says that the partition has left this node: nobody leads or follows here any more.
func (m *Machine) Retired() Effects {
	e := None
	e.LostLeadership, e.Wake = m.IsLeader(), true
	m.leader, m.followers, m.proposed = noNode, nil, nil
	return e
}

// Appended says that this replica's log ends at end, and that what is below flushed is on disk already.
func (m *Machine) Appended(end, flushed int64) Effects {
	m.end = max(m.end, end, flushed)
	m.flushed = max(m.flushed, flushed)
	e := None
	e.Wake = len(m.followers) > 0 // followers read beyond the high watermark
	return m.advance(e)
}

// FlushedTo says that this replica's records below flushed are on disk.
func (m *Machine) FlushedTo(flushed int64) Effects {
	m.flushed = max(m.flushed, flushed)
	m.end = max(m.end, flushed)
	return m.advance(None)
}

// StartedAt says that the log begins at start: everything below counts as committed.
func (m *Machine) StartedAt(start int64) Effects {
	e := None
	e.Wake = len(m.followers) > 0 // whose logs begin there too
	m.raise(&e, start)
	return e
}

// raise moves the high watermark forward.
func (m *Machine) raise(e *Effects, hw int64) {
	if hw > m.highWatermark {
		m.highWatermark, e.Moved, e.Wake = hw, true, true
	}
}
