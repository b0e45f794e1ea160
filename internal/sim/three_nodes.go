package sim

import (
	"strings"
	"time"
)

// gapMax is how long acks=all may find no leader when one node fails at a time: a session timeout and five seconds.
const gapMax = 14 * time.Second

// killGapMax is how long they may find none when a process is killed, whose machine says so: an election of the quorum where it
// was the controller, two refusals, and what clients take to find the new leaders.
const killGapMax = 2 * time.Second

// ThreeNodes are the scenarios of a cluster of three replicas, two of which must be in sync. The numbers are those of the rows
// of the fault table.
var ThreeNodes = []Scenario{
	{Name: "three-nodes-00-nothing", Machines: 3, GapMax: time.Second, Faults: func(r *Run) {}},
	{Name: "three-nodes-01-kill-leader", Machines: 3, GapMax: killGapMax, Faults: func(r *Run) {
		r.calmly(4, func() { m := r.leader(); r.crash(m, m.Kill) })
	}},
	{Name: "three-nodes-01-kill-controller", Machines: 3, GapMax: killGapMax, Faults: func(r *Run) {
		r.calmly(4, func() { m := r.controller(); r.crash(m, m.Kill) })
	}},
	{Name: "three-nodes-01-kill-one", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(10, func() { m := r.Pick(); r.crash(m, m.Kill) })
	}},
	{Name: "three-nodes-02-kill-all", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(5, func() { r.all((*Machine).Kill) })
	}},
	{Name: "three-nodes-03-power-loss-one", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(10, func() { r.powerLoss(r.Pick()) })
	}},
	{Name: "three-nodes-03-power-loss-leader", Machines: 3, GapMax: gapMax, Faults: func(r *Run) {
		r.calmly(4, func() { r.powerLoss(r.leader()) })
	}},
	{Name: "three-nodes-03-power-loss-all", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(5, func() { r.all(func(m *Machine) { m.PowerLoss(r.Rand.Uint64()) }) })
	}},
	{Name: "three-nodes-05-bit-flip-segment", Machines: 3, Faults: func(r *Run) {
		r.calmly(3, func() { r.damage(func(name string) bool { return ofTopic(name) && strings.HasSuffix(name, ".log") }) })
	}},
	{Name: "three-nodes-05-bit-flip-running", Machines: 3, Settings: map[string]string{"scrub.bytes.per.second": "1073741824"}, Faults: func(r *Run) {
		m := r.Pick() // one machine: a partition whose copies are all damaged is lost
		r.calmly(4, func() { r.rot(m) })
	}},
	{Name: "three-nodes-06-bit-flip-index", Machines: 3, Faults: func(r *Run) {
		r.calmly(4, func() {
			r.damage(func(name string) bool {
				return ofTopic(name) && !strings.HasSuffix(name, ".log")
			})
		})
	}},
	{Name: "three-nodes-07-bit-flip-metadata", Machines: 3, GapMax: gapMax, Settings: snapshots, Faults: func(r *Run) {
		named := func(suffix string) func(string) bool {
			return func(name string) bool { return ofMetadata(name) && strings.HasSuffix(name, suffix) }
		}
		r.calmly(1, func() { r.damageQuorum(named("quorum-state"), true) })
		r.calmly(1, func() { r.damageQuorum(named(".log"), false) })
		r.calmly(1, func() { r.damageQuorum(ofMetadata, false) })
	}},
	{Name: "three-nodes-08-missing-files", Machines: 3, Faults: func(r *Run) {
		r.calmly(4, func() { r.loseFiles() })
	}},
	{Name: "three-nodes-09-disk-full", Machines: 3, Faults: func(r *Run) {
		r.calmly(4, func() {
			m := r.Pick()
			m.FillDisk()
			r.Between(time.Second, 20*time.Second)
			m.WellDisk()
		})
	}},
	{Name: "three-nodes-10-sync-fails", Machines: 3, Faults: func(r *Run) {
		r.calmly(4, func() {
			m := r.Pick()
			m.FailSync()
			r.Between(5*time.Second, 15*time.Second)
			if m.syncPending() {
				r.Load.tell("%s: no sync of a log has failed: this run shows nothing", m.Name)
			}
			m.WellDisk()
			r.crash(m, m.Kill)
		})
	}},
	{Name: "three-nodes-11-slow-disk", Machines: 3, Faults: func(r *Run) {
		r.calmly(3, func() {
			m := r.Pick()
			m.SlowDisk(2 * time.Second)
			r.Between(5*time.Second, 30*time.Second)
			m.WellDisk()
		})
	}},
	{Name: "three-nodes-12-clock", Machines: 3, Counts: true, GapMax: time.Second, Faults: func(r *Run) {
		r.repeat(12, func() { r.jumpClock(r.Pick()) })
	}},
	{Name: "three-nodes-13-cut", Machines: 3, GapMax: gapMax, Faults: func(r *Run) {
		r.calmly(5, func() { r.cutMachines(r.Rand.IntN(bridge)) })
	}},
	// The in-sync set shrinks only when who is cut off has lagged for replica.lag.time.max.ms.
	{Name: "three-nodes-13-bridge", Machines: 3, GapMax: 36 * time.Second, Faults: func(r *Run) {
		r.calmly(5, func() { r.cutMachines(bridge) })
	}},
	{Name: "three-nodes-14-network", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(15, func() { r.disturbNetwork() })
	}},
	{Name: "three-nodes-15-pause", Machines: 3, Faults: func(r *Run) {
		r.calmly(4, func() { r.pause(r.leader(), 30*time.Second) })
	}},
	{Name: "three-nodes-16-rolling-restart", Machines: 3, GapMax: 2 * time.Second, Faults: func(r *Run) {
		r.repeat(2, func() { r.rollingRestart() })
	}},
	{Name: "three-nodes-18-kill-group-coordinator", Machines: 3, Faults: func(r *Run) {
		r.calmly(3, func() { r.killCoordinator() })
		if r.Load.Loading() == 0 {
			r.Load.tell("nobody was told that the coordinator loads: this run shows nothing")
		}
	}},
	{Name: "three-nodes-21-reset", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(20, func() { r.Network.Reset(r.Pick().Host) })
	}},
	{Name: "three-nodes-22-recreate-topic", Machines: 3, Counts: true, Faults: func(r *Run) { r.remake(10) }},
	{Name: "three-nodes-24-empty-disk", Machines: 3, Settings: snapshots, Faults: func(r *Run) {
		r.calmly(3, func() { r.emptyDisk() })
	}},
	{Name: "three-nodes-99-everything", Machines: 3, Counts: true, Faults: func(r *Run) {
		r.repeat(20, func() { r.anything() })
	}},
}

// FourNodes are the scenarios that need a machine to spare: three replicas on four voters.
var FourNodes = []Scenario{
	{Name: "four-nodes-23-reassign", Machines: 4, GapMax: gapMax, Faults: func(r *Run) {
		moved := 0
		r.calmly(6, func() {
			if r.reassign() {
				moved++
			}
		})
		if moved == 0 {
			r.Load.tell("no partition was given other replicas: this run shows nothing")
		}
	}},
	{Name: "four-nodes-26-members", Machines: 4, GapMax: gapMax, Settings: snapshots, Faults: func(r *Run) {
		r.calmly(4, func() { r.changeVoters() })
		r.checkVoters()
	}},
}

// snapshots are taken of the metadata often.
var snapshots = map[string]string{"metadata.log.max.record.bytes.between.snapshots": "20000"}

// all ends every machine at once, a fault each, and starts them again at different times.
func (r *Run) all(how func(*Machine)) {
	r.Faults += len(r.Machines) - 1
	for _, m := range r.Machines {
		how(m)
	}
	for _, i := range r.Rand.Perm(len(r.Machines)) {
		r.Between(0, 2*time.Second)
		r.Machines[i].PowerOn()
	}
}

// damage kills a machine, flips a bit of one of its files, and starts it again.
func (r *Run) damage(pick func(name string) bool) {
	m := r.Pick()
	r.crash(m, func() {
		m.Kill()
		r.flipBit(m, pick)
	})
}

// rot flips a bit of a segment of a machine that runs.
func (r *Run) rot(m *Machine) {
	r.flipBit(m, func(name string) bool { return ofTopic(name) && strings.HasSuffix(name, ".log") })
	r.Between(5*time.Second, 20*time.Second)
}

// The kinds of cuts.
const (
	fromAll      = iota
	fromMachines // clients still reach it
	oneWay       // what it sends to machines is lost, what it is sent is not
	bridge       // two that a third still reaches both
)

// cutMachines separates machines from each other: one from the rest, one direction, or two that a third still reaches both.
func (r *Run) cutMachines(kind int) {
	order := r.Rand.Perm(len(r.Machines))
	a, b, c := r.Machines[order[0]].Host, r.Machines[order[1]].Host, r.Machines[order[2]].Host
	switch kind {
	case fromAll:
		r.Network.Isolate(a, r.Network.Hosts()...)
	case fromMachines:
		r.Network.Isolate(a, b, c)
	case oneWay:
		r.Network.Cut(a, b)
		r.Network.Cut(a, c)
	case bridge:
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
		r.awaitInSync()
	}
}
