package partition

import (
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/wire"
)

// FollowerLost takes note that another replica has lost its records, and returns in which partition epoch nobody counts on
// them any more; ErrNotForgotten while somebody does. Errors as for Read.
func (p *Partition) FollowerLost(l replica.Loss) (wire.Forgotten, error) {
	p.mu.Lock()
	if err := p.lostErrorLocked(l.ID, l.LeaderEpoch); err != nil {
		p.mu.Unlock()
		return wire.Forgotten{}, err
	}
	e, forgotten := p.mu.machine.FollowerLost(l)
	epoch := p.mu.machine.PartitionEpoch()
	p.carryOutLocked(e)
	p.mu.Unlock()
	p.propose(e)
	if !forgotten {
		return wire.Forgotten{}, ErrNotForgotten
	}
	return wire.Forgotten{Copy: l.Copy, PartitionEpoch: epoch}, nil
}

func (p *Partition) lostErrorLocked(id cluster.NodeID, leaderEpoch int32) error {
	if err := p.answersLocked(leaderEpoch); err != nil {
		return err
	}
	if _, assigned := p.mu.machine.FollowerEnd(id); !assigned {
		return ErrUnknownReplica
	}
	return nil
}
