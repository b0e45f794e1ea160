package quorum

import (
	"cmp"
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
	HighWatermark int64          // the offset behind the last committed entry
	EndOffset     int64          // of this node's log
	Vote          cluster.NodeID // whom this node voted for in the epoch, NoLeader for nobody
	// Commits counts the proposals of this node that were committed, CommitTime how long that took in all.
	Commits    int64
	CommitTime time.Duration
	Members    []Member // sorted by node id; where the others stand is known to the leader only
}

// Member is a voter or a learner.
type Member struct {
	Voter
	EndOffset int64 // -1: unknown
	Learner   bool
}

// Status returns how the quorum stands.
func (q *Quorum) Status() Status { return *q.status.Load() }

// publishStatus keeps Status current. It runs in the loop.
func (q *Quorum) publishStatus() {
	raftStatus := q.raft.Status()
	status := &Status{
		Leader:        q.leader(),
		Epoch:         int32(raftStatus.GetTerm()),
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
	q.status.Store(status)
}

// members returns who the members are, and where they stand as far as this node knows. It runs in the loop.
func (q *Quorum) members(s raft.Status) []Member {
	list := make([]Member, 0, len(q.loop.voters))
	for id, v := range q.loop.voters {
		m := Member{Voter: v, EndOffset: endOffset(s, id)}
		_, m.Learner = s.Config.Learners[id]
		if id == s.ID {
			m.EndOffset = q.cfg.Log.EndOffset()
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return list
}

func endOffset(s raft.Status, id uint64) int64 {
	if p, ok := s.Progress[id]; ok && p.State != tracker.StateSnapshot {
		return int64(p.Match)
	}
	return -1
}
