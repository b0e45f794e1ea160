package check

import (
	"cmp"
	"fmt"
	"slices"
)

// Kind is what is wrong.
type Kind string

const (
	// Lost: an acknowledged durable record, or one that a consumer has read, is not in a replica at the end.
	Lost Kind = "lost"
	// Duplicate: a record of an idempotent producer stands at two offsets.
	Duplicate Kind = "duplicate"
	// InconsistentOffsets: two records were seen at one offset.
	InconsistentOffsets Kind = "inconsistent offsets"
	// Phantom: a record was seen that nobody has sent to this partition.
	Phantom Kind = "phantom"
	// FailedRead: a record was seen whose producer was told that it was not written.
	FailedRead Kind = "failed write read"
	// Reordered: records of one idempotent producer stand in another order than they were sent.
	Reordered Kind = "reordered"
	// StaleAppend: a record was sent after another was acknowledged, and stands before it.
	StaleAppend Kind = "stale append"
	// NonmonotonicPoll: a consumer got an offset not above the one before, within or across polls.
	NonmonotonicPoll Kind = "nonmonotonic poll"
	// PollSkip: a consumer was given no record that stands between two which it got.
	PollSkip Kind = "poll skip"
	// Diverged: a replica has no record where another has one.
	Diverged Kind = "replicas diverged"
	// CommitBack: a group's committed offset is older than one whose commit was acknowledged, or which was fetched, before.
	CommitBack Kind = "committed offset went back"
	// CommitPhantom: a group's committed offset was committed by nobody.
	CommitPhantom Kind = "committed offset from nowhere"
	// GroupSkip: a group committed past a record that none of its members got.
	GroupSkip Kind = "group skip"
	// NotLinearizable: what clients were answered about a topic cannot have been in any order that keeps to real time.
	NotLinearizable Kind = "metadata not linearizable"
)

// Anomaly is one thing that is wrong.
type Anomaly struct {
	Kind Kind
	Partition
	Detail string
}

func (a Anomaly) String() string {
	return fmt.Sprintf("%s in %s-%d: %s", a.Kind, a.Topic, a.Index, a.Detail)
}

// anomaliesMax bounds how many of one kind are told of one partition; one is enough to fail.
const anomaliesMax = 20

// Check returns what is wrong with a history, sorted by partition, the metadata last; nothing when all is well.
func Check(h *History) []Anomaly {
	var all []Anomaly
	for _, p := range split(h) {
		p.place()
		p.checkValues()
		p.checkFinals()
		p.checkProducers()
		p.checkRealTime()
		p.checkConsumers()
		p.checkGroups()
		all = append(all, p.anomalies...)
	}
	return append(all, checkMetadata(h.Metadata)...)
}

// partition is what a history says of one partition.
type partition struct {
	Partition
	sends   []*Send
	reads   []*Read
	commits []*Commit
	fetched []*Fetched
	finals  []*Final

	sent      map[string]*Send
	at        map[int64]string // the first value seen at an offset
	of        map[string]int64 // the first offset that a value was seen at
	offsets   []int64          // of at, sorted
	seen      map[string]bool  // values that a consumer or a replica has shown
	counts    map[Kind]int
	anomalies []Anomaly
}

// split sorts a history by partitions.
func split(h *History) []*partition {
	parts := make(map[Partition]*partition)
	of := func(p Partition) *partition {
		if parts[p] == nil {
			parts[p] = &partition{Partition: p}
		}
		return parts[p]
	}
	for i := range h.Sends {
		p := of(h.Sends[i].Partition)
		p.sends = append(p.sends, &h.Sends[i])
	}
	for i := range h.Reads {
		p := of(h.Reads[i].Partition)
		p.reads = append(p.reads, &h.Reads[i])
	}
	for i := range h.Commits {
		p := of(h.Commits[i].Partition)
		p.commits = append(p.commits, &h.Commits[i])
	}
	for i := range h.Fetched {
		p := of(h.Fetched[i].Partition)
		p.fetched = append(p.fetched, &h.Fetched[i])
	}
	for i := range h.Finals {
		p := of(h.Finals[i].Partition)
		p.finals = append(p.finals, &h.Finals[i])
	}
	sorted := make([]*partition, 0, len(parts))
	for _, p := range parts {
		sorted = append(sorted, p)
	}
	slices.SortFunc(sorted, func(a, b *partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Index, b.Index))
	})
	return sorted
}

func (p *partition) found(k Kind, format string, args ...any) {
	if p.counts == nil {
		p.counts = make(map[Kind]int)
	}
	if p.counts[k]++; p.counts[k] <= anomaliesMax {
		p.anomalies = append(p.anomalies, Anomaly{k, p.Partition, fmt.Sprintf(format, args...)})
	}
}

// place learns where each value stands, from all who can know. What an acknowledgement that need not last has said may be
// true no more.
func (p *partition) place() {
	p.sent = make(map[string]*Send, len(p.sends))
	p.at, p.of = make(map[int64]string, len(p.sends)), make(map[string]int64, len(p.sends))
	p.seen = make(map[string]bool, len(p.sends))
	for _, s := range p.sends {
		p.sent[s.Value] = s
		if s.Outcome == OK && s.Durable && s.Offset >= 0 {
			p.stands(s.Offset, s.Value, "acknowledged to "+s.Producer)
		}
	}
	for _, r := range p.reads {
		if !r.Assigned {
			p.stands(r.Offset, r.Value, "read by "+r.Consumer)
			p.seen[r.Value] = true
		}
	}
	for _, f := range p.finals {
		for _, r := range f.Records {
			p.stands(r.Offset, r.Value, "in "+f.Replica)
			p.seen[r.Value] = true
		}
	}
	p.offsets = make([]int64, 0, len(p.at))
	for o := range p.at {
		p.offsets = append(p.offsets, o)
	}
	slices.Sort(p.offsets)
}

func (p *partition) stands(offset int64, value, who string) {
	if there, ok := p.at[offset]; !ok {
		p.at[offset] = value
	} else if there != value {
		p.found(InconsistentOffsets, "%s at %d, %s; elsewhere it is %s", value, offset, who, there)
	}
	there, ok := p.of[value]
	if !ok {
		p.of[value] = offset
		return
	}
	if s := p.sent[value]; there != offset && (s == nil || s.Idempotent) {
		p.found(Duplicate, "%s at %d, %s, and at %d", value, offset, who, there)
	}
}

// checkValues looks for what nobody can have written.
func (p *partition) checkValues() {
	for _, o := range p.offsets {
		value := p.at[o]
		switch s := p.sent[value]; {
		case s == nil:
			p.found(Phantom, "%s at %d was never sent", value, o)
		case s.Outcome == Fail:
			p.found(FailedRead, "%s at %d, of which %s was told that it is not written", value, o, s.Producer)
		}
	}
}

// checkFinals compares the replicas with what must be there, and with each other.
func (p *partition) checkFinals() {
	for _, f := range p.finals {
		has := make(map[int64]bool, len(f.Records))
		holds := make(map[string]bool, len(f.Records))
		for i, r := range f.Records {
			if i > 0 && r.Offset <= f.Records[i-1].Offset {
				p.found(NonmonotonicPoll, "%s: %d stands behind %d", f.Replica, r.Offset, f.Records[i-1].Offset)
			}
			has[r.Offset], holds[r.Value] = true, true
		}
		p.checkComplete(f, has, holds)
	}
}

func (p *partition) checkComplete(f *Final, has map[int64]bool, holds map[string]bool) {
	for _, s := range p.sends {
		switch {
		case holds[s.Value] || s.Outcome != OK || s.Offset >= 0 && s.Offset < f.Start:
		case s.Durable:
			p.found(Lost, "%s, acknowledged to %s at %d after %v, is not in %s", s.Value, s.Producer, s.Offset, s.End, f.Replica)
		}
	}
	for _, r := range p.reads {
		if !r.Assigned && !holds[r.Value] && r.Offset >= f.Start {
			p.found(Lost, "%s, read by %s at %d, is not in %s", r.Value, r.Consumer, r.Offset, f.Replica)
		}
	}
	if len(f.Records) == 0 {
		return
	}
	last := f.Records[len(f.Records)-1].Offset
	for _, other := range p.finals {
		for _, r := range other.Records {
			if r.Offset >= f.Start && r.Offset <= last && !has[r.Offset] {
				p.found(Diverged, "%d is in %s and not in %s", r.Offset, other.Replica, f.Replica)
			}
		}
	}
}
