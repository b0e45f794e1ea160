package workload

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// well is a short run in which nothing goes wrong.
func well() []Event {
	return []Event{
		{Time: 1, Kind: Sent, Producer: "w", Partition: 0, Value: "a"},
		{Time: 2, Kind: Acked, Partition: 0, Offset: 0, Value: "a"},
		{Time: 3, Kind: Sent, Producer: "w", Partition: 0, Value: "b"},
		{Time: 4, Kind: Unknown, Partition: 0, Value: "b", Error: "timed out"},
		{Time: 5, Kind: Sent, Producer: "w", Partition: 0, Value: "c"},
		{Time: 6, Kind: Acked, Partition: 0, Offset: 2, Value: "c"},
		{Time: 7, Kind: Assign, Consumer: "r", Partition: 0, Offset: 0},
		{Time: 8, Kind: Read, Consumer: "r", Partition: 0, Offset: 0, Value: "a", Poll: 1},
		{Time: 9, Kind: Read, Consumer: "r", Partition: 0, Offset: 1, Value: "b", Poll: 1},
		{Time: 10, Kind: Read, Consumer: "r", Partition: 0, Offset: 2, Value: "c", Poll: 2},
		{Time: 11, Kind: Fetched, Group: "g", Partition: 0, Offset: -1, Begin: 10},
		{Time: 11, Kind: Assign, Consumer: "m", Group: "g", Partition: 0, Offset: 0},
		{Time: 12, Kind: Read, Consumer: "m", Group: "g", Partition: 0, Offset: 0, Value: "a", Poll: 1},
		{Time: 14, Kind: Commit, Group: "g", Partition: 0, Offset: 1, Begin: 13},
		{Time: 16, Kind: Fetched, Group: "g", Partition: 0, Offset: 1, Begin: 15},
		{Time: 16, Kind: Assign, Consumer: "m", Group: "g", Partition: 0, Offset: -1},
		{Time: 17, Kind: Read, Consumer: "m", Group: "g", Partition: 0, Offset: 1, Value: "b", Poll: 2},
		{Time: 18, Kind: Assign, Consumer: "m", Group: "g", Partition: 0, Offset: -1},
	}
}

func finals(values ...string) []check.Final {
	f := check.Final{Partition: check.Partition{Topic: "t"}, Replica: "node 1"}
	for i, v := range values {
		f.Records = append(f.Records, check.Record{Offset: int64(i), Value: v})
	}
	return []check.Final{f}
}

func judge(events []Event, final []check.Final) []check.Kind {
	h := NewHistory("t")
	for _, e := range events {
		h.Add("client", e)
	}
	var kinds []check.Kind
	for _, a := range check.Check(h.Check(final)) {
		if !slices.Contains(kinds, a.Kind) {
			kinds = append(kinds, a.Kind)
		}
	}
	return kinds
}

func TestNothingWrong(t *testing.T) {
	if got := judge(well(), finals("a", "b", "c")); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}

// TestFindsWhatIsWrong changes one event at a time.
func TestFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		want   check.Kind
		finals []check.Final
		change func(events []Event) []Event
	}{
		{check.Lost, finals("a", "b"), nil},
		{check.Duplicate, finals("a", "b", "c", "a"), nil},
		{check.InconsistentOffsets, finals("a", "b", "d"), nil},
		{check.Phantom, finals("a", "b", "c", "z"), nil},
		{check.PollSkip, finals("a", "b", "c"), func(e []Event) []Event { return slices.Delete(e, 8, 9) }},
		{check.NonmonotonicPoll, finals("a", "b", "c"), func(e []Event) []Event {
			return append(e, Event{Time: 20, Kind: Read, Consumer: "r", Offset: 0, Value: "a", Poll: 3})
		}},
		{check.CommitBack, finals("a", "b", "c"), func(e []Event) []Event { e[14].Offset = -1; return e }},
		{check.GroupSkip, finals("a", "b", "c"), func(e []Event) []Event { e[13].Offset = 3; return e }},
	} {
		events := well()
		if c.change != nil {
			events = c.change(events)
		}
		if got := judge(events, c.finals); !slices.Contains(got, c.want) {
			t.Errorf("%s is not found, but %v", c.want, got)
		}
	}
}

func TestOutcomeOfNothingIsAProblem(t *testing.T) {
	h := NewHistory("t")
	h.Add("client", Event{Kind: Acked, Value: "x"})
	if got := h.Problems(); len(got) != 1 {
		t.Errorf("problems: %q", got)
	}
}
