package quorum

import (
	"context"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/logbahn/logbahn/internal/cluster"
)

// resignAgain is how long Resign waits before it asks once more. At times there is no heir for a moment: with each election
// timeout raft takes all others for silent until they have answered the next heartbeat.
const resignAgain = 50 * time.Millisecond

// Resign hands the leadership to the voter that has most of the log, and returns when that one leads: a stop in order spares
// the cluster an election that waits for silence. An heir that stands needs this node's vote, and whoever waits for a proposal made
// here the heir's word on it. It does nothing where this node does not lead, or is alone, and returns when it leads no more because
// no majority is left.
func (q *Quorum) Resign(ctx context.Context) error {
	led := int32(-1) // the epoch in which this node was seen to lead
	for {
		changed := q.progressed.raised()
		s := q.status.Load()
		switch leads, stands := s.Leader == q.cfg.Self.NodeID, s.Leader == cluster.NoLeader && led >= 0 && s.Epoch > led; {
		case len(s.Members) == 1 || !leads && !stands:
			return nil
		case leads:
			led = s.Epoch
			select {
			case q.resigns <- struct{}{}:
			default: // it is being asked already
			}
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
