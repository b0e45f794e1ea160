package fleet

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Source marks every record of the simulation.
const Source = "simulated"

// Faults of the simulated devices and their network, chances per record.
const (
	lostChance    = 0.003
	doubledChance = 0.003
	lateChance    = 0.01
	veryLate      = 0.02 // of the late ones: too late to find their place
	wanderM       = 1.6
)

// Config says what is simulated.
type Config struct {
	Seed uint64
	Cars int
	Zone *time.Location // of the town; nil means UTC
}

// Driver is what the simulation knows of a driver, and the insurer does not.
type Driver struct {
	Device string
	Temper string // calm, normal or aggressive
}

// Fleet is the simulation.
type Fleet struct {
	config Config
	town   *town
	cars   []*car
	byName map[string]*car
	late   []delayed // in the order in which they were held back
	begun  bool
}

type delayed struct {
	at     time.Time
	record trip.Record
}

// New returns a fleet whose cars stand where the seed puts them.
func New(config Config) *Fleet {
	if config.Zone == nil {
		config.Zone = time.UTC
	}
	f := &Fleet{config: config, town: newTown(config.Seed), byName: make(map[string]*car)}
	for i := range config.Cars {
		c := f.newCar(i)
		f.cars = append(f.cars, c)
		f.byName[c.device] = c
	}
	return f
}

// firstDevice numbers the cars, away from the ID-203216 and ID-203217 that the article of 2015 sends.
const firstDevice = 300001

func (f *Fleet) newCar(i int) *car {
	c := &car{device: fmt.Sprintf("ID-%d", firstDevice+i), parkedS: secondReportS}
	c.reseed(f.config.Seed, 0)
	// Tempers spread evenly over the fleet, so that a small one has all kinds.
	c.temper = math.Mod(float64(i)*0.618034+0.31, 1)
	c.style = styleOf(c.temper)
	c.nightOwl = c.rnd.Float64() * c.rnd.Float64()
	c.node = c.rnd.IntN(len(f.town.nodes))
	c.at = f.town.nodes[c.node]
	c.odometer = float64(5_000_000 + c.rnd.IntN(90_000_000))
	return c
}

// reseed starts the car's own random stream, which a restart continues differently but always the same.
func (c *car) reseed(seed uint64, seq int64) {
	c.rnd = rand.New(rand.NewPCG(seed, nameHash(c.device)^uint64(seq)))
}

func nameHash(device string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(device))
	return h.Sum64()
}

// Drivers lists the drivers in the order of their devices.
func (f *Fleet) Drivers() []Driver {
	out := make([]Driver, len(f.cars))
	for i, c := range f.cars {
		out[i] = Driver{Device: c.device, Temper: temperWord(c.temper)}
	}
	return out
}

// Roads returns the town's roads for a map.
func (f *Fleet) Roads() []Road { return f.town.roads() }

// Resume puts a car where its last record left it, before the first Step. A device that is not of the fleet is left
// alone.
func (f *Fleet) Resume(last trip.Record) {
	c := f.byName[last.Device]
	if c == nil {
		return
	}
	c.seq = last.Seq
	c.reseed(f.config.Seed, last.Seq)
	c.underway = last.Ignition != nil && *last.Ignition
	if last.OdometerM != nil {
		c.odometer = *last.OdometerM
	}
	if last.Lat != nil && last.Lon != nil {
		c.rest, c.restOf = f.town.onRoad(place(trip.Point{Lat: *last.Lat, Lon: *last.Lon}))
		c.at, c.node = c.rest[0], f.town.edges[c.restOf].to
	}
}

// Step simulates the second that ends at now and returns what arrives in it, in order. Steps are a second apart; a
// longer pause is a pause of the cars.
func (f *Fleet) Step(now time.Time) []trip.Record {
	hour := now.In(f.config.Zone).Hour()
	if !f.begun {
		f.begun = true
		f.populate(hour)
	}
	var out []trip.Record
	for _, c := range f.cars {
		if r, sent := c.step(f.town, now, hour); sent {
			out = f.transmit(out, c, r, now)
		}
	}
	return append(out, f.arrivals(now)...)
}

// populate sends part of the cars off at once, so that the first second already shows traffic.
func (f *Fleet) populate(hour int) {
	for _, c := range f.cars {
		stay := c.rnd.IntN(c.stayS(hour))
		if c.underway || c.rnd.Float64() < 0.25+0.5*activity(hour, c.nightOwl) {
			stay = c.rnd.IntN(4)
		}
		c.leaveS = c.parkedS + stay
	}
}

// activity is how gladly a driver is on the road at an hour, 0 to 1.
func activity(hour int, nightOwl float64) float64 {
	switch {
	case hour < 5:
		return 0.06 + 0.5*nightOwl
	case hour < 7 || hour >= 21:
		return 0.45
	case hour < 10 || hour >= 15 && hour < 19:
		return 1
	}
	return 0.75
}

// stayS draws how long a car stays parked.
func (c *car) stayS(hour int) int {
	return int((60 + 420*c.rnd.Float64()) / activity(hour, c.nightOwl))
}

// step moves one car by one second and says what its device sends, if anything.
func (c *car) step(t *town, now time.Time, hour int) (trip.Record, bool) {
	if c.way == nil {
		c.parkedS++
		if c.parkedS >= c.leaveS && c.parkedS > secondReportS {
			c.begin(t)
			return c.report(now, motion{}, true), true
		}
		return c.report(now, motion{}, false), c.parkedS == secondReportS
	}
	m, done := c.drive()
	r := c.report(now, m, !done)
	if done {
		c.way, c.parkedS, c.leaveS = nil, 0, c.stayS(hour)
	}
	return r, true
}

func (c *car) report(now time.Time, m motion, ignition bool) trip.Record {
	p := xy{c.at.x + wanderM*c.rnd.NormFloat64()/2, c.at.y + wanderM*c.rnd.NormFloat64()/2}.point()
	r := trip.Record{
		Version: trip.Version, Device: c.device, TimeMs: now.UnixMilli(), Source: Source,
		Lat: rounded(p.Lat, 6), Lon: rounded(p.Lon, 6), SpeedMps: *rounded(c.v, 2), HeadingDeg: rounded(c.heading, 1),
		HDOP: rounded(0.7+0.4*c.rnd.Float64(), 1), Sats: new(8 + c.rnd.IntN(6)),
		AccLong: rounded(m.long+0.08*c.rnd.NormFloat64(), 2), AccLat: rounded(m.lat+0.08*c.rnd.NormFloat64(), 2),
		OdometerM: rounded(c.odometer, 1), Ignition: new(ignition),
	}
	if c.way != nil {
		r.LimitMps = new(c.way.posted[c.stretch])
	}
	return r
}

// transmit numbers a record and puts it on a network that loses, doubles and delays.
func (f *Fleet) transmit(out []trip.Record, c *car, r trip.Record, now time.Time) []trip.Record {
	c.seq++
	r.Seq = c.seq
	luck := c.rnd.Float64()
	switch {
	case luck < lostChance:
		return out
	case luck < lostChance+doubledChance:
		return append(out, r, r)
	case luck < lostChance+doubledChance+lateChance:
		late := time.Duration(1+c.rnd.IntN(2)) * time.Second
		if c.rnd.Float64() < veryLate {
			late = time.Duration(10+c.rnd.IntN(50)) * time.Second
		}
		f.late = append(f.late, delayed{now.Add(late), r})
		return out
	}
	return append(out, r)
}

func (f *Fleet) arrivals(now time.Time) []trip.Record {
	var out []trip.Record
	kept := f.late[:0]
	for _, d := range f.late {
		if d.at.After(now) {
			kept = append(kept, d)
			continue
		}
		out = append(out, d.record)
	}
	f.late = kept
	return out
}

func rounded(v float64, digits int) *float64 {
	scale := math.Pow10(digits)
	return new(math.Round(v*scale) / scale)
}
