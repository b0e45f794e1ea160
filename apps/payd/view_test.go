package payd

import (
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/logbahn/logbahn/apps/payd/premium"
	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A second is taken once, also when a late tick is followed by one in the same second.
func TestSecondsAreTakenOnce(t *testing.T) {
	var s steps
	at := time.Date(2026, 5, 15, 0, 8, 13, 0, time.UTC)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {999 * time.Millisecond, false}, {time.Second, true}, {3500 * time.Millisecond, true}, {3999 * time.Millisecond, false}, {4 * time.Second, true}} {
		second, ok := s.next(at.Add(c.after))
		if ok != c.want || !second.Equal(at.Add(c.after.Truncate(time.Second))) {
			t.Errorf("after %v: %v, %v", c.after, second, ok)
		}
	}
}

// A rate over a moment is none: the next measurement counts for both.
func TestRates(t *testing.T) {
	var m meter
	at := time.Now()
	for _, c := range []struct {
		after     time.Duration
		end, rate int64
	}{{0, 100, 0}, {time.Second, 200, 100}, {1001 * time.Millisecond, 210, 100}, {2 * time.Second, 300, 100}} {
		topic := m.rates(at.Add(c.after), map[string]int64{topicRaw: c.end})[0]
		if int64(topic.Rate+0.5) != c.rate || topic.Total != c.end {
			t.Errorf("after %v: %+v", c.after, topic)
		}
	}
}

// What others have written to the topics is shown as far as it can be, and breaks nothing.
func TestForeignSummary(t *testing.T) {
	v := newView(&Config{}, &source{})
	d := v.driver("a")
	d.quote = premium.Quote{Device: "a"}
	d.summary = habit.Summary{Parts: make([]habit.Part, len(habit.PartModels)+1)}
	detail, ok := v.Driver("a")
	if !ok || len(detail.Parts) != len(habit.PartModels) || detail.Factors == nil {
		t.Errorf("%v %+v", ok, detail)
	}
}

// Premiums of no score do not make the page's means no numbers, which would end its stream.
func TestForeignQuotes(t *testing.T) {
	v := newView(&Config{audit: newAudit(), Log: slog.New(slog.DiscardHandler)}, &source{})
	for key, score := range map[string]string{"a": "1.7e308", "b": "1.7e308", "c": "80"} {
		v.take(&kgo.Record{Topic: topicQuotes, Key: []byte(key), Value: []byte(`{"device_id":"` + key + `","score":` + score + `}`)})
	}
	s := v.Status()
	if _, err := json.Marshal(&s); err != nil || s.MeanScore != 80 {
		t.Errorf("mean score %v, %v", s.MeanScore, err)
	}
}

// A broker that was never there is told from one that cannot be started.
func TestStartOfNoBroker(t *testing.T) {
	v := newView(&Config{Cluster: killable{}, audit: newAudit()}, &source{})
	v.status.Brokers = []web.Broker{{ID: 1}}
	if err := v.StartBroker(t.Context(), 9); !errors.Is(err, web.ErrNoBroker) {
		t.Error(err)
	}
}
