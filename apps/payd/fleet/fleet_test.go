package fleet

import (
	"fmt"
	"hash/fnv"
	"math"
	"testing"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func stream(t *testing.T, f *Fleet, from time.Time, seconds int) []trip.Record {
	t.Helper()
	var out []trip.Record
	for s := range seconds {
		out = append(out, f.Step(from.Add(time.Duration(s)*time.Second))...)
	}
	return out
}

func digest(t *testing.T, records []trip.Record) string {
	t.Helper()
	h := fnv.New64a()
	for _, r := range records {
		b, err := r.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	return fmt.Sprintf("%d records %x", len(records), h.Sum64())
}

func TestSameSeedSameStream(t *testing.T) {
	config := Config{Seed: 7, Cars: 30}
	first := digest(t, stream(t, New(config), noon, 900))
	if again := digest(t, stream(t, New(config), noon, 900)); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	config.Seed = 8
	if other := digest(t, stream(t, New(config), noon, 900)); other == first {
		t.Error("another seed gives the same stream")
	}
}

func TestRecordsAreValidAndPhysical(t *testing.T) {
	records := stream(t, New(Config{Seed: 3, Cars: 60}), noon, 1200)
	last := map[string]trip.Record{}
	driving := map[string]bool{}
	for _, r := range records {
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		before, seen := last[r.Device]
		if seen && r.Seq == before.Seq+1 && r.TimeMs == before.TimeMs+1000 {
			if math.Abs(r.SpeedMps-before.SpeedMps) > 7 {
				t.Fatalf("%s goes from %.1f to %.1f m/s in a second", r.Device, before.SpeedMps, r.SpeedMps)
			}
			moved := trip.DistanceM(trip.Point{Lat: *before.Lat, Lon: *before.Lon}, trip.Point{Lat: *r.Lat, Lon: *r.Lon})
			if moved > 60 || *r.OdometerM < *before.OdometerM {
				t.Fatalf("%s moved %.0f m, odometer %.1f to %.1f", r.Device, moved, *before.OdometerM, *r.OdometerM)
			}
		}
		if !seen || r.Seq > before.Seq {
			last[r.Device] = r
		}
		driving[r.Device] = driving[r.Device] || r.SpeedMps > 5
	}
	if len(driving) < 40 {
		t.Errorf("only %d of 60 cars drove in 20 minutes", len(driving))
	}
}

func TestFaultsOccur(t *testing.T) {
	records := stream(t, New(Config{Seed: 3, Cars: 100}), noon, 600)
	next := map[string]int64{}
	var lost, doubled, late int
	seen := map[string]bool{}
	for _, r := range records {
		id := fmt.Sprint(r.Device, r.Seq)
		switch {
		case seen[id]:
			doubled++
		case r.Seq < next[r.Device]:
			late++
		}
		seen[id] = true
		next[r.Device] = max(next[r.Device], r.Seq+1)
	}
	for _, n := range next {
		lost += int(n) - 1
	}
	lost -= len(seen)
	share := func(n int) float64 { return float64(n) / float64(len(records)) }
	t.Logf("of %d: %d lost, %d doubled, %d late", len(records), lost, doubled, late)
	if share(lost) < 0.001 || share(lost) > 0.01 || share(doubled) < 0.001 || share(doubled) > 0.01 || share(late) < 0.004 || share(late) > 0.02 {
		t.Error("the faults are not as rare as they should be")
	}
}

func TestResumeGoesOn(t *testing.T) {
	config := Config{Seed: 7, Cars: 20}
	last := map[string]trip.Record{}
	for _, r := range stream(t, New(config), noon, 600) {
		if r.Seq > last[r.Device].Seq {
			last[r.Device] = r
		}
	}
	f := New(config)
	for _, r := range last {
		f.Resume(r)
	}
	first := map[string]bool{}
	for _, r := range stream(t, f, noon.Add(time.Hour), 400) {
		before, known := last[r.Device]
		if !known || first[r.Device] {
			continue
		}
		first[r.Device] = true
		if r.Seq <= before.Seq || r.Seq > before.Seq+5 {
			t.Errorf("%s goes on with %d after %d", r.Device, r.Seq, before.Seq)
		}
		if d := *r.OdometerM - *before.OdometerM; d < 0 || d > 200 {
			t.Errorf("%s: the odometer goes on by %.0f m", r.Device, d)
		}
		apart := trip.DistanceM(trip.Point{Lat: *before.Lat, Lon: *before.Lon}, trip.Point{Lat: *r.Lat, Lon: *r.Lon})
		if apart > 400 {
			t.Errorf("%s goes on %.0f m away", r.Device, apart)
		}
	}
	if len(first) < 10 {
		t.Errorf("only %d cars went on", len(first))
	}
}

func TestEveryPlaceCanBeReached(t *testing.T) {
	for seed := range uint64(20) {
		town := newTown(seed)
		reached := map[int]bool{0: true}
		for open := []int{0}; len(open) > 0; {
			node := open[0]
			open = open[1:]
			for _, i := range town.out[node] {
				e := town.edges[i]
				if next := e.from + e.to - node; !reached[next] {
					reached[next] = true
					open = append(open, next)
				}
			}
		}
		if len(reached) != len(town.nodes) {
			t.Errorf("seed %d: %d of %d places can be reached", seed, len(reached), len(town.nodes))
		}
	}
}

func TestAggressiveDriversAreHarsher(t *testing.T) {
	f := New(Config{Seed: 1, Cars: 1})
	harsh := func(nature int) (per100km float64) {
		var n int
		var metres float64
		for sample := range 40 {
			records := f.SampleTrip(nature, sample, noon)
			for _, r := range records {
				if *r.AccLong <= -3 || *r.AccLong >= 2.5 || math.Abs(*r.AccLat) >= 3.5 {
					n++
				}
				metres += r.SpeedMps
			}
		}
		return float64(n) / metres * 100_000
	}
	calm, normal, aggressive := harsh(0), harsh(4), harsh(8)
	t.Logf("harsh records per 100 km: %.1f calm, %.1f normal, %.1f aggressive", calm, normal, aggressive)
	if calm > 3 || normal < 2*calm || aggressive < 2*normal || aggressive > 80 {
		t.Error("the natures do not differ as they should")
	}
}

func TestPastIsTheSameForASeed(t *testing.T) {
	f := New(Config{Seed: 1, Cars: 3})
	one, two := fmt.Sprint(f.Past("ID-300002", 90, noon)), fmt.Sprint(f.Past("ID-300002", 90, noon))
	if one != two {
		t.Error("the past changes")
	}
	if other := fmt.Sprint(f.Past("ID-300003", 90, noon)); other == one {
		t.Error("two drivers have the same past")
	}
}

func BenchmarkStep200(b *testing.B) {
	f := New(Config{Seed: 1, Cars: 200})
	for i := 0; b.Loop(); i++ {
		f.Step(noon.Add(time.Duration(i) * time.Second))
	}
}
