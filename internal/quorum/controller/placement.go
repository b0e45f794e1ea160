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

// place chooses replicas for n partitions. First replicas go round all brokers, so that leaderships are spread; the
// others are shifted against them by one more after each round, so that two brokers do not share all they have; and a
// rack is used twice only when every rack has been used. Fenced brokers come last, and never first; cordoned ones do not
// come at all. start is where the round begins.
func place(brokers []cluster.Broker, n int, rf int, start uint64) ([][]cluster.NodeID, *refusal) {
	brokers = slices.DeleteFunc(slices.Clone(brokers), func(b cluster.Broker) bool { return b.Cordoned })
	ring, fenced := rings(brokers)
	switch {
	case len(brokers) == 0 || rf > len(brokers):
		return nil, unplaceable(rf, fmt.Sprintf(
			"The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.", rf, len(brokers)))
	case len(ring) == 0:
		return nil, unplaceable(rf, "All brokers are currently fenced.")
	}
	placed := make([][]cluster.NodeID, n)
	for i := range placed {
		turn := start%uint64(len(ring)) + uint64(i)
		placed[i] = replicas(ring, fenced, rf, turn)
	}
	return placed, nil
}

func unplaceable(rf int, why string) *refusal {
	return &refusal{
		wire.InvalidReplicationFactor, fmt.Sprintf("Unable to replicate the partition %d time(s): %s", rf, why),
	}
}

// site is a broker and where it stands.
type site struct {
	id   cluster.NodeID
	rack string
}

// rings returns the brokers that may lead, and the others. Neighbours in a ring are in different racks as far as that is
// possible. A broker without a rack is a rack of its own.
func rings(brokers []cluster.Broker) (live, fenced []site) {
	racks := make(map[string][]cluster.Broker)
	for _, b := range brokers {
		rack := cmp.Or(b.Rack, "\x00"+strconv.Itoa(int(b.ID)))
		racks[rack] = append(racks[rack], b)
	}
	names := slices.Sorted(maps.Keys(racks))
	for depth, left := 0, len(brokers); left > 0; depth++ {
		for _, name := range names {
			if depth >= len(racks[name]) {
				continue
			}
			left--
			if b := racks[name][depth]; b.Live() {
				live = append(live, site{b.ID, name})
			} else {
				fenced = append(fenced, site{b.ID, name})
			}
		}
	}
	return live, fenced
}

// replicas chooses the replicas of the partition that has the turn.
func replicas(ring, fenced []site, rf int, turn uint64) []cluster.NodeID {
	n := uint64(len(ring))
	order := []site{ring[turn%n]}
	if n > 1 {
		shift := turn / n
		for j := range n - 1 {
			order = append(order, ring[(turn+1+(shift+j)%(n-1))%n])
		}
	}
	chosen := choose(nil, order, rf)
	return choose(chosen, fenced, rf)
}

// choose adds brokers in their order until there are rf: first those of racks that are not used yet.
func choose(chosen []cluster.NodeID, order []site, rf int) []cluster.NodeID {
	used := make(map[string]bool, rf)
	for _, s := range order {
		if len(chosen) < rf && !used[s.rack] {
			used[s.rack] = true
			chosen = append(chosen, s.id)
		}
	}
	for _, s := range order {
		if len(chosen) < rf && !slices.Contains(chosen, s.id) {
			chosen = append(chosen, s.id)
		}
	}
	return chosen
}
