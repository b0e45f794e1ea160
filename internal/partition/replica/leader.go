package replica

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/wire"
)

// follower is what a leader knows of another replica. end and flushed are -1 until it has fetched in this epoch.
type follower struct {
	id           cluster.NodeID
	brokerEpoch  int64 // of the life in which it fetched last, -1 when unknown
	copy         int32 // how often it has begun anew in that life
	start        int64 // of its log
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

// Fetch is what a follower's fetch says: that it holds all records from Start to End, and has those below Flushed on disk.
type Fetch struct {
	ID          cluster.NodeID
	LeaderEpoch int32 // in which the fetch was checked against the leader's log
	BrokerEpoch int64 // of the life that fetches, -1 when it does not say
	Copy        int32 // how often the follower's log was begun anew in that life
	Start       int64 // of its log
	End         int64
	Flushed     int64
	// Eligible tells that the image has the replica alive, not draining, and in this life: it may be in sync (KIP-841,
	// KIP-903).
	Eligible bool
}

// FollowerFetched takes note of a follower's fetch, of which the caller has checked that it carries this leader's epoch
// and that the log does not diverge below End. One of another epoch, in which the log may have been another, or of an
// earlier life or copy than the last is passed over. Within one copy and one leader epoch a follower that does not diverge
// loses nothing, so that fetches which overtake each other do no harm.
func (m *Machine) FollowerFetched(r Fetch, nowMs int64) Effects {
	f := m.heard(r.ID, r.LeaderEpoch, r.BrokerEpoch, r.Copy)
	if f == nil {
		return None
	}
	starts := r.Start != f.start
	f.start = r.Start
	f.end = max(f.end, r.End)
	f.flushed = max(f.flushed, min(r.Flushed, r.End))
	if seeded.Is(seeded.CountUnflushedFollower) {
		f.flushed = f.end
	}
	f.reached(m.end, nowMs)
	e := m.advance(None)
	e.Wake = e.Wake || starts // who deletes records waits for it
	if r.Eligible && m.mayJoin(f) {
		return m.propose(e, append(slices.Clone(m.isr), r.ID))
	}
	return e
}

// heard returns the follower that speaks, nil when what it says is not of this epoch, or of a life or a copy before the
// last. What it had in those says nothing of the next.
func (m *Machine) heard(id cluster.NodeID, leaderEpoch int32, brokerEpoch int64, number int32) *follower {
	i, found := m.follower(id)
	if !m.IsLeader() || !found || leaderEpoch != m.leaderEpoch {
		return nil
	}
	f := &m.followers[i]
	sameLife := brokerEpoch == f.brokerEpoch
	if brokerEpoch >= 0 && (brokerEpoch < f.brokerEpoch || sameLife && number < f.copy) {
		return nil
	}
	if brokerEpoch < 0 || !sameLife || number > f.copy {
		f.start, f.end, f.flushed = -1, -1, -1
	}
	f.brokerEpoch, f.copy = max(f.brokerEpoch, brokerEpoch), number
	return f
}

// Loss says that a follower's records are lost, all that it had before a copy.
type Loss struct {
	ID          cluster.NodeID
	LeaderEpoch int32 // in which the follower tells
	BrokerEpoch int64 // of the life that tells; one that does not say is not believed
	Copy        int32 // that the follower would begin
}

// FollowerLost takes note of a loss: nothing counts any more that the follower had, and it is proposed to leave the in-sync
// set at once. It is forgotten when it is not in that set, of the partition epoch that this machine knows, and in no set that
// has been proposed: then it is only let in again for what it copies anew. A leader that has failed forgets nobody: its own
// records may be worse.
func (m *Machine) FollowerLost(l Loss) (e Effects, forgotten bool) {
	if l.BrokerEpoch < 0 || m.failed {
		return None, false
	}
	f := m.heard(l.ID, l.LeaderEpoch, l.BrokerEpoch, l.Copy)
	switch {
	case f == nil || m.proposed != nil:
		return None, false
	case !slices.Contains(m.isr, l.ID):
		return None, true
	case len(m.isr) == 1:
		return None, false
	}
	return m.propose(None, slices.DeleteFunc(slices.Clone(m.isr), func(id cluster.NodeID) bool { return id == l.ID })), false
}

// mayJoin reports whether a follower may be let into the in-sync set: it holds all that is committed, and has reached
// this leader's own epoch, without which its tail may differ from the leader's.
func (m *Machine) mayJoin(f *follower) bool {
	return m.proposed == nil && !slices.Contains(m.isr, f.id) && (f.flushed >= max(m.highWatermark, m.epochStart) || seeded.Is(seeded.JoinBeforeEpochStart))
}

// Admit proposes a follower that holds all it has to and was not eligible when it fetched last, or whose proposal was
// refused: one with nothing to fetch does not have its say again. eligible tells what Fetch.Eligible does, of a broker's life.
func (m *Machine) Admit(eligible func(id cluster.NodeID, brokerEpoch int64) bool) Effects {
	if !m.IsLeader() || m.failed {
		return None
	}
	for i := range m.followers {
		if f := &m.followers[i]; m.mayJoin(f) && eligible(f.id, f.brokerEpoch) {
			return m.propose(None, append(slices.Clone(m.isr), f.id))
		}
	}
	return None
}

// Tick drops followers from the in-sync set that have not caught up for the lag time. One whose disk does not keep up holds
// the high watermark as much as one that does not fetch.
func (m *Machine) Tick(nowMs int64) Effects {
	switch {
	case !m.IsLeader() || m.proposed != nil:
		return None
	case m.mustResign():
		return m.resign(None)
	case m.failed: // nobody can fetch from it, and so not keep up
		return None
	}
	for i := range m.followers { // one that has everything need not fetch to be known to keep up
		if f := &m.followers[i]; f.flushed >= m.end {
			f.reached(m.end, nowMs)
		}
	}
	lags := func(id cluster.NodeID) bool {
		i, found := m.follower(id)
		return found && m.followers[i].flushed < m.end && nowMs-m.followers[i].caughtUpMs > m.lagMaxMs
	}
	if !slices.ContainsFunc(m.isr, lags) {
		return None
	}
	return m.propose(None, slices.DeleteFunc(slices.Clone(m.isr), lags))
}

// Failed says that this replica's log takes no more records, in this life. As leader it proposes an in-sync set without
// itself, from which another one is elected; where it is alone in sync, one of those that are eligible; where nobody is, it
// stays.
func (m *Machine) Failed() Effects {
	m.failed = true
	if m.mustResign() {
		return m.resign(None)
	}
	return None
}

// NoSpace says that this replica's log had no room for records. As leader it proposes, once for each time that it is told,
// an in-sync set without itself: another leader may have room. It catches up when it has room again.
func (m *Machine) NoSpace() Effects {
	if m.IsLeader() && m.proposed == nil && len(m.isr) > 1 {
		return m.resign(None)
	}
	return None
}

// Resigns tells whether a leader has asked for another one to be elected and does not know yet what has become of that: the
// other may lead already, long before the image says so here.
func (m *Machine) Resigns() bool {
	return m.IsLeader() && m.proposed != nil && !slices.Contains(m.proposed, m.self)
}

func (m *Machine) mustResign() bool {
	return m.failed && m.IsLeader() && m.proposed == nil && (len(m.isr) > 1 || m.others)
}

func (m *Machine) resign(e Effects) Effects {
	return m.propose(e, slices.DeleteFunc(slices.Clone(m.isr), func(id cluster.NodeID) bool { return id == m.self }))
}

func (m *Machine) propose(e Effects, isr []cluster.NodeID) Effects {
	slices.Sort(isr)
	m.proposed = isr
	members := make([]Member, len(isr))
	for n, id := range isr {
		members[n] = Member{ID: id, BrokerEpoch: -1}
		if i, found := m.follower(id); found {
			members[n].BrokerEpoch = m.followers[i].brokerEpoch
		}
	}
	e.Propose = ISRChange{LeaderEpoch: m.leaderEpoch, PartitionEpoch: m.partitionEpoch, ISR: members}
	return e
}

// ProposalRefused says that the controller has not taken a proposed in-sync set and never will; the next event may ask
// again. It must not be called while that is not known: see the package comment.
func (m *Machine) ProposalRefused(c ISRChange) Effects {
	if c.LeaderEpoch != m.leaderEpoch || c.PartitionEpoch != m.partitionEpoch {
		return None
	}
	m.proposed = nil
	return m.advance(None)
}

// Refuses tells whether a code with which the controller answers a proposal means that the change has not been made and
// will not be. The others mean that it has been, or that the image of this broker is behind, whose next one answers.
func Refuses(code int16) bool {
	if seeded.Is(seeded.AnswerRefusesAll) {
		return true
	}
	switch wire.Error(code) {
	case wire.None, wire.FencedLeaderEpoch, wire.InvalidUpdateVersion, wire.NewLeaderElected, wire.UnknownTopicID, wire.UnknownTopicOrPartition:
		return false
	}
	return true
}

// Proposed reports whether a change of the in-sync set still has no answer.
func (m *Machine) Proposed(c ISRChange) bool {
	return m.proposed != nil && c.LeaderEpoch == m.leaderEpoch && c.PartitionEpoch == m.partitionEpoch
}

// EnoughInSync reports whether acks=all can be promised now.
func (m *Machine) EnoughInSync() bool {
	return len(m.isr) >= min(m.minISR, len(m.followers)+1)
}

// LowWatermark returns where the logs of this leader, which begins at start, and of those other replicas that count begin at
// the latest; -1 while one of them has not said.
func (m *Machine) LowWatermark(start int64, counts func(cluster.NodeID) bool) int64 {
	for i := range m.followers {
		if f := &m.followers[i]; counts(f.id) {
			start = min(start, f.start)
		}
	}
	return start
}

// FollowerEnd returns up to where a leader knows another assigned replica to hold the log, -1 when it has not fetched.
func (m *Machine) FollowerEnd(id cluster.NodeID) (end int64, assigned bool) {
	i, found := m.follower(id)
	if !found {
		return -1, false
	}
	return m.followers[i].end, true
}

// InSyncFrom reports whether another replica is in sync and has the log from offset on, and how far its log goes.
func (m *Machine) InSyncFrom(id cluster.NodeID, offset int64) (end int64, ok bool) {
	i, found := m.follower(id)
	if !m.IsLeader() || !found || !slices.Contains(m.isr, id) {
		return -1, false
	}
	f := &m.followers[i]
	return f.end, f.start <= offset && offset <= f.end
}

// advance moves a leader's high watermark to the least flushed end over the in-sync set and those being let in.
func (m *Machine) advance(e Effects) Effects {
	if !m.IsLeader() || !m.EnoughInSync() && !seeded.Is(seeded.CommitBelowMinISR) {
		return e
	}
	hw := m.flushed
	if seeded.Is(seeded.CountUnflushedLeader) {
		hw = m.end
	}
	for i := range m.followers {
		f := &m.followers[i]
		if slices.Contains(m.isr, f.id) || slices.Contains(m.proposed, f.id) && !seeded.Is(seeded.PassOverProposed) {
			hw = min(hw, f.flushed)
		}
	}
	m.raise(&e, hw)
	return e
}

// track makes followers match the assigned replicas. A replica that is new gets the whole lag time to catch up.
func (m *Machine) track(replicas []cluster.NodeID, nowMs int64) {
	m.followers = slices.DeleteFunc(m.followers, func(f follower) bool { return !slices.Contains(replicas, f.id) })
	for _, id := range slices.Sorted(slices.Values(replicas)) {
		at, found := m.follower(id)
		if id != m.self && !found {
			m.followers = slices.Insert(m.followers, at, follower{
				id: id, brokerEpoch: -1, start: -1, end: -1, flushed: -1, caughtUpMs: nowMs, goal: m.end, goalMs: nowMs,
			})
		}
	}
}

func (m *Machine) follower(id cluster.NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.followers, id, func(f follower, id cluster.NodeID) int { return int(f.id) - int(id) })
}
