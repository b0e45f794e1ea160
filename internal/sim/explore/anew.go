package explore

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// What package partition does with a replica whose log is corrupt (anew.go there).

// forgotten is a leader's word that it counts nothing of a replica any more. The zero value is none.
type forgotten struct {
	given                       bool
	leaderEpoch, partitionEpoch int32
}

// told tells whether the leader of the present epoch has given its word.
func (n *node) told() bool {
	return n.forgotten.given && n.forgotten.leaderEpoch == n.machine.LeaderEpoch()
}

// tell lets a replica say that its records are lost, and take the answer.
func (x *explorer) tell(s *state, n *node, id cluster.NodeID) {
	l := s.node(n.machine.Leader())
	e, done := l.machine.FollowerLost(replica.Loss{ID: id, LeaderEpoch: n.machine.LeaderEpoch(), BrokerEpoch: n.epoch, Copy: n.copy + 1})
	if done {
		n.forgotten = forgotten{true, n.machine.LeaderEpoch(), l.machine.PartitionEpoch()}
	}
	x.carryOut(s, l, n.machine.Leader(), e)
}

// mayBeginAnew is Partition.mayBeginAnew.
func (x *explorer) mayBeginAnew(s *state, n *node, id cluster.NodeID) bool {
	p := partitionOf(s.image(n))
	if p.Leader < 0 || p.Leader == id || slices.Contains(slices.Concat(p.ISR, p.ELR, p.LastKnownELR), id) {
		return false
	}
	if x.options.Weakened == ForgetsUnasked {
		return true
	}
	return n.forgotten.given && n.forgotten.leaderEpoch == p.LeaderEpoch && n.forgotten.partitionEpoch <= p.PartitionEpoch
}

// beginAnew puts an empty log in the place of a corrupt one.
func (x *explorer) beginAnew(s *state, n *node, id cluster.NodeID) {
	n.log, n.rotten, n.forgotten = model{}, false, forgotten{}
	if n.copy++; x.options.Weakened == ForgetsUnasked {
		n.copy = 0
	}
	n.machine = replica.New(replica.Config{Self: id, LagMaxMs: lagMs}, replica.Log{})
	x.assign(s, n, id)
}
