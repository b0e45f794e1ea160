package trip

// Rules for where a trip begins and ends.
const (
	startSpeedMps   = 8 / 3.6
	stopSpeedMps    = 5 / 3.6
	leadInM         = 200.0 // with the ignition on, this distance makes a trip at any speed
	stopMs          = 300_000
	gapMs           = 300_000
	ignitionOffMs   = 30_000
	tripMinM        = 200.0 // shorter ones are dropped, unless the device itself counts them as drives
	jitterM         = 30.0  // a parked receiver wanders this far
	jumpMps         = 70.0  // faster than any car: the position is wrong
	jumpsBelieved   = 5     // so many in a row, and the earlier position was the wrong one
	recordSecondMax = 60.0  // a record speaks for at most so many seconds
)

// Trip is one drive.
type Trip struct {
	StartMs   int64   `json:"start_ms"`
	EndMs     int64   `json:"end_ms"`
	GPSM      float64 `json:"gps_m"`      // from positions alone
	OdometerM float64 `json:"odometer_m"` // from the odometer alone; 0 when there is none
	Metres    float64 `json:"metres"`     // the odometer's step where there is one, else the positions'
	Drive     string  `json:"drive,omitempty"`
}

// Step is what one record adds.
type Step struct {
	Metres  float64 // to the open trip
	Seconds float64 // since the record before within the trip, at most 60
	Driving bool    // a trip is open
	Ended   *Trip   // the trip that ended before this record
	Dropped bool    // Ended was too short to count
}

// Tracker cuts one device's ordered records into trips and measures them. Its fields are exported so that it can be
// saved between records; nobody else changes them.
type Tracker struct {
	Open    *Trip `json:"open,omitempty"`
	LeadIn  Trip  `json:"lead_in"` // movement that has not made a trip yet
	LastMs  int64 `json:"last_ms"`
	MovedMs int64 `json:"moved_ms,omitempty"` // last time at 5 km/h or more
	OffMs   int64 `json:"off_ms,omitempty"`   // since when the ignition is off

	Good   *Point `json:"good,omitempty"` // last believed position
	GoodMs int64  `json:"good_ms,omitempty"`
	Anchor *Point `json:"anchor,omitempty"` // up to where positions have been counted
	Jumps  int    `json:"jumps,omitempty"`

	Odometer   *float64 `json:"odometer,omitempty"`
	OdometerMs int64    `json:"odometer_ms,omitempty"`
}

// Next takes the device's next record, in order of time, and marks its position where it is a jump.
func (t *Tracker) Next(r *Record) Step {
	var step Step
	if t.over(r) {
		step.Ended, step.Dropped = t.Finish()
	}
	if t.LastMs > 0 && r.TimeMs-t.LastMs > gapMs {
		t.forget()
	}
	gps := t.stepGPS(r)
	metres := gps
	odometer, measured := t.stepOdometer(r)
	if measured {
		metres = odometer
	}
	if t.Open == nil {
		step.Metres, step.Driving = t.begin(r, gps, odometer, metres)
	} else {
		t.Open.add(r.TimeMs, gps, odometer, metres)
		step.Metres, step.Driving = metres, true
		step.Seconds = min(float64(r.TimeMs-t.LastMs)/1000, recordSecondMax)
	}
	t.note(r)
	return step
}

// Finish ends the open trip, if there is one.
func (t *Tracker) Finish() (ended *Trip, dropped bool) {
	ended = t.Open
	t.Open, t.LeadIn, t.OffMs = nil, Trip{}, 0
	return ended, ended != nil && ended.Metres < tripMinM && ended.Drive == ""
}

// over reports whether the open trip ended before r. A device that numbers its drives knows better than a standstill.
func (t *Tracker) over(r *Record) bool {
	switch {
	case t.Open == nil:
		return false
	case r.Drive != t.Open.Drive || r.TimeMs-t.LastMs > gapMs:
		return true
	case r.Drive != "":
		return false
	}
	parked := r.SpeedMps < stopSpeedMps && r.TimeMs-t.MovedMs >= stopMs
	return parked || t.OffMs > 0 && r.TimeMs-t.OffMs >= ignitionOffMs
}

// forget drops the places measured from, so that a silence counts as no distance.
func (t *Tracker) forget() {
	t.Good, t.Anchor, t.Odometer, t.Jumps, t.LeadIn = nil, nil, nil, 0, Trip{}
}

// begin opens a trip when r shows one, with what led up to it.
func (t *Tracker) begin(r *Record, gps, odometer, metres float64) (float64, bool) {
	if t.LeadIn.StartMs == 0 || r.Drive != t.LeadIn.Drive {
		t.LeadIn = Trip{StartMs: r.TimeMs, Drive: r.Drive}
	}
	t.LeadIn.add(r.TimeMs, gps, odometer, metres)
	ignition := r.Ignition != nil && *r.Ignition
	if r.Drive == "" && r.SpeedMps < startSpeedMps && !(ignition && t.LeadIn.Metres >= leadInM) {
		return 0, false
	}
	opened := t.LeadIn
	t.Open, t.LeadIn, t.MovedMs = &opened, Trip{}, r.TimeMs
	return opened.Metres, true
}

func (t *Trip) add(timeMs int64, gps, odometer, metres float64) {
	t.EndMs = timeMs
	t.GPSM += gps
	t.OdometerM += odometer
	t.Metres += metres
}

// stepGPS returns the metres between r and the last counted position. A parked receiver's wandering is not counted:
// below 5 km/h the position must have moved by 30 m.
func (t *Tracker) stepGPS(r *Record) float64 {
	p, ok := r.Position()
	if !ok {
		return 0
	}
	if t.jumped(r, p) {
		r.addQuality(QualityJump)
		return 0
	}
	t.Good, t.GoodMs = &p, r.TimeMs
	if t.Anchor == nil {
		t.Anchor = &p
		return 0
	}
	d := DistanceM(*t.Anchor, p)
	if r.SpeedMps < stopSpeedMps && d < jitterM {
		return 0
	}
	t.Anchor = &p
	return d
}

// jumped reports whether no car can have come from the last good position to p. After several in a row it was the
// earlier position that was wrong, and measuring begins anew.
func (t *Tracker) jumped(r *Record, p Point) bool {
	if t.Good == nil || DistanceM(*t.Good, p) <= jumpMps*float64(r.TimeMs-t.GoodMs)/1000 {
		t.Jumps = 0
		return false
	}
	t.Jumps++
	if t.Jumps < jumpsBelieved {
		return true
	}
	t.Good, t.Anchor, t.Jumps = nil, nil, 0
	return false
}

// stepOdometer returns the odometer's step and whether there is one. An odometer that goes back, or leaps, has been
// reset: measuring begins anew.
func (t *Tracker) stepOdometer(r *Record) (float64, bool) {
	if r.OdometerM == nil {
		return 0, false
	}
	before, beforeMs := t.Odometer, t.OdometerMs
	t.Odometer, t.OdometerMs = r.OdometerM, r.TimeMs
	if before == nil {
		return 0, false
	}
	d := *r.OdometerM - *before
	if d < 0 || d > jumpMps*float64(r.TimeMs-beforeMs)/1000 {
		return 0, false
	}
	return d, true
}

func (t *Tracker) note(r *Record) {
	t.LastMs = r.TimeMs
	if r.SpeedMps >= stopSpeedMps {
		t.MovedMs = r.TimeMs
	}
	switch {
	case r.Ignition == nil:
	case *r.Ignition:
		t.OffMs = 0
	case t.OffMs == 0:
		t.OffMs = r.TimeMs
	}
}
