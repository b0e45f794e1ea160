package habit

import (
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Driver is all that is known of one driver, in a form that can be saved between any two records.
type Driver struct {
	Device   string         `json:"device_id"`
	Source   string         `json:"source,omitempty"`
	Order    trip.Sequencer `json:"order"`
	Track    trip.Tracker   `json:"track"`
	Detect   Detector       `json:"detect"`
	Days     []Day          `json:"days,omitempty"` // measured, the last WindowDays of them
	History  []Day          `json:"-"`              // simulated before the first message; kept in a topic of its own
	Now      Tally          `json:"now"`            // of the open trip
	NowDay   int            `json:"now_day,omitempty"`
	FirstMs  int64          `json:"first_ms,omitempty"`
	LastMs   int64          `json:"last_ms,omitempty"`
	Counters Counters       `json:"counters"`
}

// Counters are sums over everything ever measured of a driver.
type Counters struct {
	Records    int64   `json:"records"`
	Duplicates int64   `json:"duplicates,omitempty"`
	Late       int64   `json:"late,omitempty"`
	Drives     int     `json:"drives,omitempty"`     // ended; in a Summary the open one too, as in what follows
	GPSM       float64 `json:"gps_m,omitempty"`      // from positions alone
	OdometerM  float64 `json:"odometer_m,omitempty"` // from the odometer alone
}

// NewDriver returns a driver of whom nothing is known.
func NewDriver(device string) *Driver { return &Driver{Device: device} }

// Push takes one record and returns the events that it ended. A record that comes again, or too late to find its
// place, changes nothing but a counter.
func (d *Driver) Push(r trip.Record, p Profile) (trip.Verdict, []Event) {
	verdict, settled := d.Order.Push(r)
	switch verdict {
	case trip.Duplicate:
		d.Counters.Duplicates++
	case trip.Late:
		d.Counters.Late++
	case trip.Accepted:
		d.Counters.Records++
	}
	return verdict, d.settle(settled, p)
}

// Flush settles what still waits for earlier records, for a device that has fallen silent.
func (d *Driver) Flush(p Profile) []Event { return d.settle(d.Order.Flush(), p) }

// Finish settles everything and ends the open trip, for a device that will send no more.
func (d *Driver) Finish(p Profile) []Event {
	events := d.Flush(p)
	ended, dropped := d.Track.Finish()
	return append(events, d.endTrip(ended, dropped, &p)...)
}

func (d *Driver) settle(records []trip.Record, p Profile) []Event {
	var events []Event
	for i := range records {
		events = append(events, d.next(&records[i], &p)...)
	}
	return events
}

func (d *Driver) next(r *trip.Record, p *Profile) []Event {
	d.Source = r.Source
	if d.FirstMs == 0 {
		d.FirstMs = r.TimeMs
	}
	d.LastMs = r.TimeMs
	step := d.Track.Next(r)
	events := d.endTrip(step.Ended, step.Dropped, p)
	local := p.local(r.TimeMs)
	if step.Driving {
		if d.NowDay == 0 {
			d.NowDay = dayOf(local)
		}
		d.Now.Metres += step.Metres
		d.Now.Seconds += step.Seconds
		if local.Hour() < nightEndHour {
			d.Now.NightMetres += step.Metres
		}
	}
	over := d.Detect.Next(r, step.Seconds, p)
	d.count(over)
	return append(events, over...)
}

func (d *Driver) count(events []Event) {
	for i := range events {
		d.Now.note(&events[i])
	}
}

// endTrip moves the open trip's tally to its day. A dropped trip leaves nothing.
func (d *Driver) endTrip(ended *trip.Trip, dropped bool, p *Profile) []Event {
	if ended == nil {
		return nil
	}
	over := d.Detect.Close(p)
	d.count(over)
	if !dropped {
		d.Now.Trips = 1
		d.Counters.Drives++
		d.Counters.GPSM += ended.GPSM
		d.Counters.OdometerM += ended.OdometerM
		d.Days = addDay(d.Days, d.NowDay, d.Now)
		if extra := len(d.Days) - WindowDays; extra > 0 {
			d.Days = d.Days[extra:]
		}
	}
	d.Now, d.NowDay = Tally{}, 0
	return over
}

// Window sums the last WindowDays before the newest record. days is how many calendar days it spans, simulated how
// many of them come from the simulated history.
func (d *Driver) Window(p Profile) (sum Tally, days, simulated int) {
	last := d.newestDay(p)
	first := last - WindowDays + 1
	sum, _ = since(d.Days, first)
	sum.Add(d.Now)
	past, simulated := since(d.History, first)
	sum.Add(past)
	return sum, last - max(first, d.oldestDay(last)) + 1, simulated
}

func (d *Driver) newestDay(p Profile) int {
	last := 0
	if d.LastMs > 0 {
		last = dayOf(p.local(d.LastMs))
	}
	if n := len(d.History); n > 0 {
		last = max(last, d.History[n-1].Day)
	}
	return last
}

func (d *Driver) oldestDay(last int) int {
	oldest := last
	for _, days := range [][]Day{d.Days, d.History} {
		if len(days) > 0 {
			oldest = min(oldest, days[0].Day)
		}
	}
	if d.NowDay > 0 {
		oldest = min(oldest, d.NowDay)
	}
	return oldest
}

// dayOf returns the days since 1970-01-01 of a local time's date.
func dayOf(local time.Time) int {
	y, m, day := local.Date()
	return int(time.Date(y, m, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}
