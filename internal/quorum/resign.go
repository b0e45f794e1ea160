package quorum

import (
	"context"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

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
		case <-ctx.Done():
			return ctx.Err()
		case <-q.failed:
			return q.Err()
		case <-q.stop:
			return ErrClosed
		}
	}
}

// resign asks raft to hand over the leadership. Until it has, or has given up after an election timeout, nothing is proposed.
func (q *Quorum) resign() {
	var heir, match uint64
	q.raft.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		voter := kind == raft.ProgressTypePeer && id != q.cfg.Self.RaftID()
		if voter && p.RecentActive && p.Match >= match {
			heir, match = id, p.Match
		}
	})
	if q.loop.leading && heir != raft.None {
		q.raft.TransferLeader(heir)
	}
}
