package habit

import (
	"fmt"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Kind is a kind of driving event.
type Kind string

// The kinds of events.
const (
	Brake    Kind = "braking"
	Accel    Kind = "acceleration"
	Corner   Kind = "cornering"
	Speeding Kind = "speeding"
)

var harshKinds = [...]Kind{Brake, Accel, Corner}

// How an event was measured.
const (
	MeasuredPeak = "peak" // by the device's accelerometer
	MeasuredGPS  = "gps"  // guessed from the change of speed
)

const (
	mergeMs    = 2000 // exceedances closer than this are one event
	hysteresis = 0.83 // an event goes on until the value falls 17 % below its threshold
	slopeMsMax = 2000 // speeds farther apart say nothing about acceleration
)

// Event is one thing that a driver did. Its ID depends on the drive alone, so that the same event written twice is
// the same event.
type Event struct {
	ID        string   `json:"id"`
	Device    string   `json:"device_id"`
	Kind      Kind     `json:"kind"`
	TimeMs    int64    `json:"ts_ms"`
	Seconds   float64  `json:"seconds"`
	PeakMps2  float64  `json:"peak_mps2,omitempty"`
	OverMps   float64  `json:"over_mps,omitempty"` // speeding: the most above the limit
	LimitMps  float64  `json:"limit_mps,omitempty"`
	SpeedMps  float64  `json:"speed_mps"`
	Level     int      `json:"level"` // 1 to 3: at the threshold, 1.3 and 1.6 times it
	Measured  string   `json:"measured"`
	Lat       *float64 `json:"lat,omitempty"`
	Lon       *float64 `json:"lon,omitempty"`
	Profile   string   `json:"profile"`
	Source    string   `json:"source"`
	Threshold float64  `json:"threshold_mps2,omitempty"`
	LastMs    int64    `json:"last_ms"`
}

// weight is what an event of this level counts in the score.
func (e *Event) weight() float64 { return [...]float64{1, 1.5, 2.5}[e.Level-1] }

// Detector finds events in one device's ordered records. Its fields are exported so that it can be saved.
type Detector struct {
	Open     map[Kind]*Event `json:"open,omitempty"`
	LastMs   int64           `json:"last_ms,omitempty"`
	LastMps  float64         `json:"last_mps,omitempty"`
	OverRows int64           `json:"over_rows"`  // records over the limit
	Limited  int64           `json:"limit_rows"` // records with a limit
	Harsh    int64           `json:"harsh_rows"` // records at or over a threshold, before merging
}

// Next takes the next record of a drive and the seconds it stands for, and returns the events that are over.
func (d *Detector) Next(r *trip.Record, seconds float64, p *Profile) []Event {
	if d.Open == nil {
		d.Open = make(map[Kind]*Event)
	}
	over := d.closeBefore(r.TimeMs - mergeMs)
	d.harsh(r, p)
	over = append(over, d.speeding(r, seconds, p)...)
	d.LastMs, d.LastMps = r.TimeMs, r.SpeedMps
	return over
}

// Close ends every open event, as the end of a trip does.
func (d *Detector) Close(p *Profile) []Event {
	over := d.closeBefore(1 << 62)
	if e := d.Open[Speeding]; e != nil {
		over = append(over, d.closeSpeeding(e, p)...)
	}
	return over
}

func (d *Detector) closeBefore(ms int64) []Event {
	var over []Event
	for _, kind := range harshKinds {
		if e := d.Open[kind]; e != nil && e.LastMs < ms {
			e.Seconds = float64(e.LastMs-e.TimeMs) / 1000
			e.Level = level(e.PeakMps2, e.Threshold)
			over = append(over, *e)
			delete(d.Open, kind)
		}
	}
	return over
}

func level(peak, threshold float64) int {
	switch {
	case peak >= 1.6*threshold:
		return 3
	case peak >= 1.3*threshold:
		return 2
	}
	return 1
}

// peaks returns the accelerations of a record along and across the car, and how they were measured ("" for not).
func (d *Detector) peaks(r *trip.Record, p *Profile) (long, lat float64, measured string) {
	if r.AccLong != nil {
		long, measured = *r.AccLong, MeasuredPeak
	}
	if r.AccLat != nil {
		lat, measured = *r.AccLat, MeasuredPeak
	}
	dt := r.TimeMs - d.LastMs
	if measured == "" && p.GPSSlope && d.LastMs > 0 && dt > 0 && dt <= slopeMsMax {
		return (r.SpeedMps - d.LastMps) * 1000 / float64(dt), 0, MeasuredGPS
	}
	return long, lat, measured
}

// harsh opens or extends the event of the axis that exceeds its threshold most: braking into a corner is one event.
func (d *Detector) harsh(r *trip.Record, p *Profile) {
	long, lat, measured := d.peaks(r, p)
	if measured == "" || r.SpeedMps < p.HarshFloorMps && d.LastMps < p.HarshFloorMps {
		return
	}
	values := map[Kind]float64{Brake: -long, Accel: long, Corner: max(lat, -lat)}
	var worst Kind
	var most float64
	for _, kind := range harshKinds {
		ratio := values[kind] / p.threshold(kind)
		if values[kind] >= p.threshold(kind) && ratio > most {
			worst, most = kind, ratio
		}
		if e := d.Open[kind]; e != nil && ratio >= hysteresis {
			e.LastMs, e.PeakMps2 = r.TimeMs, max(e.PeakMps2, values[kind])
		}
	}
	if worst == "" {
		return
	}
	d.Harsh++
	if d.Open[worst] == nil {
		e := newEvent(r, worst, p)
		e.PeakMps2, e.Threshold, e.Measured = values[worst], p.threshold(worst), measured
		d.Open[worst] = e
	}
}

func newEvent(r *trip.Record, kind Kind, p *Profile) *Event {
	return &Event{
		ID: fmt.Sprintf("%s/%d/%s", r.Device, r.TimeMs, kind), Device: r.Device, Kind: kind,
		TimeMs: r.TimeMs, LastMs: r.TimeMs, SpeedMps: r.SpeedMps, Lat: r.Lat, Lon: r.Lon,
		Profile: p.Name, Source: r.Source, Measured: MeasuredPeak, Level: 1,
	}
}

// speeding follows a stretch over the limit; it is an event once it has lasted long enough.
func (d *Detector) speeding(r *trip.Record, seconds float64, p *Profile) []Event {
	if r.LimitMps != nil {
		d.Limited++
	}
	e := d.Open[Speeding]
	if !p.overLimit(r) {
		if e == nil {
			return nil
		}
		return d.closeSpeeding(e, p)
	}
	d.OverRows++
	if e == nil {
		e = newEvent(r, Speeding, p)
		e.Measured = MeasuredGPS
		d.Open[Speeding] = e
	}
	e.LastMs = r.TimeMs
	e.Seconds += seconds
	if over := r.SpeedMps - *r.LimitMps; over > e.OverMps {
		e.OverMps, e.LimitMps, e.SpeedMps = over, *r.LimitMps, r.SpeedMps
	}
	return nil
}

func (d *Detector) closeSpeeding(e *Event, p *Profile) []Event {
	delete(d.Open, Speeding)
	if e.Seconds < p.SpeedingMinS {
		return nil
	}
	e.Level = 1
	switch {
	case e.OverMps >= trip.Kmh(30):
		e.Level = 3
	case e.OverMps >= trip.Kmh(20):
		e.Level = 2
	}
	return []Event{*e}
}
