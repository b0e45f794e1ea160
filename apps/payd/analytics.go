package payd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/twmb/franz-go/pkg/kgo"
)

// nextKey is the key, in every partition of the state topic, of the input offset from which to go on. No device can
// have this name.
const nextKey = "#next"

// analyticsWork keeps every driver's habits. Its state is a table in topicState, partition by partition.
type analyticsWork struct {
	config   *Config
	profiles habit.Profiles
	parts    map[int32]*part
	scored   time.Time
	saved    time.Time
}

// part is the state of one partition.
type part struct {
	next    int64 // the input offset after the last taken
	saved   int64 // the value of next in the state topic
	drivers map[string]*driver
}

// driver is a driver with what has been taken and what has been written.
type driver struct {
	Next    int64         `json:"next"` // input offsets before this are in the state
	Seen    seenOrigins   `json:"seen"` // raw offsets that are in the state
	Habits  *habit.Driver `json:"habits"`
	touched time.Time
	unsaved bool // differs from the state topic
	unsaid  bool // differs from the score topic
}

func newAnalyticsWork(config *Config) *analyticsWork {
	return &analyticsWork{config: config, profiles: habit.Standard(config.zone), parts: make(map[int32]*part)}
}

// begin loads the partitions' states and the simulated histories of their drivers.
func (w *analyticsWork) begin(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	from := make(map[int32]int64)
	loaded := make(map[int32]*part)
	for _, p := range partitions {
		from[p] = 0
		loaded[p] = &part{drivers: make(map[string]*driver)}
	}
	err := readAll(ctx, w.config, topicState, from, func(r *kgo.Record) { loaded[r.Partition].load(r, w.config.Log) })
	if err == nil {
		err = readAll(ctx, w.config, topicHistory, from, func(r *kgo.Record) { loaded[r.Partition].loadHistory(r, w.config.Log) })
	}
	if err != nil {
		return nil, err
	}
	resume := make(map[int32]int64)
	for p, loaded := range loaded {
		loaded.saved = loaded.next
		resume[p] = loaded.next
		w.parts[p] = loaded
	}
	return resume, nil
}

func (p *part) load(r *kgo.Record, log *slog.Logger) {
	if string(r.Key) == nextKey {
		next, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			log.Error("state of analytics: next offset is not a number", "partition", r.Partition, "offset", r.Offset)
			return
		}
		p.next = next
		return
	}
	d := &driver{}
	if err := json.Unmarshal(r.Value, d); err != nil || d.Habits == nil || d.Seen == nil {
		log.Error("state of a driver is not readable", "driver", string(r.Key), "offset", r.Offset, "error", err)
		return
	}
	d.touched = time.Now()
	p.drivers[string(r.Key)] = d
}

func (p *part) loadHistory(r *kgo.Record, log *slog.Logger) {
	var h history
	if err := json.Unmarshal(r.Value, &h); err != nil {
		log.Error("simulated history is not readable", "driver", string(r.Key), "error", err)
		return
	}
	d := p.driver(string(r.Key))
	d.Habits.History = h.Days
	d.unsaid = true
}

func (p *part) driver(device string) *driver {
	d := p.drivers[device]
	if d == nil {
		d = &driver{Seen: make(seenOrigins), Habits: habit.NewDriver(device)}
		p.drivers[device] = d
	}
	return d
}

func (w *analyticsWork) take(r *kgo.Record) []*kgo.Record {
	p := w.parts[r.Partition]
	p.next = r.Offset + 1
	record, err := trip.ParseJSON(r.Value)
	if err != nil {
		return []*kgo.Record{deadLetter(r, err, trip.DeviceOf(trip.FormatAuto, r.Value))}
	}
	d := p.driver(record.Device)
	if r.Offset < d.Next {
		return nil
	}
	d.Next, d.unsaved, d.unsaid, d.touched = r.Offset+1, true, true, time.Now()
	if from, ok := readOrigin(r); ok && d.Seen.again(from) {
		return nil
	}
	verdict, events := d.Habits.Push(record, w.profiles.For(record.Source))
	out := w.eventRecords(events, r.Partition)
	if verdict == trip.Late {
		late := &trip.Rejection{Reason: trip.ReasonLate, Detail: fmt.Sprintf("seq %d", record.Seq)}
		out = append(out, deadLetter(r, late, record.Device))
	}
	return out
}

func (w *analyticsWork) eventRecords(events []habit.Event, partition int32) (out []*kgo.Record) {
	for i := range events {
		out = w.appendOf(out, topicEvents, partition, events[i].Device, &events[i])
	}
	return out
}

// appendOf appends a record of what is known of a driver. One whose sums are no numbers is forgotten instead: anybody may write to
// the topics that states and histories are read from, and any day of driving may bring such sums about.
func (w *analyticsWork) appendOf(out []*kgo.Record, topic string, partition int32, device string, v any) []*kgo.Record {
	r, err := encoded(topic, partition, device, v)
	if err != nil {
		w.config.Log.Error("state or history of a driver makes no sense: the driver begins anew", "driver", device, "topic", topic, "error", err)
		delete(w.parts[partition].drivers, device)
		return out
	}
	return append(out, r)
}

func encoded(topic string, partition int32, key string, v any) (*kgo.Record, error) {
	value, err := json.Marshal(v)
	return &kgo.Record{Topic: topic, Partition: partition, Key: []byte(key), Value: value}, err
}

// jsonRecord encodes one of payd's own values, which always can be: they hold no NaN, channel or function.
func jsonRecord(topic string, partition int32, key string, v any) *kgo.Record {
	r, err := encoded(topic, partition, key, v)
	if err != nil {
		panic(fmt.Sprintf("payd: encode %s of %s: %v", topic, key, err))
	}
	return r
}

func (w *analyticsWork) settle(now time.Time, last bool) (out, then []*kgo.Record) {
	out = w.flushSilent(now)
	save := last || now.Sub(w.saved) >= w.config.paces.stateEvery
	// A state is not saved before the scores that it leads to: who reads it back does not know that they are missing.
	if save || now.Sub(w.scored) >= w.config.paces.scoreEvery {
		w.scored = now
		out = append(out, w.scores()...)
	}
	if save {
		w.saved = now
		then = w.states()
	}
	return out, then
}

// flushSilent settles the records that wait for earlier ones of devices that send nothing any more.
func (w *analyticsWork) flushSilent(now time.Time) []*kgo.Record {
	var out []*kgo.Record
	silent := func(d *driver) bool {
		return len(d.Habits.Order.Held) > 0 && now.Sub(d.touched) >= w.config.paces.silentMax
	}
	w.each(silent, func(partition int32, d *driver) {
		events := d.Habits.Flush(w.profiles.For(d.Habits.Source))
		out = append(out, w.eventRecords(events, partition)...)
		d.unsaved, d.unsaid = true, true
	})
	return out
}

// each visits the drivers that are wanted, in order. It is called ten times a second, mostly for a few of many.
func (w *analyticsWork) each(wanted func(*driver) bool, visit func(partition int32, d *driver)) {
	for _, p := range slices.Sorted(maps.Keys(w.parts)) {
		var some []*driver
		for _, d := range w.parts[p].drivers {
			if wanted(d) {
				some = append(some, d)
			}
		}
		slices.SortFunc(some, func(a, b *driver) int { return strings.Compare(a.Habits.Device, b.Habits.Device) })
		for _, d := range some {
			visit(p, d)
		}
	}
}

func (w *analyticsWork) scores() []*kgo.Record {
	var out []*kgo.Record
	w.each(func(d *driver) bool { return d.unsaid }, func(partition int32, d *driver) {
		summary := d.Habits.Summary(w.profiles.For(d.Habits.Source))
		out = w.appendOf(out, topicScores, partition, d.Habits.Device, &summary)
		d.unsaid = false
	})
	return out
}

// states writes the drivers that have changed, and after them, in the same partition, the offset that all cover.
func (w *analyticsWork) states() []*kgo.Record {
	var out []*kgo.Record
	w.each(func(d *driver) bool { return d.unsaved }, func(partition int32, d *driver) {
		out = w.appendOf(out, topicState, partition, d.Habits.Device, d)
		d.unsaved = false
	})
	for _, p := range slices.Sorted(maps.Keys(w.parts)) {
		if part := w.parts[p]; part.next != part.saved {
			part.saved = part.next
			next := []byte(strconv.FormatInt(part.next, 10))
			out = append(out, &kgo.Record{Topic: topicState, Partition: p, Key: []byte(nextKey), Value: next})
		}
	}
	return out
}

func (w *analyticsWork) end(partitions []int32) {
	for _, p := range partitions {
		delete(w.parts, p)
	}
}
