package payd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cleanWork makes canonical records of raw messages. What it remembers is memory only: see trip.Cleaner.
type cleanWork struct {
	lines    trip.LineFormat
	cleaners map[int32]*trip.Cleaner
}

func newCleanWork(lines trip.LineFormat) *cleanWork {
	return &cleanWork{lines: lines, cleaners: make(map[int32]*trip.Cleaner)}
}

func (w *cleanWork) begin(_ context.Context, partitions []int32) (map[int32]int64, error) {
	for _, p := range partitions {
		w.cleaners[p] = trip.NewCleaner()
	}
	return nil, nil
}

func (w *cleanWork) take(r *kgo.Record) []*kgo.Record {
	record, verdict, err := w.clean(r)
	if err != nil {
		return []*kgo.Record{deadLetter(r, err, w.deviceOf(r))}
	}
	if verdict == trip.Duplicate {
		return nil
	}
	value, err := record.AppendJSON(nil)
	if err != nil {
		return []*kgo.Record{deadLetter(r, err, record.Device)}
	}
	return []*kgo.Record{{
		Topic: topicClean, Key: []byte(record.Device), Value: value,
		Headers: []kgo.RecordHeader{originOf(r).header()},
	}}
}

func (w *cleanWork) clean(r *kgo.Record) (trip.Record, trip.Verdict, error) {
	record, err := trip.Parse(trip.Format(header(r, headerFormat)), r.Value, w.lines)
	if err != nil {
		return trip.Record{}, trip.Accepted, err
	}
	verdict, err := w.cleaners[r.Partition].Check(&record, r.Timestamp.UnixMilli())
	return record, verdict, err
}

func (w *cleanWork) deviceOf(r *kgo.Record) string {
	return trip.DeviceOf(trip.Format(header(r, headerFormat)), r.Value)
}

func (w *cleanWork) settle(time.Time, bool) (out, then []*kgo.Record) { return nil, nil }

func (w *cleanWork) end(partitions []int32) {
	for _, p := range partitions {
		delete(w.cleaners, p)
	}
}

// What a dead letter keeps at most. A batch may hold, compressed, what is more than a batch of ours may be: a letter that
// cannot be written would stop the stage at this record for ever.
const (
	deadValueBytesMax  = 512 << 10
	deadKeyBytesMax    = 4 << 10
	deadDetailBytesMax = 4 << 10
)

// deadLetter keeps the bytes of a refused record, with the reason and where they came from. Of very long ones it keeps the
// beginning, and says so; the whole stands where they came from.
func deadLetter(r *kgo.Record, err error, device string) *kgo.Record {
	reason, detail := trip.ReasonMalformed, err.Error()
	if rejection := (*trip.Rejection)(nil); errors.As(err, &rejection) {
		reason, detail = rejection.Reason, rejection.Detail
	}
	key := []byte(device)
	if device == "" {
		key = r.Key
	}
	detail = detail[:min(len(detail), deadDetailBytesMax)]
	if len(r.Value) > deadValueBytesMax {
		detail = fmt.Sprintf("%s; the first %d bytes", detail, deadValueBytesMax)
	}
	return &kgo.Record{
		Topic: topicDead, Partition: r.Partition, Key: key[:min(len(key), deadKeyBytesMax)], Value: r.Value[:min(len(r.Value), deadValueBytesMax)],
		Headers: []kgo.RecordHeader{
			headerOf(headerReason, string(reason)), headerOf(headerDetail, detail), originOf(r).header(),
		},
	}
}
