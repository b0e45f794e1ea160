package controller

import (
	"maps"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

const (
	// awayMs is how long Tick may not have been called before the controller takes itself for a new one: somebody else may
	// have led in between, and left work half done.
	awayMs = 1000
	// sweepPartitionsMax is how many partitions one call of Tick looks at.
	sweepPartitionsMax = 1 << 16
	// preferredMax is how many leaderships are given back to preferred replicas at once, as in Kafka.
	preferredMax = 1000
)

// sweep is a look at all partitions, in slices.
type sweep struct {
	running   bool
	preferred bool   // leaderships go back to the preferred replicas
	from      string // the name of the topic to go on with
	dueMs     int64  // of the next one
}

// Tick returns the changes that time demands: call it every 100 ms or so, with the time and the image as for Handle. It
// fences the brokers that have been silent for too long, finishes what was too much for one list of changes, and looks at
// all partitions from time to time: after the controller has changed, for what the last one has left undone; and every
// RebalanceMs, for leaderships that can go back to the preferred replica.
//
// A call changes at most one broker's state, and each partition once, so that the changes fit img; more is true when there
// may be others, to be asked for at once with the image that includes the first.
func (m *Machine) Tick(nowMs int64, img *cluster.Image) (changes []cluster.Change, more bool) {
	m.sessions.pass(nowMs)
	if away := nowMs - m.tickedMs; away > awayMs || away < 0 {
		m.sweep = sweep{running: true, dueMs: nowMs + m.cfg.RebalanceMs}
	}
	m.tickedMs = nowMs
	for _, b := range img.Brokers() {
		if !b.Fenced && m.sessions.expired(b, nowMs) {
			return m.fence(img, b), true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.unsettled)) {
		if changes, _ := m.settleHeld(m.brokers(img), id); len(changes) > 0 {
			return changes, true
		}
		delete(m.unsettled, id) // not before: the changes may get lost
	}
	changes = m.sweepOn(nowMs, img)
	return changes, len(changes) > 0
}

func (m *Machine) fence(img *cluster.Image, b cluster.Broker) []cluster.Change {
	state := cluster.SetBrokerState{ID: b.ID, Epoch: b.Epoch, Fenced: true, Cordoned: b.Cordoned}
	return append(m.resettle(img, b.ID, dead), state)
}

// sweepOn looks at the next slice of the partitions.
func (m *Machine) sweepOn(nowMs int64, img *cluster.Image) []cluster.Change {
	s := &m.sweep
	if !s.running {
		if nowMs < s.dueMs {
			return nil
		}
		*s = sweep{running: true, preferred: m.cfg.Rebalance, dueMs: nowMs + m.cfg.RebalanceMs}
	}
	moved := 0
	changes, next := m.settleAll(img, s.from, func(r rules, p *cluster.Partition) (cluster.Partition, bool) {
		prefers := s.preferred && moved < preferredMax && r.prefers(p)
		if !prefers && r.calm(p) {
			return *p, false
		}
		wanted := *p
		if prefers {
			moved++
			wanted.Leader = p.Replicas[0]
		}
		return r.settle(p, wanted)
	})
	if len(changes) > 0 { // the slice is looked at again: it may have more, and these may get lost
		return changes
	}
	s.from, s.running = next, next != ""
	return nil
}

// prefers tells whether the preferred replica could lead, and does not.
func (r rules) prefers(p *cluster.Partition) bool {
	id := p.Replicas[0]
	return p.Leader != id && slices.Contains(p.ISR, id) && r.standing(id) == live
}
