package trip

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A drive whose messages arrive shuffled within the hold and doubled comes out once, in order.
func TestSequencerRestoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		rnd := rand.New(rand.NewPCG(seed, 1))
		type arrival struct {
			at     int64
			record Record
		}
		n := rapid.IntRange(1, 60).Draw(t, "n")
		var arrivals []arrival
		for i := range n {
			ts := int64(1000 * (i + 1))
			for range 1 + rnd.IntN(2) {
				arrivals = append(arrivals, arrival{ts + rnd.Int64N(HoldMs), Record{TimeMs: ts}})
			}
		}
		for i := 1; i < len(arrivals); i++ { // insertion sort: stable by arrival
			for j := i; j > 0 && arrivals[j].at < arrivals[j-1].at; j-- {
				arrivals[j], arrivals[j-1] = arrivals[j-1], arrivals[j]
			}
		}
		var s Sequencer
		var out []Record
		for _, a := range arrivals {
			verdict, released := s.Push(a.record)
			if verdict == Late {
				t.Fatalf("ts %d is late", a.record.TimeMs)
			}
			out = append(out, released...)
		}
		out = append(out, s.Flush()...)
		if len(out) != n {
			t.Fatalf("%d of %d records", len(out), n)
		}
		for i, r := range out {
			if r.TimeMs != int64(1000*(i+1)) {
				t.Fatalf("record %d has time %d", i, r.TimeMs)
			}
		}
	})
}

func TestSequencerTellsDoubledFromLate(t *testing.T) {
	var s Sequencer
	for _, ts := range []int64{1000, 3000, 4000, 9000} {
		s.Push(Record{TimeMs: ts})
	}
	if v, _ := s.Push(Record{TimeMs: 3000}); v != Duplicate {
		t.Errorf("a settled time again: verdict %d", v)
	}
	if v, _ := s.Push(Record{TimeMs: 2000}); v != Late {
		t.Errorf("a new time before the settled one: verdict %d", v)
	}
	if v, _ := s.Push(Record{TimeMs: 9000}); v != Duplicate {
		t.Errorf("a waiting time again: verdict %d", v)
	}
}

func TestCleaner(t *testing.T) {
	at := func(ms int64, speed float64) *Record {
		return &Record{Version: 1, Device: "a", TimeMs: ms, SpeedMps: speed, Lat: new(1.0), Lon: new(2.0)}
	}
	c := NewCleaner()
	if v, err := c.Check(at(1000, 5), 2000); v != Accepted || err != nil {
		t.Fatal(v, err)
	}
	if v, err := c.Check(at(1000, 5), 2500); v != Duplicate || err != nil {
		t.Errorf("the same again: %d, %v", v, err)
	}
	if _, err := c.Check(at(1000, 6), 2000); err == nil || err.(*Rejection).Reason != ReasonConflict {
		t.Errorf("same time, other speed: %v", err)
	}
	if _, err := c.Check(at(futureMsMax+3000, 6), 2000); err == nil || err.(*Rejection).Reason != ReasonFuture {
		t.Errorf("a day ahead: %v", err)
	}
	island := at(2000, 5)
	island.Lat, island.Lon = new(0.0), new(0.0)
	if _, err := c.Check(island, 2000); err != nil {
		t.Fatal(err)
	}
	if _, ok := island.Position(); ok {
		t.Error("null island counts as a place")
	}
}

// A log that does not say when it took a message says nothing against its time.
func TestCleanerWithoutATimeOfTheLog(t *testing.T) {
	r := Record{Version: Version, Device: "a", TimeMs: 1_431_648_493_000}
	if v, err := NewCleaner().Check(&r, -1); v != Accepted || err != nil {
		t.Errorf("verdict %d, %v", v, err)
	}
	if err := r.Validate(); err != nil {
		t.Errorf("what the next stage says of it: %v", err)
	}
}

// As many of the longest records as may wait for earlier ones fit into one record of the log, in which they are saved.
func TestWhatWaitsFits(t *testing.T) {
	const worst = "<" // six bytes of JSON
	longest := Record{Version: Version, Device: strings.Repeat("x", deviceLenMax), TimeMs: 1, Drive: strings.Repeat(worst, textLenMax),
		Source: strings.Repeat(worst, textLenMax), Quality: slices.Repeat([]string{strings.Repeat(worst, markLenMax)}, qualityMax)}
	number := -1.0 / 3
	for _, value := range []**float64{&longest.Lat, &longest.Lon, &longest.AccLong, &longest.AccLat, &longest.AltM} {
		*value = &number
	}
	if err := longest.Validate(); err != nil {
		t.Fatal(err)
	}
	b, err := longest.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	if all := len(b) * heldMax; all > 900_000 {
		t.Errorf("%d records of %d bytes are %d", heldMax, len(b), all)
	}
	longest.Quality[0] += "<"
	if longest.Validate() == nil {
		t.Error("a longer mark is taken")
	}
}
