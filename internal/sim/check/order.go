package check

import (
	"cmp"
	"slices"
	"sort"
)

// checkProducers looks at the order of each producer's records.
func (p *partition) checkProducers() {
	last := make(map[string]*Send)
	for _, s := range p.sends {
		if !s.Idempotent {
			continue
		}
		offset, ok := p.of[s.Value]
		if !ok {
			continue
		}
		if before := last[s.Producer]; before != nil && offset <= p.of[before.Value] {
			p.found(Reordered, "%s sent %s before %s; they stand at %d and %d", s.Producer, before.Value, s.Value, p.of[before.Value], offset)
		}
		last[s.Producer] = s
	}
}

// checkRealTime looks for records that stand before one which had been acknowledged when they were sent.
func (p *partition) checkRealTime() {
	var ended []*Send
	for _, s := range p.sends {
		if s.Outcome == OK && s.Durable && s.Offset >= 0 {
			ended = append(ended, s)
		}
	}
	begun := slices.Clone(p.sends)
	slices.SortStableFunc(begun, func(a, b *Send) int { return cmp.Compare(a.Begin, b.Begin) })
	slices.SortStableFunc(ended, func(a, b *Send) int { return cmp.Compare(a.End, b.End) })
	var highest *Send
	next := 0
	for _, s := range begun {
		for ; next < len(ended) && ended[next].End < s.Begin; next++ {
			if highest == nil || ended[next].Offset > highest.Offset {
				highest = ended[next]
			}
		}
		if offset, ok := p.of[s.Value]; ok && highest != nil && offset < highest.Offset {
			p.found(StaleAppend, "%s, sent at %v, stands at %d, before %s at %d, acknowledged at %v",
				s.Value, s.Begin, offset, highest.Value, highest.Offset, highest.End)
		}
	}
}

// position is where a consumer is in the partition.
type position struct {
	next int64 // the least offset that may come; -1 at the beginning
	poll int
}

// checkConsumers looks at the order of what each consumer got.
func (p *partition) checkConsumers() {
	at := make(map[string]position)
	for _, r := range p.reads {
		if r.Assigned {
			at[r.Consumer] = position{next: r.Offset, poll: r.Poll}
			continue
		}
		pos, known := at[r.Consumer]
		switch {
		case !known:
		case r.Offset < pos.next:
			p.found(NonmonotonicPoll, "%s got %d in poll %d, at least %d was to come (poll %d)", r.Consumer, r.Offset, r.Poll, pos.next, pos.poll)
		default:
			if skipped, ok := p.between(pos.next, r.Offset); ok {
				p.found(PollSkip, "%s got %d in poll %d, and not %s at %d", r.Consumer, r.Offset, r.Poll, p.at[skipped], skipped)
			}
		}
		at[r.Consumer] = position{next: r.Offset + 1, poll: r.Poll}
	}
}

// between returns a record that stands in [from, to).
func (p *partition) between(from, to int64) (int64, bool) {
	i := sort.Search(len(p.offsets), func(i int) bool { return p.offsets[i] >= from })
	if i < len(p.offsets) && p.offsets[i] < to {
		return p.offsets[i], true
	}
	return 0, false
}

// checkGroups looks at the offsets that groups have committed.
func (p *partition) checkGroups() {
	known := p.knownOffsets()
	for _, f := range p.fetched {
		other := otherBefore(known, f)
		committed, current := p.mayHaveCommitted(f, other)
		switch {
		case f.Offset >= 0 && !committed:
			p.found(CommitPhantom, "group %s: %d at %v", f.Group, f.Offset, f.Begin)
		case other != nil && !current:
			p.found(CommitBack, "group %s: %d at %v, it was %d at a time from %v to %v", f.Group, f.Offset, f.Begin, other.Offset, other.Begin, other.End)
		}
	}
	p.checkDelivered()
}

// knownOffsets returns what groups' offsets certainly were at a time between Begin and End: what was committed with an
// acknowledgement, and what somebody was told, whose commit has happened whatever its own client knows.
func (p *partition) knownOffsets() []Commit {
	known := make([]Commit, 0, len(p.commits)+len(p.fetched))
	for _, c := range p.commits {
		if c.Outcome == OK {
			known = append(known, *c)
		}
	}
	for _, f := range p.fetched {
		known = append(known, Commit{Group: f.Group, Offset: f.Offset, Begin: f.Begin, End: f.End})
	}
	return known
}

// otherBefore returns when the group's offset was last known to be another, before f was asked for, or nil. Of several
// whose order is not known it is the one that began last, which leaves the fewest commits that may have come after it.
func otherBefore(known []Commit, f *Fetched) *Commit {
	var last *Commit
	for i := range known {
		c := &known[i]
		if c.Group == f.Group && c.Offset != f.Offset && c.End < f.Begin && (last == nil || c.Begin > last.Begin) {
			last = c
		}
	}
	return last
}

// mayHaveCommitted tells whether somebody has committed what was fetched, and whether that may have come after other. A
// request whose client has given up, or has sent another in its place, may still lie on the way: its commit may come any time.
func (p *partition) mayHaveCommitted(f *Fetched, other *Commit) (committed, current bool) {
	for _, c := range p.commits {
		if c.Group != f.Group || c.Offset != f.Offset || c.Outcome == Fail || c.Begin > f.End {
			continue
		}
		committed = true
		if other == nil || c.Outcome == Info || c.Again || c.End >= other.Begin {
			current = true
		}
	}
	return committed, current
}

// checkDelivered looks for records below a group's committed offset that none of its members got.
func (p *partition) checkDelivered() {
	highest := make(map[string]int64)
	for _, c := range p.commits {
		if c.Outcome == OK {
			highest[c.Group] = max(highest[c.Group], c.Offset)
		}
	}
	groups := make([]string, 0, len(highest))
	for g := range highest {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		got := make(map[int64]bool)
		for _, r := range p.reads {
			if r.Group == g && !r.Assigned {
				got[r.Offset] = true
			}
		}
		for _, o := range p.offsets {
			if o < highest[g] && !got[o] {
				p.found(GroupSkip, "group %s committed %d, and none of its members got %s at %d", g, highest[g], p.at[o], o)
			}
		}
	}
}
