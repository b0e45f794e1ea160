package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// placement chooses replicas. First replicas go round all brokers, so that leaderships are spread; the others are shifted
// against them, for each topic by another number and by one more after each round, so that a broker shares what it has with
// all others, and all of them lead a part of it when it is lost; and a rack is used twice only when every rack has been
// used. Fenced brokers come last, and never first; cordoned ones do not come at all.
//
// It looks at every broker when it is made, once for all topics of a request, and then only at those that it chooses.
type placement struct {
	live, fenced ring
}

// ring is brokers in the order of their turns. Neighbours are in different racks as far as that is possible.
type ring struct {
	sites []site
	racks int // that are different
	// round numbers the choices. used has for each rack the last choice that has used it, so that nothing has to be cleared.
	round uint64
	used  []uint64
}

// site is a broker and where it stands.
type site struct {
	id   cluster.NodeID
	rack int
	used uint64 // the last choice that has used it
}

// newPlacement sorts brokers into those that may lead, and the others. A broker without a rack is a rack of its own.
func newPlacement(brokers []cluster.Broker) *placement {
	racks := make(map[string][]cluster.Broker)
	left := 0
	for _, b := range brokers {
		if b.Cordoned {
			continue
		}
		left++
		rack := cmp.Or(b.Rack, "\x00"+strconv.Itoa(int(b.ID)))
		racks[rack] = append(racks[rack], b)
	}
	names := slices.Sorted(maps.Keys(racks))
	p := &placement{live: newRing(len(names)), fenced: newRing(len(names))}
	for depth := 0; left > 0; depth++ {
		for rack, name := range names {
			if depth >= len(racks[name]) {
				continue
			}
			left--
			if b := racks[name][depth]; b.Live() {
				p.live.add(b.ID, rack)
			} else {
				p.fenced.add(b.ID, rack)
			}
		}
	}
	return p
}

func newRing(racks int) ring { return ring{round: 1, used: make([]uint64, racks)} }

func (r *ring) add(id cluster.NodeID, rack int) {
	r.sites = append(r.sites, site{id: id, rack: rack})
	if r.used[rack] != r.round {
		r.used[rack] = r.round
		r.racks++
	}
}

// place chooses replicas for n partitions. start is a random number that says where the round begins and how far the others
// are shifted.
func (p *placement) place(n, rf int, start uint64) ([][]cluster.NodeID, *refusal) {
	switch brokers := len(p.live.sites) + len(p.fenced.sites); {
	case brokers == 0 || rf > brokers:
		return nil, unplaceable(rf, fmt.Sprintf(
			"The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.", rf, brokers))
	case len(p.live.sites) == 0:
		return nil, unplaceable(rf, "All brokers are currently fenced.")
	}
	placed := make([][]cluster.NodeID, n)
	live := uint64(len(p.live.sites))
	start %= live * max(live-1, 1)
	for i := range placed {
		turn := start + uint64(i)
		chosen := p.live.choose(make([]cluster.NodeID, 0, rf), rf, turn)
		placed[i] = p.fenced.choose(chosen, rf, 0)
	}
	return placed, nil
}

func unplaceable(rf int, why string) *refusal {
	return &refusal{
		wire.InvalidReplicationFactor, fmt.Sprintf("Unable to replicate the partition %d time(s): %s", rf, why),
	}
}

// choose adds brokers in the order of a turn until there are rf: first those of racks that are not used yet.
func (r *ring) choose(chosen []cluster.NodeID, rf int, turn uint64) []cluster.NodeID {
	r.round++
	take := func(s *site) {
		r.used[s.rack], s.used = r.round, r.round
		chosen = append(chosen, s.id)
	}
	for i, racks := 0, 0; i < len(r.sites) && racks < r.racks && len(chosen) < rf; i++ {
		if s := r.at(turn, i); r.used[s.rack] != r.round {
			racks++
			take(s)
		}
	}
	for i := 0; i < len(r.sites) && len(chosen) < rf; i++ {
		if s := r.at(turn, i); s.used != r.round {
			take(s)
		}
	}
	return chosen
}

// at returns the i-th broker of a turn: the one whose turn it is, and then the others from one on that is shifted by one
// more with each round.
func (r *ring) at(turn uint64, i int) *site {
	n := uint64(len(r.sites))
	if i == 0 {
		return &r.sites[turn%n]
	}
	return &r.sites[(turn+1+(turn/n+uint64(i)-1)%(n-1))%n]
}
