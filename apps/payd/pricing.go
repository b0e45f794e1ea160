package payd

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/logbahn/logbahn/apps/payd/premium"
	"github.com/twmb/franz-go/pkg/kgo"
)

// pricingWork turns scores into premiums. A quote is a function of the score, so it keeps nothing.
type pricingWork struct{ log *slog.Logger }

func (pricingWork) begin(context.Context, []int32) (map[int32]int64, error) { return nil, nil }
func (pricingWork) settle(time.Time, bool) (out, then []*kgo.Record)        { return nil, nil }
func (pricingWork) end([]int32)                                             {}

func (w pricingWork) take(r *kgo.Record) []*kgo.Record {
	var s habit.Summary
	if err := json.Unmarshal(r.Value, &s); err != nil || len(s.Parts) != len(habit.PartModels) {
		w.log.Error("score is not readable", "driver", string(r.Key), "partition", r.Partition, "offset", r.Offset, "error", err)
		return nil
	}
	quote := premium.Price(&s)
	if !quote.Finite() { // anybody may write scores
		w.log.Error("score gives no premium", "driver", string(r.Key), "partition", r.Partition, "offset", r.Offset)
		return nil
	}
	return []*kgo.Record{jsonRecord(topicQuotes, r.Partition, s.Device, &quote)}
}
