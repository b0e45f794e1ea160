package controller

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/seeded"
)

// Every change of a partition goes through settle, whoever asks for it: a leader that wants another in-sync set, an
// operator, a broker that falls silent or comes back. What was asked for is the next partition; settle makes of it one that
// may be, in this order (Kafka's PartitionChangeBuilder, KIP-455, KIP-966):
//
//  1. The dead leave the in-sync set as long as one of the living stays. The last members stay however dead they are: only
//     they have everything.
//  2. A reassignment ends when all that come are in sync.
//  3. A leader is chosen: who leads already, if it may; then by the order of the replicas from the in-sync set; then from
//     the eligible; then, flagged as unclean, who led last of a set that lost its records, and anyone where the topic
//     allows it.
//  4. Who leaves the in-sync set stays eligible while the set is smaller than min.insync.replicas: nothing is committed
//     in that time, so that it keeps holding all that is.

// standing is what a broker is good for.
type standing int8

const (
	dead     standing = iota // fenced or unknown
	draining                 // it leads as long as nobody else can, and stays in sync where it is needed
	live
)

// brokers is what settling partitions needs of an image: the standing of each broker, and what counts for topics that do
// not say otherwise. It is made once for many partitions.
type brokers struct {
	img      *cluster.Image
	ids      []cluster.NodeID // sorted
	as       []standing
	layers   config.Layers
	election config.Election
}

func (m *Machine) brokers(img *cluster.Image) brokers {
	list := img.Brokers()
	b := brokers{img: img, ids: make([]cluster.NodeID, len(list)), as: make([]standing, len(list)), layers: m.layers(img)}
	for i := range list {
		b.ids[i], b.as[i] = list[i].ID, standingOf(&list[i])
	}
	b.election = b.layers.Election(nil)
	return b
}

// with returns the brokers with one of them as it is about to be.
func (m *Machine) with(img *cluster.Image, id cluster.NodeID, as standing) brokers {
	b := m.brokers(img)
	if at, ok := slices.BinarySearch(b.ids, id); ok {
		b.as[at] = as
	}
	return b
}

func (b *brokers) standing(id cluster.NodeID) standing {
	if at, ok := slices.BinarySearch(b.ids, id); ok {
		return b.as[at]
	}
	return dead
}

func standingOf(b *cluster.Broker) standing {
	switch {
	case b.Fenced:
		return dead
	case b.Draining:
		return draining
	}
	return live
}

// rules are what the partitions of one topic are settled by.
type rules struct {
	*brokers
	config.Election
}

func (b *brokers) rules(t *cluster.Topic) rules {
	for _, key := range []string{minISRKey, uncleanKey} {
		if _, own := t.Config[key]; own {
			return rules{b, b.layers.Election(t.Config)}
		}
	}
	return rules{b, b.election}
}

// layers is what counts for a topic in the whole cluster.
func (m *Machine) layers(img *cluster.Image) config.Layers {
	defaults := img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource})
	return config.Layers{DynamicDefault: defaults, Static: m.cfg.Static}
}

// minISR is how many replicas of n have to be in sync before anything is committed.
func (r rules) minISR(n int) int { return min(max(int(r.MinInsyncReplicas), 1), n) }

// settle returns what becomes of a partition when next is asked for, and false when that is what it was. Nothing of old or
// next is written to.
func (r rules) settle(old *cluster.Partition, next cluster.Partition) (cluster.Partition, bool) {
	next.ISR = r.inSync(&next)
	r.endReassignment(&next)
	unclean := r.elect(&next)
	next.ISR = inOrder(next.Replicas, next.ISR)
	if unclean {
		next.ELR = nil
	} else {
		next.ELR = r.eligible(old, &next)
	}
	if next.Leader != cluster.NoLeader {
		next.LastKnownELR = nil
	}
	removed := slices.ContainsFunc(old.Replicas, func(id cluster.NodeID) bool { return !slices.Contains(next.Replicas, id) })
	if (next.Leader != old.Leader || unclean || removed) && !seeded.Is(seeded.LeadInOldEpoch) { // who was removed must not go on fetching in this epoch
		next.LeaderEpoch = old.LeaderEpoch + 1
	}
	if unclean {
		next.Recovering, next.UncleanEpoch = true, next.LeaderEpoch
	}
	if samePartition(old, &next) {
		return *old, false
	}
	next.PartitionEpoch = old.PartitionEpoch + 1
	return next, next.LeaderEpoch >= 0 && next.PartitionEpoch >= 0 // an epoch that is used up stops the partition for good
}

// calm tells, cheaply, that there is nothing to settle: nearly all partitions are so nearly all the time.
func (r rules) calm(p *cluster.Partition) bool {
	if len(p.ELR)+len(p.Adding)+len(p.Removing) > 0 || len(p.ISR) < r.minISR(len(p.Replicas)) {
		return false
	}
	led := false
	for _, id := range p.ISR {
		if r.standing(id) != live {
			return false
		}
		led = led || id == p.Leader
	}
	return led
}

func samePartition(a, b *cluster.Partition) bool {
	return a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch && a.Recovering == b.Recovering &&
		slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.ISR, b.ISR) && slices.Equal(a.ELR, b.ELR) &&
		slices.Equal(a.LastKnownELR, b.LastKnownELR) && slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}

// inSync returns the in-sync set without the dead, and without those that drain where it is large enough without them.
func (r rules) inSync(p *cluster.Partition) []cluster.NodeID {
	alive, staying := 0, 0
	for _, id := range p.ISR {
		switch r.standing(id) {
		case live:
			alive++
			staying++
		case draining:
			staying++
		}
	}
	least := draining
	if alive >= r.minISR(len(p.Replicas)) {
		least, staying = live, alive
	}
	if staying == 0 || staying == len(p.ISR) {
		return p.ISR
	}
	return slices.DeleteFunc(slices.Clone(p.ISR), func(id cluster.NodeID) bool { return r.standing(id) < least })
}

// endReassignment takes those that go out of the replicas when all that come are in sync, and the in-sync set is large
// enough without those that go, or no smaller.
func (r rules) endReassignment(p *cluster.Partition) {
	if !reassigned(p) {
		return
	}
	replicas, isr := minus(p.Replicas, p.Removing), minus(p.ISR, p.Removing)
	missing := slices.ContainsFunc(p.Adding, func(id cluster.NodeID) bool { return !slices.Contains(isr, id) })
	if missing || len(isr) == 0 || len(isr) < min(r.minISR(len(replicas)), len(p.ISR)) {
		return
	}
	p.Replicas, p.ISR, p.Adding, p.Removing = replicas, isr, nil, nil
	p.ELR = minus(p.ELR, minus(p.ELR, replicas))
	p.LastKnownELR = minus(p.LastKnownELR, minus(p.LastKnownELR, replicas))
}

// elect sets the leader, and with one that is not in sync the in-sync set. It tells whether the leader may lack records.
func (r rules) elect(p *cluster.Partition) (unclean bool) {
	may := func(least standing, among []cluster.NodeID) func(cluster.NodeID) bool {
		return func(id cluster.NodeID) bool { return slices.Contains(among, id) && r.standing(id) >= least }
	}
	lead := func(id cluster.NodeID) { p.Leader, p.ISR = id, []cluster.NodeID{id} }
	if p.Leader != cluster.NoLeader && may(live, p.ISR)(p.Leader) {
		return false
	}
	if i := slices.IndexFunc(p.Replicas, may(live, p.Replicas)); seeded.Is(seeded.ElectOutsideISR) && i >= 0 {
		lead(p.Replicas[i])
		return false
	}
	if i := slices.IndexFunc(p.Replicas, may(live, p.ISR)); i >= 0 {
		p.Leader = p.Replicas[i]
		return false
	}
	if i := slices.IndexFunc(p.Replicas, may(live, p.ELR)); i >= 0 {
		p.ISR = r.keepDraining(p, p.Replicas[i])
		p.Leader = p.Replicas[i]
		return false
	}
	if p.Leader != cluster.NoLeader && may(draining, p.ISR)(p.Leader) {
		return false
	}
	if i := slices.IndexFunc(p.Replicas, may(draining, p.ISR)); i >= 0 {
		p.Leader = p.Replicas[i]
		return false
	}
	if len(p.ISR)+len(p.ELR) == 0 && len(p.LastKnownELR) == 1 && r.standing(p.LastKnownELR[0]) == live {
		lead(p.LastKnownELR[0])
		return true
	}
	if i := slices.IndexFunc(p.Replicas, may(live, p.Replicas)); r.Unclean && i >= 0 {
		lead(p.Replicas[i])
		return true
	}
	if !slices.Contains(p.ISR, p.Leader) {
		p.Leader = cluster.NoLeader
	}
	return false
}

// keepDraining is the in-sync set when a replica is elected that was eligible only: itself, and those that drain.
func (r rules) keepDraining(p *cluster.Partition, leader cluster.NodeID) []cluster.NodeID {
	isr := []cluster.NodeID{leader}
	for _, id := range p.ISR {
		if r.standing(id) == draining {
			isr = append(isr, id)
		}
	}
	return isr
}

// eligible returns who holds everything committed without being in sync.
func (r rules) eligible(old, next *cluster.Partition) []cluster.NodeID {
	if len(next.ISR) >= r.minISR(len(next.Replicas)) {
		return nil
	}
	var elr []cluster.NodeID
	for _, id := range next.Replicas {
		had := slices.Contains(old.ISR, id) || slices.Contains(old.ELR, id)
		if had && !slices.Contains(next.ISR, id) {
			elr = append(elr, id)
		}
	}
	return elr
}

// minus returns list without those of gone, in its order; list itself when there are none.
func minus(list, gone []cluster.NodeID) []cluster.NodeID {
	in := func(id cluster.NodeID) bool { return slices.Contains(gone, id) }
	if !slices.ContainsFunc(list, in) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), in)
}
