//go:build linux

package main

import (
	"slices"
	"time"

	"github.com/logbahn/logbahn/chaos/workload"
)

// measured is what a fault did to the writes.
type measured struct {
	// silence is the longest time in which some partition took no write of any client, from the fault to the moment at
	// which all was well.
	silence time.Duration
	// during is the same of the time before the fault was healed, and as long after it as that silence lasted.
	during time.Duration
	// resumed is the time from the healing until every partition had taken a write again.
	resumed time.Duration
}

// writes returns the times of each partition's successful writes, sorted.
func writes(acks []workload.Ack) [][]time.Time {
	times := make([][]time.Time, partitions)
	for _, a := range acks {
		times[a.Partition] = append(times[a.Partition], a.Time)
	}
	for p := range times {
		slices.SortFunc(times[p], time.Time.Compare)
	}
	return times
}

// measureSpan looks at the writes around a fault.
func measureSpan(s *span, writes [][]time.Time) measured {
	var m measured
	for _, times := range writes {
		last := s.injected
		for _, t := range times {
			if t.Before(s.injected) {
				continue
			}
			if last.After(s.recovered) {
				break
			}
			m.silence = max(m.silence, t.Sub(last))
			if last.Before(s.healed) {
				m.during = max(m.during, t.Sub(last))
				if !t.Before(s.healed) {
					m.resumed = max(m.resumed, t.Sub(s.healed))
				}
			}
			last = t
		}
	}
	return m
}

// measure compares a fault's effect with what is promised.
func (r *run) measure(s *span) {
	m := measureSpan(s, writes(r.history.Acks()))
	r.say("%s: healed after %.1fs; without a write at most %.1fs, %.1fs after the healing; all in sync %.1fs after it; %v", s.name,
		s.healed.Sub(s.injected).Seconds(), m.silence.Seconds(), m.resumed.Seconds(), s.recovered.Sub(s.healed).Seconds(), s.busy)
	if limit := r.limitUnder(s.fault); r.serves(s.fault) && m.during > limit {
		r.found("%s of %s: a partition took no write for %.1fs, promised is %v (%v)", s.name, s.target, m.during.Seconds(), limit, s.busy)
	}
	if m.resumed > r.limit() {
		r.found("%s of %s: writes resumed %.1fs after the healing, promised is %v (%v)", s.name, s.target, m.resumed.Seconds(), r.limit(), s.busy)
	}
}
