package payd

import (
	"fmt"
	"log/slog"
	"strings"
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

// TestNoScoreEndsPricing prices what nobody's driving leads to.
func TestNoScoreEndsPricing(t *testing.T) {
	w := pricingWork{slog.New(slog.DiscardHandler)}
	for part, want := range map[string]int{`{"score":50,"weight":0.2}`: 1, `{"score":-1e6,"weight":0.2}`: 0, `{"score":-1e308,"weight":1e308}`: 0} {
		parts := strings.Repeat(","+part, 5)[1:]
		score := `{"device_id":"a","days":1,"window":{"m":1e9},"parts":[` + parts + `]}`
		if quotes := w.take(&kgo.Record{Topic: topicScores, Value: []byte(score)}); len(quotes) != want {
			t.Errorf("%s: %d premiums, want %d", part, len(quotes), want)
		}
	}
	if quotes := w.take(&kgo.Record{Topic: topicScores, Value: []byte(`{"days":-30,"window":{"m":1e308},"parts":[{},{},{},{},{}]}`)}); len(quotes) != 0 {
		t.Errorf("%d premiums of a negative span", len(quotes))
	}
}

// TestNoHistoryEndsAnalytics begins with pasts that nobody can have driven: of one the sum is no number, of another it becomes none
// when the driver drives on and the window slides.
func TestNoHistoryEndsAnalytics(t *testing.T) {
	w := newAnalyticsWork(&Config{zone: time.UTC, paces: defaultPaces, Log: slog.New(slog.DiscardHandler)})
	p := &part{drivers: make(map[string]*driver)}
	w.parts[0] = p
	for device, days := range map[string]string{
		"far":     `{"day":1,"m":1.7e308},{"day":2,"m":1.7e308}`,
		"sliding": `{"day":1,"m":-1.7e308},{"day":2,"m":1.7e308},{"day":3,"m":1.7e308}`,
		"near":    `{"day":1,"m":1000}`,
	} {
		p.loadHistory(&kgo.Record{Key: []byte(device), Value: []byte(`{"days":[` + days + `]}`)}, w.config.Log)
	}
	scored := func() (devices string) {
		for _, r := range w.scores() {
			devices += string(r.Key) + " "
		}
		return devices
	}
	if got := scored(); !strings.Contains(got, "near") || !strings.Contains(got, "sliding") || strings.Contains(got, "far") {
		t.Errorf("scores of %s", got)
	}
	const day = 24 * 60 * 60 * 1000
	for _, device := range []string{"far", "sliding", "near"} {
		for i := range 10 { // the first day leaves the window
			value := fmt.Sprintf(`{"v":1,"device_id":%q,"seq":%d,"ts_ms":%d,"speed_mps":20}`, device, i+1, (2+90)*day-day/2+i*1000)
			w.take(&kgo.Record{Topic: topicClean, Offset: int64(i), Value: []byte(value)})
		}
	}
	w.settle(time.Now(), true)
	if p.drivers["sliding"] != nil || p.drivers["near"] == nil {
		t.Error("who drives on with a sum that is no number is to begin anew, and nobody else")
	}
}
