package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Past is one simulated day before the first message: which of the sample trips a driver made, and at night.
type Past struct {
	Day   int // days since 1970-01-01
	Trips []PastTrip
}

// PastTrip is one of the sample trips of the driver's nature.
type PastTrip struct {
	Sample int
	Night  bool
}

// SamplesPerNature is how many different trips the past is made of, for each shade of temper.
const SamplesPerNature = 12

// natures is how many shades of temper have sample trips of their own.
const natures = 9

// Nature returns the shade of temper of a device, 0 to natures-1.
func (f *Fleet) Nature(device string) int {
	return min(int(f.byName[device].temper*natures), natures-1)
}

// Natures returns how many shades of temper there are.
func (f *Fleet) Natures() int { return natures }

// SampleTrip drives one whole trip as a driver of the nature would, one record a second from start on.
func (f *Fleet) SampleTrip(nature, sample int, start time.Time) []trip.Record {
	c := &car{device: fmt.Sprintf("sample-%d-%d", nature, sample), temper: (float64(nature) + 0.5) / natures}
	c.reseed(f.config.Seed, 0)
	c.style = styleOf(c.temper)
	c.node = c.rnd.IntN(len(f.town.nodes))
	c.at = f.town.nodes[c.node]
	c.begin(f.town)
	var out []trip.Record
	for done := false; !done && len(out) < 3600; {
		var m motion
		m, done = c.drive()
		out = append(out, c.report(start.Add(time.Duration(len(out))*time.Second), m, !done))
	}
	return out
}

// Past draws the days before today of a device: some quiet, some with many trips, as its driver's habits are.
func (f *Fleet) Past(device string, days int, today time.Time) []Past {
	c := f.byName[device]
	rnd := rand.New(rand.NewPCG(f.config.Seed^0x70617374, nameHash(device)))
	busy := 1 + 9*rnd.Float64() // trips on an ordinary day
	last := int(today.Unix() / 86400)
	var out []Past
	for day := last - days; day < last; day++ {
		past := Past{Day: day}
		for range int(busy*(0.4+1.2*rnd.Float64()) + rnd.Float64()) {
			past.Trips = append(past.Trips, PastTrip{
				Sample: rnd.IntN(SamplesPerNature), Night: rnd.Float64() < 0.3*c.nightOwl,
			})
		}
		out = append(out, past)
	}
	return out
}
