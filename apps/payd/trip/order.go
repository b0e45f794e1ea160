package trip

import (
	"cmp"
	"slices"
)

// Bounds of the reordering: how long a record waits for an earlier one (Traccar's default), how many wait at most,
// and how many settled times are remembered to tell a doubled record from a late one.
const (
	HoldMs     = 3000
	heldMax    = 256
	settledMax = 32
)

// Sequencer puts one device's records into the order of their own time, each time once. Its fields are exported so
// that it can be saved with the state it feeds.
type Sequencer struct {
	Held      []Record `json:"held,omitempty"`    // ascending by time
	Settled   []int64  `json:"settled,omitempty"` // the last released times, ascending
	SettledMs int64    `json:"settled_ms"`        // nothing at or before this time can be placed any more
}

// Push takes one record and returns those whose place is now certain, in order. A record that waits is Accepted.
func (s *Sequencer) Push(r Record) (Verdict, []Record) {
	if r.TimeMs <= s.SettledMs {
		if slices.Contains(s.Settled, r.TimeMs) {
			return Duplicate, nil
		}
		return Late, nil
	}
	at, found := slices.BinarySearchFunc(s.Held, r.TimeMs, func(h Record, ts int64) int { return cmp.Compare(h.TimeMs, ts) })
	if found {
		return Duplicate, nil
	}
	s.Held = slices.Insert(s.Held, at, r)
	newest := s.Held[len(s.Held)-1].TimeMs
	certain := 0
	for certain < len(s.Held) && (newest-s.Held[certain].TimeMs >= HoldMs || len(s.Held)-certain > heldMax) {
		certain++
	}
	return Accepted, s.release(certain)
}

// Flush returns what still waits, for a device that has fallen silent.
func (s *Sequencer) Flush() []Record { return s.release(len(s.Held)) }

func (s *Sequencer) release(n int) []Record {
	if n == 0 {
		return nil
	}
	out := slices.Clone(s.Held[:n])
	s.Held = slices.Delete(s.Held, 0, n)
	for _, r := range out {
		s.Settled = append(s.Settled, r.TimeMs)
	}
	if extra := len(s.Settled) - settledMax; extra > 0 {
		s.Settled = slices.Delete(s.Settled, 0, extra)
	}
	s.SettledMs = out[n-1].TimeMs
	return out
}
