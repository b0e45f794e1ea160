//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/logbahn/logbahn/chaos/procfs"
	"github.com/logbahn/logbahn/chaos/workload"
)

// at is a moment, in seconds from the beginning.
func at(seconds float64) time.Time {
	return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestMeasureSpan(t *testing.T) {
	s := &span{injected: at(10), healed: at(20), recovered: at(30)}
	for _, c := range []struct {
		name string
		acks []float64 // of every partition but 0
		odd  []float64 // of partition 0
		want measured
	}{
		{"nothing stops", every(0, 40, 1), every(0, 40, 1), measured{sec(1), sec(1), 0}},
		{"one partition resumes under the fault", every(0, 40, 1), append(every(0, 11, 1), every(16, 40, 1)...), measured{sec(6), sec(6), 0}},
		{"all wait for the healing", append(every(0, 10, 1), every(23, 40, 1)...), append(every(0, 10, 1), every(24, 40, 1)...),
			measured{sec(14), sec(14), sec(4)}},
		{"one stops when it is healed", every(0, 40, 1), append(every(0, 22, 1), every(29, 40, 1)...), measured{sec(8), sec(1), 0}},
	} {
		var acks []workload.Ack
		for p := range int32(partitions) {
			times := c.acks
			if p == 0 {
				times = c.odd
			}
			for _, when := range times {
				acks = append(acks, workload.Ack{Time: at(when), Partition: p})
			}
		}
		if got := measureSpan(s, writes(acks)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	r := &run{options: &options{session: 6 * time.Second}}
	for name, want := range map[string]time.Duration{"kill-leader": promised, "kill-one": promised, "isolate-leader": r.limit(), "power-leader": r.limit()} {
		chosen, err := chosenFaults(name, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.limitUnder(&chosen[0]); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if promised >= r.options.session {
		t.Errorf("%v after the end of a process does not tell a session of %v from none", promised, r.options.session)
	}
}

func TestChosenFaults(t *testing.T) {
	for _, c := range []struct {
		names string
		nodes int
		want  int
	}{{"", 3, len(faults)}, {"", 1, len(faults) - 1}, {"kill-all,disk-lost", 3, 2}, {"kill-all,disk-lost", 1, 1}, {"disk-lost", 1, 0}, {"kill-al", 3, 0}} {
		if chosen, err := chosenFaults(c.names, c.nodes); len(chosen) != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%q of %d nodes: %d faults, %v", c.names, c.nodes, len(chosen), err)
		}
	}
}

func TestBusyness(t *testing.T) {
	for _, c := range []struct {
		begin, end procfs.Load
		want       string
	}{
		{procfs.Load{Average: 2, Waited: sec(100), HasWaited: true}, procfs.Load{Average: 22.1, Waited: sec(109), HasWaited: true},
			"load 22.1, threads waited for a processor in 90% of the time"},
		{procfs.Load{Average: 3}, procfs.Load{Average: 1}, "load 3.0"},
	} {
		if got := between(c.begin, c.end, sec(10)).String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got, want := (busyness{3, 0.5}).worst(busyness{2, 0.75}), (busyness{3, 0.75}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func sec(n int) time.Duration { return time.Duration(n) * time.Second }

// every returns from, from+step, ... below to.
func every(from, to, step float64) []float64 {
	var times []float64
	for x := from; x < to; x += step {
		times = append(times, x)
	}
	return times
}
