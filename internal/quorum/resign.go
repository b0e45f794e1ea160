package quorum

import (
	"context"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// resignAgain is how long Resign waits before it asks once more. At times there is no heir for a moment: with each election
// timeout raft takes all others for silent until they have answered the next heartbeat.
const resignAgain = 50 * time.Millisecond

// Resign hands the leadership to the voter that has most of the log, and returns when this node does not lead: a stop in order
// spares the cluster an election that waits for silence. It does nothing where this node does not lead, or is alone.
func (q *Quorum) Resign(ctx context.Context) error {
	for {
		changed := q.progressed.raised()
		if s := q.status.Load(); s.Leader != q.cfg.Self.NodeID || len(s.Members) == 1 {
			return nil
		}
		select {
		case q.resigns <- struct{}{}:
		default: // it is being asked already
		}
		select {
		case <-changed:
		case <-time.After(resignAgain):
		case <-ctx.Done():
			return ctx.Err()
		case <-q.failed:
			return q.Err()
		case <-q.stop:
			return ErrClosed
		}
	}
}

// resign asks raft to hand over the leadership. Until it has, or has given up after an election timeout, nothing is proposed,
// and no second heir is asked: two would stand against each other.
func (q *Quorum) resign() {
	if !q.loop.leading || q.raft.BasicStatus().LeadTransferee != raft.None {
		return
	}
	if heir := q.heir(); heir != raft.None {
		q.raft.TransferLeader(heir)
	}
}

// heir returns the voter that has most of the log among those that answer.
func (q *Quorum) heir() (heir uint64) {
	var match uint64
	q.raft.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		voter := kind == raft.ProgressTypePeer && id != q.cfg.Self.RaftID()
		if voter && p.RecentActive && p.Match >= match {
			heir, match = id, p.Match
		}
	})
	return heir
}
