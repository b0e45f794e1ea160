package payd

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A process that dies between a state and its score leaves a driver, who may never drive again, with an old score.
func TestScoresComeBeforeTheirState(t *testing.T) {
	w := newAnalyticsWork(&Config{zone: time.UTC, paces: defaultPaces})
	w.parts[0] = &part{drivers: make(map[string]*driver)}
	now := time.Now()
	w.scored, w.saved = now, now.Add(-time.Hour)
	w.take(&kgo.Record{Topic: topicClean, Value: []byte(`{"v":1,"device_id":"a","ts_ms":1000,"speed_mps":0}`)})
	out, then := w.settle(now, false)
	if len(out) != 1 || out[0].Topic != topicScores || len(then) != 2 || then[0].Topic != topicState {
		t.Errorf("the state is written as %d records, behind %d", len(then), len(out))
	}
}
