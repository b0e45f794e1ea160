package sim

import "time"

// gapMax is how long acks=all may find no leader: a session timeout and five seconds.
const gapMax = 14 * time.Second

// ThreeNodes are the scenarios of a cluster of three replicas, two of which must be in sync. The numbers are those of the rows
// of the fault table that docs/reliability.md has.
var ThreeNodes = []Scenario{
	{Name: "three-nodes-00-nothing", Machines: 3, Faults: func(r *Run) {}},
	{Name: "three-nodes-01-kill-one", Machines: 3, Faults: func(r *Run) {
		r.repeat(10, func() { m := r.Pick(); r.crash(m, m.Kill) })
	}},
	{Name: "three-nodes-02-kill-all", Machines: 3, Faults: func(r *Run) {
		r.repeat(5, func() { r.all((*Machine).Kill) })
	}},
	{Name: "three-nodes-03-power-loss-one", Machines: 3, Faults: func(r *Run) {
		r.repeat(10, func() { r.powerLoss(r.Pick()) })
	}},
	{Name: "three-nodes-03-power-loss-all", Machines: 3, Faults: func(r *Run) {
		r.repeat(5, func() { r.all(func(m *Machine) { m.PowerLoss(r.Rand.Uint64()) }) })
	}},
	{Name: "three-nodes-08-disk", Machines: 3, Faults: func(r *Run) {
		r.repeat(10, func() { r.disturbDisk(r.Pick()) })
	}},
	{Name: "three-nodes-11-clock", Machines: 3, Faults: func(r *Run) {
		r.repeat(12, func() { r.jumpClock(r.Pick()) })
	}},
	{Name: "three-nodes-12-cut", Machines: 3, Faults: func(r *Run) {
		r.repeat(10, func() { r.cutMachines() })
	}},
	{Name: "three-nodes-13-network", Machines: 3, Faults: func(r *Run) {
		r.repeat(15, func() { r.disturbNetwork() })
	}},
	{Name: "three-nodes-14-pause", Machines: 3, Faults: func(r *Run) {
		r.repeat(8, func() { r.pause(r.Pick(), 30*time.Second) })
	}},
	{Name: "three-nodes-15-rolling-restart", Machines: 3, Faults: func(r *Run) {
		r.repeat(2, func() { r.rollingRestart() })
	}},
	{Name: "three-nodes-99-everything", Machines: 3, Faults: func(r *Run) {
		r.repeat(20, func() { r.anything() })
	}},
}

// all ends every machine at once, and starts them again at different times.
func (r *Run) all(how func(*Machine)) {
	for _, m := range r.Machines {
		how(m)
	}
	for _, i := range r.Rand.Perm(len(r.Machines)) {
		r.Between(0, 2*time.Second)
		r.Machines[i].PowerOn()
	}
}

// cutMachines separates machines from each other: one from the rest, one direction, or two that a third still reaches both.
func (r *Run) cutMachines() {
	order := r.Rand.Perm(3)
	a, b, c := r.Machines[order[0]].Host, r.Machines[order[1]].Host, r.Machines[order[2]].Host
	switch r.Rand.IntN(4) {
	case 0: // from everybody
		r.Network.Isolate(a, r.Network.Hosts()...)
	case 1: // from the other machines only: clients still reach it
		r.Network.Isolate(a, b, c)
	case 2: // what it sends is lost, what it is sent is not
		r.Network.Cut(a, b)
		r.Network.Cut(a, c)
	case 3: // a bridge: c reaches both
		r.Network.Isolate(a, b)
	}
	r.Between(time.Second, 20*time.Second)
	r.Network.HealAll()
}

func (r *Run) rollingRestart() {
	for _, m := range r.Machines {
		if err := m.Stop(); err != nil {
			r.Trace.Logf("stop: %v", err)
		}
		r.Between(100*time.Millisecond, 2*time.Second)
		m.Start()
		r.Between(5*time.Second, 15*time.Second)
	}
}
