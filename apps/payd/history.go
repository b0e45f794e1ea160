package payd

import (
	"context"
	"fmt"
	"time"

	"github.com/logbahn/logbahn/apps/payd/fleet"
	"github.com/logbahn/logbahn/apps/payd/habit"
	"github.com/twmb/franz-go/pkg/kgo"
)

// historyDays is how many simulated days each driver of the fleet starts with, so that scores mean something at once.
const historyDays = habit.WindowDays

// history is a driver's simulated past. It is not measured, and whatever is made of it says so.
type history struct {
	Device string      `json:"device_id"`
	Label  string      `json:"label"`
	Temper string      `json:"temper"`
	Days   []habit.Day `json:"days"`
}

const historyLabel = "simulated history"

// writeHistories gives every driver of the fleet a past, once.
func writeHistories(ctx context.Context, config *Config, f *fleet.Fleet, today time.Time) error {
	known := make(map[string]bool)
	if err := readAll(ctx, config, topicHistory, fromStart(partitions), func(r *kgo.Record) { known[string(r.Key)] = true }); err != nil {
		return err
	}
	samples := sampleTallies(f, config.zone)
	var out []*kgo.Record
	for _, d := range f.Drivers() {
		if !known[d.Device] {
			h := history{Device: d.Device, Label: historyLabel, Temper: d.Temper, Days: pastDays(f, d.Device, samples, today)}
			out = append(out, jsonRecord(topicHistory, 0, d.Device, &h))
		}
	}
	if len(out) == 0 {
		return nil
	}
	client, err := config.newClient("history")
	if err != nil {
		return err
	}
	defer client.Close()
	if err := write(ctx, client, out); err != nil {
		return fmt.Errorf("payd: write simulated histories: %w", err)
	}
	return nil
}

// sampleTallies drives the sample trips of every nature and measures them as any trip is measured.
func sampleTallies(f *fleet.Fleet, zone *time.Location) [][]habit.Tally {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, zone)
	profile := habit.Standard(zone).For(fleet.Source)
	out := make([][]habit.Tally, f.Natures())
	for nature := range out {
		for sample := range fleet.SamplesPerNature {
			d := habit.NewDriver("sample")
			for _, r := range f.SampleTrip(nature, sample, noon) {
				d.Push(r, profile)
			}
			d.Finish(profile)
			tally, _, _ := d.Window(profile)
			out[nature] = append(out[nature], tally)
		}
	}
	return out
}

func pastDays(f *fleet.Fleet, device string, samples [][]habit.Tally, today time.Time) []habit.Day {
	ofNature := samples[f.Nature(device)]
	var days []habit.Day
	for _, past := range f.Past(device, historyDays, today) {
		day := habit.Day{Day: past.Day}
		for _, t := range past.Trips {
			tally := ofNature[t.Sample]
			if t.Night {
				tally.NightMetres = tally.Metres
			}
			day.Add(tally)
		}
		days = append(days, day)
	}
	return days
}
