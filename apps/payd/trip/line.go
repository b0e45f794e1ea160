package trip

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LineFormat says what the text line of 2015 leaves out. Both fields are required: a guess would price someone wrongly.
type LineFormat struct {
	Unit Unit
	Zone *time.Location
}

// Known reports whether unit and zone have been said.
func (f LineFormat) Known() bool { return f.Unit != "" && f.Zone != nil }

// Unit is the unit of a speed.
type Unit string

// The units that sources use.
const (
	UnitKmh   Unit = "km/h"
	UnitMph   Unit = "mph"
	UnitMps   Unit = "m/s"
	UnitKnots Unit = "kn"
)

// ParseUnit reads a unit as people type it.
func ParseUnit(s string) (Unit, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "km/h", "kmh", "kph":
		return UnitKmh, nil
	case "mph", "mi/h":
		return UnitMph, nil
	case "m/s", "mps":
		return UnitMps, nil
	case "kn", "kt", "knots":
		return UnitKnots, nil
	}
	return "", fmt.Errorf("speed unit %q is not one of km/h, mph, m/s, kn", s)
}

// Mps converts a speed in the unit to m/s.
func (u Unit) Mps(v float64) float64 {
	switch u {
	case UnitKmh:
		return Kmh(v)
	case UnitMph:
		return Mph(v)
	case UnitKnots:
		return v * 1852 / 3600
	}
	return v
}

// ParseZone reads a time zone: a name of the IANA database, "UTC", or an offset such as "-03:00".
func ParseZone(s string) (*time.Location, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "Local" {
		return nil, fmt.Errorf("time zone %q: name one, such as America/New_York, UTC or -05:00", s)
	}
	if t, err := time.Parse("-07:00", s); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(s, offset), nil
	}
	loc, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known; an offset such as -05:00 works too", s)
	}
	return loc, nil
}

// SourceLine marks records that came as text lines.
const SourceLine = "line"

// ParseLine reads the text form of 2015, version 0 of the record:
//
//	ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977
//
// that is device, speed, month-day-year, time of day, longitude,latitude.
func ParseLine(raw []byte, f LineFormat) (Record, error) {
	if len(raw) > MessageBytesMax {
		return Record{}, reject(ReasonTooLarge, "%d bytes", len(raw))
	}
	fields := strings.Fields(string(raw))
	if len(fields) != 5 {
		return Record{}, reject(ReasonMalformed, "%d fields instead of: device speed M-D-YYYY hh:mm:ss lon,lat", len(fields))
	}
	if !f.Known() {
		return Record{}, reject(ReasonUnset, "a line says neither the unit of its speed nor its time zone")
	}
	speed, err := strconv.ParseFloat(fields[1], 64)
	if err != nil || !finite(speed) {
		return Record{}, reject(ReasonSpeed, "speed %.40q", fields[1])
	}
	at, err := time.ParseInLocation("1-2-2006 15:04:05", fields[2]+" "+fields[3], f.Zone)
	if err != nil {
		return Record{}, reject(ReasonTime, "%.40q %.40q is not M-D-YYYY hh:mm:ss", fields[2], fields[3])
	}
	lon, lat, err := parseLonLat(fields[4])
	if err != nil {
		return Record{}, err
	}
	r := Record{
		Version: Version, Device: fields[0], TimeMs: at.UnixMilli(), SpeedMps: f.Unit.Mps(speed),
		Lat: &lat, Lon: &lon, Source: SourceLine,
	}
	if err := r.Validate(); err != nil {
		return Record{}, err
	}
	return r, nil
}

func parseLonLat(s string) (lon, lat float64, err error) {
	first, second, ok := strings.Cut(s, ",")
	if ok {
		lon, err = strconv.ParseFloat(first, 64)
		if err == nil {
			lat, err = strconv.ParseFloat(second, 64)
		}
	}
	if !ok || err != nil {
		return 0, 0, reject(ReasonPosition, "%.60q is not lon,lat", s)
	}
	return lon, lat, nil
}
