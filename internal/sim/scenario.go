package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// Scenario is a cluster under load and what befalls it.
type Scenario struct {
	Name     string
	Machines int
	Settings map[string]string
	// Faults injects what the scenario is about, and returns when that is over; it may leave faults that Settle ends.
	Faults func(*Run)
	// Counts: each run has what a run must have to count (Result.Lacks). A range of seeds is a mix of these scenarios.
	Counts bool
	// KeepAll makes the trace whole, for who looks for the cause of something.
	KeepAll bool
	// GapMax is how long writes of acks=all to some partition may wait while none succeeds; 0 does not say.
	GapMax time.Duration
}

// Run is a scenario on its way.
type Run struct {
	*Cluster
	Load *Load
	// Faults counts what was injected.
	Faults int
}

// Sleep lets time pass.
func (r *Run) Sleep(d time.Duration) { time.Sleep(d) }

// Between lets a random time pass.
func (r *Run) Between(least, most time.Duration) {
	time.Sleep(least + time.Duration(r.Rand.Int64N(int64(most-least))))
}

// Pick draws one of the machines.
func (r *Run) Pick() *Machine { return r.Machines[r.Rand.IntN(len(r.Machines))] }

// Result is what a run has shown. As JSON it is what a process tells of the run that it has played.
type Result struct {
	Scenario  string
	Seed      uint64
	Ops       int
	Faults    int
	Elapsed   time.Duration   // virtual
	Gap       time.Duration   // the longest without a write of acks=all to some partition
	Sum       string          // of the trace
	Anomalies []check.Anomaly `json:"-"`
	Err       error           `json:"-"` // the cluster did not come back, or a replica is not what it must be
	Trace     *Trace          `json:"-"`
}

// Failed tells whether anything is wrong.
func (r *Result) Failed() bool { return r.Err != nil || len(r.Anomalies) > 0 }

func (r *Result) String() string {
	return fmt.Sprintf("%s seed %d: %d operations, %d faults, %v, longest without a write %v, trace %s",
		r.Scenario, r.Seed, r.Ops, r.Faults, r.Elapsed.Round(time.Millisecond), r.Gap.Round(time.Millisecond), r.Sum)
}

// What a run must have at least to count.
const (
	countedOps     = 2000
	countedFaults  = 10
	countedElapsed = 60 * time.Second
)

// light makes runs do what they need to count, and little more: in WebAssembly one costs what several native ones cost.
const light = runtime.GOOS == "wasip1"

// Lacks says what a run has too little of to count, "" when nothing.
func (r *Result) Lacks() string {
	if r.Ops >= countedOps && r.Faults >= countedFaults && r.Elapsed >= countedElapsed {
		return ""
	}
	return fmt.Sprintf("%d operations, %d faults, %v: it does not count with less than %d, %d and %v",
		r.Ops, r.Faults, r.Elapsed, countedOps, countedFaults, countedElapsed)
}

// healedFor is how long the load goes on when the last fault is over.
const healedFor = 5 * time.Second

// loadMin is how long the load works at least, faults or not; with what comes when it is healed the run counts.
const loadMin = countedElapsed - healedFor

// playOnMax bounds what a run of few operations is given to have enough of them.
const playOnMax = 30 * time.Second

// Play plays a scenario. It must be called in a synctest bubble of its own.
func (s *Scenario) Play(ctx context.Context, seed uint64) *Result {
	c := New(Config{Seed: seed, Machines: s.Machines, Settings: s.Settings})
	res := &Result{Scenario: s.Name, Seed: seed, Trace: c.Trace}
	if s.KeepAll {
		c.Trace.KeepAll()
	}
	c.Start()
	load, err := StartLoad(ctx, c, seed<<8)
	if err != nil {
		res.Err = errors.Join(err, c.Close())
		return res
	}
	run := &Run{Cluster: c, Load: load}
	run.Sleep(2 * time.Second)
	s.Faults(run)
	run.playOn()
	c.Heal()
	run.Sleep(healedFor)
	load.Stop()
	res.Err = load.Settle(ctx)
	res.Err = errors.Join(res.Err, c.Close())
	finals, err := c.CheckReplicas(load.assigned)
	res.Err = errors.Join(res.Err, err)
	if load.settled {
		load.history.Finals = append(load.history.Finals, finals...)
	}
	s.judge(res, run)
	return res
}

// playOn lets the load work until the run counts, if it is not so slow that something is wrong.
func (r *Run) playOn() {
	if left := loadMin - r.Trace.Elapsed(); left > 0 {
		r.Sleep(left)
	}
	for until := r.Trace.Elapsed() + playOnMax; r.Load.Ops() < countedOps && r.Trace.Elapsed() < until; {
		r.Sleep(time.Second)
	}
}

func (s *Scenario) judge(res *Result, run *Run) {
	l := run.Load
	res.Ops, res.Faults, res.Elapsed, res.Gap = l.Ops(), run.Faults, run.Trace.Elapsed(), l.gap
	res.Anomalies = check.Check(l.History())
	res.Err = errors.Join(res.Err, l.blind())
	for _, line := range l.told {
		res.Err = errors.Join(res.Err, errors.New(line))
	}
	if s.GapMax > 0 && l.gap > s.GapMax {
		res.Err = errors.Join(res.Err, fmt.Errorf("no write succeeded for %v, at most %v is allowed", l.gap, s.GapMax))
	}
	for _, a := range res.Anomalies {
		run.Trace.Logf("ANOMALY: %s", a)
	}
	if res.Err != nil {
		run.Trace.Logf("ERROR: %v", res.Err)
	}
	res.Sum = run.Trace.Sum()
}

// blind says which of the checkers had nothing to judge, since no client was answered: they find nothing wrong then.
func (l *Load) blind() error {
	if !slices.ContainsFunc(l.history.Metadata, func(op check.MetadataOp) bool { return op.Kind != check.ProbeTopic && op.Answer == check.Done }) {
		return errors.New("nobody was told of a topic: this run shows nothing of metadata")
	}
	if !slices.ContainsFunc(l.history.Fetched, func(f check.Fetched) bool { return f.Offset > 0 }) {
		return errors.New("nobody was told of a committed offset: this run shows nothing of groups")
	}
	return nil
}

// chance is true once in n times.
func chance(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }
