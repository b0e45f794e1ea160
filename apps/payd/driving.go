package payd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/apps/payd/fleet"
	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/twmb/franz-go/pkg/kgo"
)

// endsKey is the key, in topicSources, of the offsets of telematics up to which the cars' last records are saved.
const endsKey = "#fleet"

const saveCarsEvery = 10 * time.Second

// driving lets the simulated fleet drive: one step a second.
type driving struct {
	config *Config
	fleet  *fleet.Fleet
	client *kgo.Client
	last   map[string]trip.Record // of every car, the newest by sequence
	moved  map[string]bool        // since the last save
	ends   map[int32]int64

	mu       sync.Mutex
	answered []*kgo.Record // acknowledged, not noted yet
	failure  error         // of one that was not
}

// runFleet resumes the fleet where the topics say that it stopped, and drives until the context ends.
func runFleet(ctx context.Context, config *Config, f *fleet.Fleet) error {
	d := &driving{config: config, fleet: f, last: make(map[string]trip.Record), moved: make(map[string]bool)}
	if err := d.resume(ctx); err != nil {
		return err
	}
	client, err := config.newClient("fleet")
	if err != nil {
		return err
	}
	defer client.Close()
	d.client = client
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	saved, step := time.Now(), steps{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		if second, ok := step.next(now); ok {
			d.send(ctx, f.Step(second))
		}
		err := d.noteAnswers()
		if err == nil && now.Sub(saved) >= saveCarsEvery {
			saved = now
			err = d.save(ctx)
		}
		if err != nil && ctx.Err() == nil {
			config.Log.Warn("the fleet cannot send", "error", err)
		}
	}
}

// steps takes each second of the clock once: a tick that comes late is followed by one in the same second, and two records of
// a car that say the same time contradict each other.
type steps struct{ last time.Time }

func (s *steps) next(now time.Time) (second time.Time, ok bool) {
	second = now.Truncate(time.Second)
	if second.Equal(s.last) {
		return second, false
	}
	s.last = second
	return second, true
}

// resume finds every car's last record: the saved one, or a newer one in the part of the log that is not saved yet.
func (d *driving) resume(ctx context.Context) error {
	d.ends = fromStart(partitions)
	err := readAll(ctx, d.config, topicSources, fromStart(1), func(r *kgo.Record) {
		if string(r.Key) == endsKey {
			if err := json.Unmarshal(r.Value, &d.ends); err != nil {
				d.config.Log.Error("saved offsets of the fleet are not readable", "error", err)
			}
			return
		}
		d.note(r.Value)
	})
	if err == nil {
		err = readAll(ctx, d.config, topicRaw, d.ends, func(r *kgo.Record) {
			d.note(r.Value)
			d.ends[r.Partition] = r.Offset + 1
		})
	}
	if err != nil {
		return fmt.Errorf("payd: resume the fleet: %w", err)
	}
	for _, device := range slices.Sorted(maps.Keys(d.last)) {
		d.fleet.Resume(d.last[device])
	}
	return nil
}

// note remembers a record if it is the newest of a simulated car.
func (d *driving) note(value []byte) {
	r, err := trip.ParseJSON(value)
	if err == nil && r.Source == fleet.Source && r.Seq > d.last[r.Device].Seq {
		d.last[r.Device] = r
		d.moved[r.Device] = true
	}
}

// send hands records to the log and does not wait for it: while a partition has no leader the cars of the others drive on.
// It waits when the client holds more than it may.
func (d *driving) send(ctx context.Context, records []trip.Record) {
	for i := range records {
		r := jsonRecord(topicRaw, 0, records[i].Device, &records[i])
		d.config.audit.send(r)
		d.client.Produce(ctx, r, func(r *kgo.Record, err error) {
			d.config.audit.answer(r, err)
			d.mu.Lock()
			defer d.mu.Unlock()
			if err != nil {
				d.failure = err
			} else {
				d.answered = append(d.answered, r)
			}
		})
	}
}

// noteAnswers takes over what the log has acknowledged since the last time, in the order of each partition.
func (d *driving) noteAnswers() error {
	d.mu.Lock()
	answered, err := d.answered, d.failure
	d.answered, d.failure = nil, nil
	d.mu.Unlock()
	for _, r := range answered {
		d.ends[r.Partition] = max(d.ends[r.Partition], r.Offset+1)
		d.note(r.Value)
	}
	if err != nil {
		return fmt.Errorf("payd: send telematics: %w", err)
	}
	return nil
}

// save writes the last records of the cars that moved, and then the offsets that they cover.
func (d *driving) save(ctx context.Context) error {
	var out []*kgo.Record
	for _, device := range slices.Sorted(maps.Keys(d.moved)) {
		r := d.last[device]
		out = append(out, jsonRecord(topicSources, 0, device, &r))
	}
	out = append(out, jsonRecord(topicSources, 0, endsKey, d.ends))
	if err := write(ctx, d.client, out); err != nil {
		return fmt.Errorf("payd: save the fleet: %w", err)
	}
	clear(d.moved)
	return nil
}
