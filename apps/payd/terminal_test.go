package payd

import (
	"strings"
	"testing"

	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kgo"
)

type stillModel struct{ web.Model }

func (stillModel) Status() web.Status {
	return web.Status{
		Rate: 84, Driving: 80, Drivers: 120, DeadTotal: 3, MeanScore: 79, MeanCents: 31066,
		Groups: []web.Group{{Name: "clean", Lag: 1}, {Name: "analytics", Lag: 2}, {Name: "pricing"}},
	}
}

func (stillModel) Drivers() []web.Driver {
	return []web.Driver{{ID: "a", Score: 40, Cents: 38870, Reason: "speeding ×1.09"}, {ID: "b", Score: 90, Cents: 23660}}
}

func TestTerminal(t *testing.T) {
	line := statusLine(stillModel{}.Status())
	for _, want := range []string{"84 msg/s", "analytics lag 2", "3 dead letters", "310.66 EUR/year"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	block := statusBlock(stillModel{}, false)
	if strings.Contains(block, "\x1b") {
		t.Error("colour without being asked")
	}
	for _, row := range strings.Split(block, "\n") {
		if len([]rune(row)) > 79 {
			t.Errorf("%d columns: %q", len([]rune(row)), row)
		}
	}
	if !strings.Contains(block, "388.70") || !strings.Contains(block, "236.60") {
		t.Errorf("the best and the worst are missing:\n%s", block)
	}
	if !strings.Contains(statusBlock(stillModel{}, true), "\x1b[1m") {
		t.Error("no colour although asked")
	}
}

func TestOrigins(t *testing.T) {
	made := &kgo.Record{Headers: []kgo.RecordHeader{originOf(&kgo.Record{Topic: "t", Partition: 3, Offset: 7}).header()}}
	from, ok := readOrigin(made)
	if !ok || from != (origin{"t", 3, 7}) {
		t.Fatalf("%+v, %v", from, ok)
	}
	for _, bad := range []string{"", "t", "t/1", "t/x/1", "t/1/x", "t/1/2/3"} {
		if _, ok := readOrigin(&kgo.Record{Headers: []kgo.RecordHeader{headerOf(headerFrom, bad)}}); ok {
			t.Errorf("%q was read", bad)
		}
	}
	seen := make(seenOrigins)
	if seen.again(origin{"t", 0, 7}) {
		t.Error("the first was seen before")
	}
	if !seen.again(origin{"t", 0, 7}) || !seen.again(origin{"t", 0, 3}) || seen.again(origin{"t", 1, 3}) || seen.again(origin{"t", 0, 8}) {
		t.Error("seen origins are told wrongly")
	}
}
