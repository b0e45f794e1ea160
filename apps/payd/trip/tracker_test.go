package trip

import (
	"math"
	"testing"
)

// metreDeg is one metre of latitude in degrees.
var metreDeg = 180 / (math.Pi * earthM)

// drive feeds seconds of constant speed northwards and returns the records' trips.
type road struct {
	tracker Tracker
	ms      int64
	metres  float64
	trips   []Trip
	dropped int
}

func (d *road) go1(seconds int, mps float64, change func(*Record)) {
	for range seconds {
		d.ms += 1000
		d.metres += mps
		r := Record{TimeMs: d.ms, SpeedMps: mps, Lat: new(48 + d.metres*metreDeg), Lon: new(15.0)}
		if change != nil {
			change(&r)
		}
		d.note(d.tracker.Next(&r))
	}
}

func (d *road) note(s Step) {
	switch {
	case s.Ended == nil:
	case s.Dropped:
		d.dropped++
	default:
		d.trips = append(d.trips, *s.Ended)
	}
}

func (d *road) end() {
	ended, dropped := d.tracker.Finish()
	d.note(Step{Ended: ended, Dropped: dropped})
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: %.2f instead of %.2f", what, got, want)
	}
}

func TestTripEndsAfterAStandstill(t *testing.T) {
	var d road
	d.go1(100, 10, nil)
	d.go1(299, 0, nil) // a level crossing
	d.go1(100, 10, nil)
	d.go1(301, 0, nil) // parked
	d.go1(100, 10, nil)
	d.end()
	if len(d.trips) != 2 {
		t.Fatalf("%d trips instead of 2", len(d.trips))
	}
	near(t, "first trip", d.trips[0].Metres, 1990, 15)
	near(t, "second trip", d.trips[1].Metres, 1000, 15)
}

func TestTripEndsAtAGapAndCountsNothingOverIt(t *testing.T) {
	var d road
	d.go1(100, 10, nil)
	d.ms += 301_000
	d.metres += 5000
	d.go1(100, 10, nil)
	d.end()
	if len(d.trips) != 2 {
		t.Fatalf("%d trips instead of 2", len(d.trips))
	}
	near(t, "both", d.trips[0].Metres+d.trips[1].Metres, 1980, 15)
}

func TestTunnelIsBridged(t *testing.T) {
	var d road
	d.go1(100, 20, nil)
	d.go1(60, 20, func(r *Record) { r.Lat, r.Lon = nil, nil })
	d.go1(100, 20, nil)
	d.end()
	near(t, "trip", d.trips[0].Metres, 259*20, 25)
}

func TestIgnitionOffEndsTheTrip(t *testing.T) {
	var d road
	on, off := func(r *Record) { r.Ignition = new(true) }, func(r *Record) { r.Ignition = new(false) }
	d.go1(100, 10, on)
	d.go1(10, 0, off)
	d.go1(100, 10, on) // a stall
	d.go1(32, 0, off)
	d.go1(100, 10, on)
	d.end()
	if len(d.trips) != 2 {
		t.Fatalf("%d trips instead of 2", len(d.trips))
	}
}

func TestParkedJitterIsNoDistance(t *testing.T) {
	var d road
	d.go1(100, 10, nil)
	side := 1.0
	d.go1(200, 0, func(r *Record) { side = -side; r.Lon = new(15 + side*5*metreDeg) })
	d.end()
	near(t, "trip", d.trips[0].Metres, 990, 15)
}

func TestJumpIsNoDistance(t *testing.T) {
	var d road
	i := 0
	d.go1(100, 10, func(r *Record) {
		if i++; i == 50 {
			r.Lat = new(50.0)
		}
	})
	d.end()
	near(t, "trip", d.trips[0].Metres, 990, 15)
}

func TestWrongFirstPositionIsGivenUp(t *testing.T) {
	var d road
	i := 0
	d.go1(100, 10, func(r *Record) {
		if i++; i == 1 {
			r.Lat = new(50.0)
		}
	})
	d.end()
	near(t, "trip", d.trips[0].Metres, 940, 20)
}

func TestOdometerIsPreferredAndItsResetIsNoDistance(t *testing.T) {
	var d road
	odometer := 1000.0
	d.go1(200, 10, func(r *Record) {
		if odometer += 11; r.TimeMs == 100_000 {
			odometer = 0
		}
		r.OdometerM = new(odometer)
	})
	d.end()
	near(t, "metres", d.trips[0].Metres, 198*11+10, 15)
	near(t, "positions", d.trips[0].GPSM, 1990, 15)
}

func TestShortTripIsDropped(t *testing.T) {
	var d road
	d.go1(15, 10, nil)
	d.end()
	if len(d.trips) != 0 || d.dropped != 1 {
		t.Errorf("%d trips, %d dropped", len(d.trips), d.dropped)
	}
}
