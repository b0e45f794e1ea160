package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// moveRow is what a plan has for a partition.
type moveRow struct {
	Topic     string  `json:"topic" doc:"topic"`
	Partition int32   `json:"partition" doc:"partition"`
	From      []int32 `json:"from" doc:"replicas so far, the preferred leader first"`
	To        []int32 `json:"to" doc:"replicas then, the preferred leader first"`
	Leader    int32   `json:"leader" doc:"broker that leads it now; -1: none"`
	Bytes     int64   `json:"bytes" doc:"what has to be copied to brokers that are new to it; -1: not known"`
}

// adds are the brokers that are new to the partition.
func (r *moveRow) adds() []int32 {
	return slices.DeleteFunc(slices.Clone(r.To), func(id int32) bool { return slices.Contains(r.From, id) })
}

func (r *moveRow) name() string { return fmt.Sprintf("%s/%d", r.Topic, r.Partition) }

// withoutSource names the partitions of a plan that have to be copied and have no leader to copy from.
func withoutSource(plan []moveRow) []string {
	var names []string
	for i := range plan {
		if r := &plan[i]; r.Leader < 0 && len(r.adds()) > 0 {
			names = append(names, r.name())
		}
	}
	return names
}

func sortMoves(plan []moveRow) {
	slices.SortFunc(plan, func(a, b moveRow) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// placement decides which brokers get replicas. It is changed by what it has decided.
type placement struct {
	racks    map[int32]string // of the brokers that may be chosen
	replicas map[int32]int    // how many each has
	leads    map[int32]int    // of how many it is the first
}

func newPlacement(racks map[int32]string, rows []clusterPartitionRow) *placement {
	p := &placement{racks: racks, replicas: map[int32]int{}, leads: map[int32]int{}}
	for _, r := range rows {
		for i, id := range r.Replicas {
			p.replicas[id]++
			if i == 0 {
				p.leads[id]++
			}
		}
	}
	return p
}

// replace returns replicas with those that may not stay exchanged for the brokers that have the fewest, in racks that the
// partition is not in where there are such. It fails when there are too few brokers.
func (p *placement) replace(replicas []int32, stays func(id int32) bool) ([]int32, error) {
	to := slices.DeleteFunc(slices.Clone(replicas), func(id int32) bool { return !stays(id) })
	for len(to) < len(replicas) {
		next, ok := p.least(to)
		if !ok {
			return nil, &cliError{code: exitRefused, err: fmt.Errorf("%s have to hold %s", counted(len(p.racks), "broker"), counted(len(replicas), "replica")),
				hint: "name more brokers, or make fewer replicas of the topic"}
		}
		to = append(to, next)
		p.replicas[next]++
	}
	for _, id := range replicas {
		if !slices.Contains(to, id) {
			p.replicas[id]--
		}
	}
	if replicas[0] != to[0] { // who inherits the preferred place should not be the same broker each time
		first := slices.MinFunc(to, func(a, b int32) int { return cmp.Or(cmp.Compare(p.leads[a], p.leads[b]), cmp.Compare(a, b)) })
		at := slices.Index(to, first)
		to[0], to[at] = to[at], to[0]
		p.leads[replicas[0]]--
		p.leads[first]++
	}
	return to, nil
}

// least returns the broker that should get the next replica of a partition that has some.
func (p *placement) least(taken []int32) (int32, bool) {
	var candidates []int32
	for id := range p.racks {
		if !slices.Contains(taken, id) {
			candidates = append(candidates, id)
		}
	}
	if len(candidates) == 0 {
		return 0, false
	}
	shares := func(id int32) int { // replicas of the partition in the same rack
		n := 0
		for _, other := range taken {
			if rack, known := p.racks[other]; known && p.racks[id] != "" && rack == p.racks[id] {
				n++
			}
		}
		return n
	}
	return slices.MinFunc(candidates, func(a, b int32) int {
		return cmp.Or(cmp.Compare(shares(a), shares(b)), cmp.Compare(p.replicas[a], p.replicas[b]), cmp.Compare(a, b))
	}), true
}

// planMoves moves the partitions to the brokers of a placement: what is there already stays.
func planMoves(rows []clusterPartitionRow, p *placement) ([]moveRow, error) {
	plan := []moveRow{}
	for _, r := range rows {
		if len(r.Replicas) == 0 {
			continue
		}
		to, err := p.replace(r.Replicas, func(id int32) bool { _, may := p.racks[id]; return may })
		if err != nil {
			return nil, named("topic", r.Topic, err, "")
		}
		if !slices.Equal(to, r.Replicas) {
			plan = append(plan, moveRow{Topic: r.Topic, Partition: r.Partition, From: r.Replicas, To: to, Leader: r.Leader, Bytes: -1})
		}
	}
	return plan, nil
}

// planExactly gives each partition the same replicas.
func planExactly(rows []clusterPartitionRow, replicas []int32) []moveRow {
	plan := []moveRow{}
	for _, r := range rows {
		if !slices.Equal(replicas, r.Replicas) {
			plan = append(plan, moveRow{Topic: r.Topic, Partition: r.Partition, From: r.Replicas, To: replicas, Leader: r.Leader, Bytes: -1})
		}
	}
	return plan
}

// planLeaderships takes a broker from the preferred place of each partition where another replica is in sync, and puts the
// one there that leads the fewest. The replicas stay. Stuck are the partitions that nobody else could lead.
func planLeaderships(rows []clusterPartitionRow, broker int32, p *placement) (plan []moveRow, stuck []string) {
	plan = []moveRow{}
	for _, r := range rows {
		if r.Leader != broker && (len(r.Replicas) == 0 || r.Replicas[0] != broker) {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(r.ISR), func(id int32) bool { return id == broker || !slices.Contains(r.Replicas, id) })
		if len(others) == 0 {
			if r.Leader == broker {
				stuck = append(stuck, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
			}
			continue
		}
		first := slices.MinFunc(others, func(a, b int32) int { return cmp.Or(cmp.Compare(p.leads[a], p.leads[b]), cmp.Compare(a, b)) })
		p.leads[first]++
		to := append([]int32{first}, slices.DeleteFunc(slices.Clone(r.Replicas), func(id int32) bool { return id == first || id == broker })...)
		plan = append(plan, moveRow{Topic: r.Topic, Partition: r.Partition, From: r.Replicas, To: append(to, broker), Leader: r.Leader})
	}
	return plan, stuck
}
