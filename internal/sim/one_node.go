package sim

import (
	"time"

	"github.com/logbahn/logbahn/internal/config"
)

// OneNode are the scenarios of a node that is alone. What befalls it, it must come back with all that it acknowledged.
var OneNode = []Scenario{
	{Name: "one-node-kill", Machines: 1, Faults: func(r *Run) {
		r.repeat(10, func() { r.crash(r.Machines[0], r.Machines[0].Kill) })
	}},
	{Name: "one-node-power-loss", Machines: 1, Faults: func(r *Run) {
		r.repeat(10, func() { r.powerLoss(r.Machines[0]) })
	}},
	{Name: "one-node-restart", Machines: 1, Faults: func(r *Run) {
		r.repeat(10, func() {
			if err := r.Machines[0].Stop(); err != nil {
				r.Trace.Logf("stop: %v", err)
			}
			r.Between(100*time.Millisecond, time.Second)
			r.Machines[0].Start()
		})
	}},
	{Name: "one-node-network", Machines: 1, Faults: func(r *Run) {
		r.repeat(20, func() { r.disturbNetwork() })
	}},
	{Name: "one-node-disk", Machines: 1, Faults: func(r *Run) {
		r.repeat(10, func() { r.disturbDisk(r.Machines[0]) })
	}},
	{Name: "one-node-pause", Machines: 1, Faults: func(r *Run) {
		r.repeat(10, func() { r.pause(r.Machines[0], 5*time.Second) })
	}},
	{Name: "one-node-clock", Machines: 1, Faults: func(r *Run) {
		r.repeat(12, func() { r.jumpClock(r.Machines[0]) })
	}},
	{Name: "one-node-everything", Machines: 1, Counts: true, Faults: func(r *Run) {
		r.repeat(20, func() { r.anything() })
	}},
}

// Weak are clusters that promise less than the checkers ask: each must be found to lose.
var Weak = []Scenario{
	{Name: "weak-one-node-flush-os", Machines: 1, Settings: map[string]string{"flush": config.FlushOS}, Faults: func(r *Run) {
		r.repeat(10, func() { r.powerLoss(r.Machines[0]) })
	}},
	{Name: "weak-three-nodes-flush-os", Machines: 3, Settings: map[string]string{"flush": config.FlushOS}, Faults: func(r *Run) {
		r.repeat(5, func() { r.all(func(m *Machine) { m.PowerLoss(r.Rand.Uint64()) }) })
	}},
}
