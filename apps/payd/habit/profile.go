package habit

import (
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Profile says what counts as harsh, fast and night for one kind of device.
type Profile struct {
	Name string
	// Peaks at or above these are harsh, m/s2.
	BrakeMps2, AccelMps2, CornerMps2 float64
	// HarshFloorMps is the speed below which no peak counts: a kerb is not a corner.
	HarshFloorMps float64
	// GPSSlope allows guessing harsh events from the change of speed where a record has no peak. Such events are
	// marked and never scored: against a real black box they are right one time in ten.
	GPSSlope bool
	// A driver speeds when faster than the limit by more than the tolerance for that limit, for SpeedingMinS.
	SlowToleranceMps, FastToleranceMps float64
	SpeedingMinS                       float64
	Zone                               *time.Location // of the driver, for day and night
}

// Night is midnight to four in the driver's own zone.
const nightEndHour = 4

// slowLimitMps separates town limits (30 mph, 50 km/h) from the others for the speeding tolerance.
var slowLimitMps = trip.Kmh(50.5)

// Profiles maps a record's source to the profile of its devices.
type Profiles struct {
	standard Profile
	bySource map[string]Profile
}

// Standard returns the profiles of the devices that are known. Every other source gets the default one, with the
// driver's zone given here.
func Standard(zone *time.Location) Profiles {
	standard := Profile{
		Name: "default", BrakeMps2: 3.0, AccelMps2: 2.5, CornerMps2: 3.5, HarshFloorMps: trip.Kmh(10), GPSSlope: true,
		SlowToleranceMps: trip.Mph(5), FastToleranceMps: trip.Mph(10), SpeedingMinS: 10, Zone: zone,
	}
	blackBox := standard
	blackBox.Name = "driveplotr"
	blackBox.BrakeMps2, blackBox.AccelMps2, blackBox.CornerMps2 = trip.G(0.35), trip.G(0.35), trip.G(0.35)
	blackBox.HarshFloorMps, blackBox.GPSSlope = 0, false
	blackBox.Zone = time.FixedZone("CDT", -5*3600)
	study := standard
	study.Name = "nds-br"
	study.SlowToleranceMps, study.FastToleranceMps, study.SpeedingMinS = 0, 0, 0
	study.Zone = time.FixedZone("BRT", -3*3600)
	return Profiles{standard: standard, bySource: map[string]Profile{
		string(trip.FormatDrivePlotR): blackBox,
		string(trip.FormatNDSBR):      study,
	}}
}

// For returns the profile of a record's source.
func (p Profiles) For(source string) Profile {
	if profile, ok := p.bySource[source]; ok {
		return profile
	}
	return p.standard
}

func (p *Profile) threshold(k Kind) float64 {
	switch k {
	case Brake:
		return p.BrakeMps2
	case Accel:
		return p.AccelMps2
	}
	return p.CornerMps2
}

// overLimit reports whether r is faster than its posted limit by more than the tolerance.
func (p *Profile) overLimit(r *trip.Record) bool {
	if r.LimitMps == nil {
		return false
	}
	tolerance := p.FastToleranceMps
	if *r.LimitMps <= slowLimitMps {
		tolerance = p.SlowToleranceMps
	}
	return r.SpeedMps > *r.LimitMps+tolerance
}

func (p *Profile) local(timeMs int64) time.Time { return time.UnixMilli(timeMs).In(p.Zone) }
