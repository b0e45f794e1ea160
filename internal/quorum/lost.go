package quorum

import (
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Loss says that a broker's process has ended.
type Loss struct {
	Epoch  int32 // of the leadership in which that was found out: another leader has other proof, or none
	Broker cluster.NodeID
	// BrokerEpoch is of the registration that the process had.
	BrokerEpoch int64
	// Silent is for how long it must not have spoken. It lives if it has.
	Silent time.Duration
}

// Leads tells whether this node leads and knows all that is committed, and in which epoch. One whose disk is full, or which has
// failed, does not, whatever its status says: it hears of no other leader any more.
func (q *Quorum) Leads() (epoch int32, leads bool) {
	s := q.status.Load()
	return s.Epoch, s.Leading && !q.Stalled() && q.Err() == nil
}

// Lost tells the controller on this node that a broker's process has ended. It does not wait. It does nothing where this node
// does not lead in the epoch, or has very much to do: to be told again while the broker is not fenced.
func (q *Quorum) Lost(l Loss) {
	select {
	case q.losses <- l:
	default:
	}
}

// lose has the machine take a broker for dead. What has come before is heard before: a broker whose heartbeat waits for the
// loop lives.
func (q *Quorum) lose(l Loss) {
	s := &q.loop
	if !s.leading || !s.ready || int32(s.term) != l.Epoch {
		return
	}
	q.takeWaiting(requestsBeforeTick)
	q.cfg.Machine.Lost(q.machineMs(), s.proposed, l.Broker, l.BrokerEpoch, l.Silent.Milliseconds())
	q.tickMachine()
}
