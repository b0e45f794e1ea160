package controller

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

// changesMax bounds the partitions that one list of changes touches, so that an entry of the metadata log stays small
// however much a broker holds or a request names. The rest of a broker's follows with the next ticks; whoever has asked for
// more is told to ask again for the rest.
const changesMax = 10_000

// liveOf returns those of ids that may lead, in their order.
func liveOf(img *cluster.Image, ids []cluster.NodeID) []cluster.NodeID {
	return slices.DeleteFunc(slices.Clone(ids), func(id cluster.NodeID) bool {
		b, ok := img.Broker(id)
		return !ok || !b.Live()
	})
}

// resettle returns what becomes of the partitions that a broker holds when it has another standing. It walks over these
// partitions only. What does not fit in one list is left to Tick.
func (m *Machine) resettle(img *cluster.Image, id cluster.NodeID, as standing) []cluster.Change {
	changes, all := m.settleHeld(m.with(img, id, as), id)
	if !all {
		m.unsettled[id] = true
	}
	return changes
}

// settleHeld returns the changes of the partitions that a broker holds, at most changesMax; all tells whether that is all.
func (m *Machine) settleHeld(b brokers, id cluster.NodeID) (changes []cluster.Change, all bool) {
	as := b.standing(id)
	for t := range b.img.TopicsOf(id) {
		r := b.rules(t)
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !concerned(&b, p, id, as) {
				continue
			}
			next, changed := r.settle(p, *p)
			if !changed {
				continue
			}
			if len(changes) == changesMax {
				return changes, false
			}
			changes = append(changes, cluster.ChangePartition{TopicID: t.ID, Index: int32(i), Partition: next})
		}
	}
	return changes, true
}

// concerned tells whether a broker's standing can mean anything for a partition.
func concerned(b *brokers, p *cluster.Partition, id cluster.NodeID, as standing) bool {
	if !slices.Contains(p.Replicas, id) {
		return false
	}
	if as == live {
		return p.Leader == cluster.NoLeader || b.standing(p.Leader) != live
	}
	return p.Leader == cluster.NoLeader || p.Leader == id || slices.Contains(p.ISR, id)
}

// settleAll looks at the partitions of the topics from a name on, so many that it does not take long, and returns what f
// makes of those that it changes, at most changesMax. It returns the name to go on from, empty when there are no more.
func (m *Machine) settleAll(img *cluster.Image, from string, f func(rules, *cluster.Partition) (cluster.Partition, bool)) (changes []cluster.Change, next string) {
	seen := 0
	b := m.brokers(img)
	for t := range img.TopicsFrom(from) {
		if seen >= sweepPartitionsMax {
			return changes, t.Name
		}
		r := b.rules(t)
		for i := range t.Partitions {
			p, changed := f(r, &t.Partitions[i])
			if !changed {
				continue
			}
			if len(changes) == changesMax {
				return changes, t.Name
			}
			changes = append(changes, cluster.ChangePartition{TopicID: t.ID, Index: int32(i), Partition: p})
		}
		seen += len(t.Partitions)
	}
	return changes, ""
}
