package habit

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
	"pgregory.net/rapid"
)

var utc = Standard(time.UTC).For("simulated")

// randomDrive returns one record a second of a car whose speed and peaks wander, with two stops.
func randomDrive(seed uint64, seconds int) []trip.Record {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var records []trip.Record
	speed, metres := 0.0, 0.0
	for i := range seconds {
		speed = min(max(speed+rnd.NormFloat64()*2, 0), 40)
		if i%900 > 500 {
			speed = 0
		}
		metres += speed
		records = append(records, trip.Record{
			Version: 1, Device: "ID-1", Seq: int64(i), TimeMs: int64(1_000_000 + 1000*i), SpeedMps: speed,
			Lat: new(48 + metres/111_195), Lon: new(15.0), LimitMps: new(trip.Kmh(50)),
			AccLong: new(rnd.NormFloat64() * 1.5), AccLat: new(rnd.NormFloat64() * 1.5),
		})
	}
	return records
}

func drive(records []trip.Record) (*Driver, []Event) {
	d := NewDriver("ID-1")
	var events []Event
	for _, r := range records {
		_, over := d.Push(r, utc)
		events = append(events, over...)
	}
	return d, append(events, d.Finish(utc)...)
}

// A driver saved and loaded between any two records goes on exactly as one that was not.
func TestSavedStateContinues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := randomDrive(rapid.Uint64().Draw(t, "seed"), 1500)
		want, wantEvents := drive(records)
		d := NewDriver("ID-1")
		var events []Event
		cut := rapid.IntRange(0, len(records)-1).Draw(t, "cut")
		for i, r := range records {
			if i == cut {
				b, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				d = new(Driver)
				if err := json.Unmarshal(b, d); err != nil {
					t.Fatal(err)
				}
			}
			_, over := d.Push(r, utc)
			events = append(events, over...)
		}
		events = append(events, d.Finish(utc)...)
		if got := d.Summary(utc); !reflect.DeepEqual(got, want.Summary(utc)) {
			t.Fatalf("%+v\nis not\n%+v", got, want.Summary(utc))
		}
		if !reflect.DeepEqual(events, wantEvents) {
			t.Fatalf("%d events, not the %d of the uninterrupted run", len(events), len(wantEvents))
		}
	})
}

// Doubled and shuffled within the hold, a drive gives the same summary.
func TestDoubledAndShuffledIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		records := randomDrive(seed, 600)
		want, _ := drive(records)
		rnd := rand.New(rand.NewPCG(seed, 9))
		mixed := records
		for i := 2; i < len(mixed); i += 2 {
			if rnd.IntN(3) == 0 {
				mixed[i], mixed[i-1] = mixed[i-1], mixed[i]
			}
		}
		var doubled []trip.Record
		for _, r := range mixed {
			doubled = append(doubled, r)
			if rnd.IntN(10) == 0 {
				doubled = append(doubled, r)
			}
		}
		got, _ := drive(doubled)
		got.Counters.Duplicates = 0
		if !reflect.DeepEqual(got.Summary(utc), want.Summary(utc)) {
			t.Fatalf("%+v\nis not\n%+v", got.Summary(utc), want.Summary(utc))
		}
	})
}

func peak(second int, long, lat float64) trip.Record {
	return trip.Record{Device: "a", TimeMs: int64(second+1) * 1000, SpeedMps: 15, AccLong: &long, AccLat: &lat}
}

func detect(p Profile, records ...trip.Record) []Event {
	var d Detector
	var events []Event
	for i := range records {
		events = append(events, d.Next(&records[i], 1, &p)...)
	}
	return append(events, d.Close(&p)...)
}

func TestHarshEvents(t *testing.T) {
	for name, c := range map[string]struct {
		records []trip.Record
		want    []Kind
		level   int
	}{
		"just below":           {[]trip.Record{peak(0, -2.99, 3.49)}, nil, 0},
		"at the threshold":     {[]trip.Record{peak(0, -3, 0)}, []Kind{Brake}, 1},
		"accelerating hard":    {[]trip.Record{peak(0, 2.5*1.3, 0)}, []Kind{Accel}, 2},
		"left is a corner too": {[]trip.Record{peak(0, 0, -3.5*1.61)}, []Kind{Corner}, 3},
		"two seconds apart":    {[]trip.Record{peak(0, -4, 0), peak(1, 0, 0), peak(2, -4, 0)}, []Kind{Brake}, 2},
		"four seconds apart":   {[]trip.Record{peak(0, -4, 0), peak(4, -4, 0)}, []Kind{Brake, Brake}, 2},
		"into a corner":        {[]trip.Record{peak(0, -5, 4)}, []Kind{Brake}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			events := detect(utc, c.records...)
			var kinds []Kind
			for _, e := range events {
				kinds = append(kinds, e.Kind)
			}
			if !reflect.DeepEqual(kinds, c.want) {
				t.Fatalf("%v instead of %v", kinds, c.want)
			}
			if len(events) > 0 && events[0].Level != c.level {
				t.Errorf("level %d instead of %d", events[0].Level, c.level)
			}
		})
	}
}

func TestGuessedEventsAreMarkedAndNotScored(t *testing.T) {
	d := NewDriver("a")
	for i, speed := range []float64{20, 20, 14, 14, 14, 14, 14, 14} {
		d.Push(trip.Record{Device: "a", TimeMs: int64(i+1) * 1000, SpeedMps: speed, Drive: "1"}, utc)
	}
	d.Finish(utc)
	sum, _, _ := d.Window(utc)
	if sum.Guessed != 1 || sum.Brake.N != 0 {
		t.Errorf("%+v", sum)
	}
}

func TestSpeedingNeedsItsSeconds(t *testing.T) {
	at := func(second int, kmh float64) trip.Record {
		return trip.Record{Device: "a", TimeMs: int64(second+1) * 1000, SpeedMps: trip.Kmh(kmh), LimitMps: new(trip.Kmh(50))}
	}
	var short, long []trip.Record
	for s := range 9 {
		short = append(short, at(s, 70))
	}
	for s := range 10 {
		long = append(long, at(s, 70))
	}
	if events := detect(utc, short...); len(events) != 0 {
		t.Errorf("nine seconds: %v", events)
	}
	if events := detect(utc, long...); len(events) != 1 || math.Abs(events[0].OverMps-trip.Kmh(20)) > 1e-9 {
		t.Errorf("ten seconds: %v", events)
	}
}

func TestNightIsLocal(t *testing.T) {
	p := utc
	p.Zone = time.FixedZone("", 2*3600)
	start := time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC) // three in the morning there
	d := NewDriver("a")
	for i := range 7200 {
		d.Push(trip.Record{Device: "a", TimeMs: start.UnixMilli() + int64(i)*1000, SpeedMps: 10,
			Lat: new(48 + float64(i)*10/111_195), Lon: new(15.0), Drive: "1"}, p)
	}
	sum, days, _ := d.Window(p)
	if share := sum.NightMetres / sum.Metres; math.Abs(share-0.5) > 0.01 || days != 1 {
		t.Errorf("night share %.3f over %d days", share, days)
	}
}

func TestWindowForgets(t *testing.T) {
	d := NewDriver("a")
	for day := range 200 {
		d.Days = addDay(d.Days, 20000+day, Tally{Metres: 1000, Trips: 1})
	}
	d.LastMs = int64(20199) * 86400_000
	if sum, days, _ := d.Window(utc); sum.Trips != WindowDays || days != WindowDays {
		t.Errorf("%d trips over %d days", sum.Trips, days)
	}
}

func TestScoreFallsWithEveryEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tally Tally
		tally.Metres = rapid.Float64Range(0, 1e7).Draw(t, "m")
		tally.Seconds = tally.Metres / 12
		before, _ := Score(tally)
		worse := tally
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			worse.Brake.add(Count{1, 1})
		case 1:
			worse.Corner.add(Count{1, 1})
		case 2:
			worse.SpeedingS += 10
		case 3:
			worse.NightMetres += 10
		}
		after, parts := Score(worse)
		if !(after < before) || before > 100 || after < 0 {
			t.Fatalf("%v then %v: %+v", before, after, parts)
		}
	})
	var weights float64
	for _, m := range PartModels {
		weights += m.Weight
	}
	if math.Abs(weights-1) > 1e-12 {
		t.Errorf("the weights sum to %v", weights)
	}
}
