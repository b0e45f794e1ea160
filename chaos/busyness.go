//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/logbahn/logbahn/chaos/procfs"
)

// busyness is what else the machine had to do during a fault. It excuses nothing: it tells whether there may have been a
// cause outside.
type busyness struct {
	load   float64 // the load average of a minute, the higher one of the fault's two ends
	waited float64 // the part of the time in which some thread waited for a processor, of 1; -1 when the kernel does not say
}

func (b busyness) String() string {
	if b.waited < 0 {
		return fmt.Sprintf("load %.1f", b.load)
	}
	return fmt.Sprintf("load %.1f, threads waited for a processor in %.0f%% of the time", b.load, 100*b.waited)
}

// worst joins the highest ones of both.
func (b busyness) worst(other busyness) busyness {
	return busyness{max(b.load, other.load), max(b.waited, other.waited)}
}

// busySince is about the time since a fault was injected.
func (s *span) busySince() (busyness, error) {
	now, err := procfs.ReadLoad()
	return between(s.loaded, now, time.Since(s.injected)), err
}

func between(begin, end procfs.Load, d time.Duration) busyness {
	b := busyness{max(begin.Average, end.Average), -1}
	if begin.HasWaited && end.HasWaited && d > 0 {
		b.waited = min(1, (end.Waited-begin.Waited).Seconds()/d.Seconds())
	}
	return b
}
