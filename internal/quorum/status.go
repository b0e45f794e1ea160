package quorum

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Status is the quorum as this node sees it.
type Status struct {
	Leader        cluster.NodeID // NoLeader when none is known
	Epoch         int32          // raft's term
	Leading       bool           // this node leads, and knows all that is committed
	HighWatermark int64          // the offset behind the last committed entry
	EndOffset     int64          // of this node's log
	Vote          cluster.NodeID // whom this node voted for in the epoch, NoLeader for nobody
	// Commits counts the proposals of this node that were committed, CommitTime how long that took in all.
	Commits    int64
	CommitTime time.Duration
	Members    []Member   // sorted by node id; where the others stand is known to the leader only
	Observers  []Observer // nodes that fetch here and are no members, sorted by node id
}

// Member is a voter or a learner.
type Member struct {
	Voter
	EndOffset int64 // -1: unknown
	Learner   bool
	// When the leader, which alone knows, last heard of the member, and when it last heard that it had all. Zero: never.
	LastFetch, LastCaughtUp time.Time
}

// Status returns how the quorum stands.
func (q *Quorum) Status() Status {
	s := *q.status.Load()
	s.Observers = q.observers.list(q.now(), s.Members)
	return s
}

// Stalled tells whether this node takes over no changes because its disk is full: its image is of an earlier time.
func (q *Quorum) Stalled() bool { return q.stalled.Load() }

// contact is when a leader has heard of a member.
type contact struct{ heard, caughtUp time.Time }

// heardOf notes an answer of a member, and of nobody else: the names are other nodes' to choose.
func (q *Quorum) heardOf(id uint64) {
	s := &q.loop
	if _, member := s.voters[id]; !member || !s.leading {
		return
	}
	c, now := s.contacts[id], q.now()
	c.heard = now
	if q.matched(id) {
		c.caughtUp = now
	}
	if s.contacts == nil {
		s.contacts = map[uint64]contact{}
	}
	s.contacts[id] = c
}

// matched tells whether a member has all that this leader has.
func (q *Quorum) matched(id uint64) (all bool) {
	q.raft.WithProgress(func(i uint64, _ raft.ProgressType, p tracker.Progress) {
		all = all || i == id && p.Match+1 >= p.Next
	})
	return all
}

// publishStatus keeps Status current. It runs in the loop.
func (q *Quorum) publishStatus() {
	raftStatus := q.raft.Status()
	status := &Status{
		Leader:        q.leader(),
		Epoch:         int32(raftStatus.GetTerm()),
		Leading:       q.loop.leading && q.loop.ready,
		HighWatermark: int64(raftStatus.GetCommit()),
		EndOffset:     q.cfg.Log.EndOffset(),
		Vote:          cluster.NoLeader,
		Commits:       q.loop.commits,
		CommitTime:    q.loop.commitTime,
	}
	if v, ok := q.loop.voters[raftStatus.GetVote()]; ok {
		status.Vote = v.NodeID
	}
	status.Members = q.members(raftStatus)
	if before := q.status.Swap(status); before == nil || before.HighWatermark != status.HighWatermark ||
		before.Leader != status.Leader || before.Epoch != status.Epoch {
		q.progressed.raise()
	}
}

// members returns who the members are, and where they stand as far as this node knows. It runs in the loop.
func (q *Quorum) members(s raft.Status) []Member {
	list := make([]Member, 0, len(q.loop.voters))
	for id, v := range q.loop.voters {
		m := Member{Voter: v, EndOffset: endOffset(s, id)}
		_, m.Learner = s.Config.Learners[id]
		c := q.loop.contacts[id]
		m.LastFetch, m.LastCaughtUp = c.heard, c.caughtUp
		if id == s.ID {
			m.EndOffset = q.cfg.Log.EndOffset()
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return compareVoters(a.Voter, b.Voter) })
	return list
}

func endOffset(s raft.Status, id uint64) int64 {
	if p, ok := s.Progress[id]; ok && p.State != tracker.StateSnapshot {
		return int64(p.Match)
	}
	return -1
}
