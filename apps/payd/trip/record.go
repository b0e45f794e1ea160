package trip

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Version is the version of the canonical JSON record; the text line of 2015 counts as version 0.
const Version = 1

// MessageBytesMax bounds one message of a device. Longer ones are refused unread.
const MessageBytesMax = 64 << 10

// Limits beyond which a value is a fault of the device and not a drive.
const (
	SpeedMpsMax   = 90.0
	AccelMps2Max  = 100.0
	OdometerMax   = 1e10 // metres
	deviceLenMax  = 64
	qualityMax    = 8  // marks
	markLenMax    = 32 // of one
	textLenMax    = 64
	yearMsMax     = 4102444800000 // 2100-01-01: later times are a broken clock
	standardMps2  = 9.80665       // one g
	kmhPerMps     = 3.6
	metresPerMile = 1609.344
)

// Record is one message of a device in canonical form. Fields that a device does not send are nil or zero.
type Record struct {
	Version    int      `json:"v"`
	Device     string   `json:"device_id"` // pseudonym: letters, digits and ._:- only
	Seq        int64    `json:"seq,omitempty"`
	TimeMs     int64    `json:"ts_ms"`           // the device's own clock, UTC
	ReceivedMs int64    `json:"rx_ms,omitempty"` // when the log took it
	Lat        *float64 `json:"lat,omitempty"`   // WGS 84
	Lon        *float64 `json:"lon,omitempty"`
	SpeedMps   float64  `json:"speed_mps"`
	HeadingDeg *float64 `json:"heading_deg,omitempty"`
	AltM       *float64 `json:"alt_m,omitempty"`
	HDOP       *float64 `json:"hdop,omitempty"`
	Sats       *int     `json:"sats,omitempty"`
	// AccLong and AccLat are the peaks since the last record: accelerating and to the right are positive, m/s2.
	AccLong   *float64 `json:"acc_long_peak,omitempty"`
	AccLat    *float64 `json:"acc_lat_peak,omitempty"`
	OdometerM *float64 `json:"odometer_m,omitempty"`
	Ignition  *bool    `json:"ignition,omitempty"`
	Phone     *bool    `json:"phone_in_use,omitempty"`
	LimitMps  *float64 `json:"limit_mps,omitempty"` // posted limit at the place; nil where it is unknown
	Drive     string   `json:"drive,omitempty"`     // the device's own number of this drive
	Source    string   `json:"source,omitempty"`
	Quality   []string `json:"quality,omitempty"`
}

// Marks that the checks leave on a record. A marked position counts as a sign of life and not as distance.
const (
	QualityNoFix  = "no-fix"
	QualityCoarse = "hdop"
	QualityJump   = "jump"
)

// Position returns the record's point and whether it is fit for measuring distance.
func (r *Record) Position() (Point, bool) {
	if r.Lat == nil || r.Lon == nil || len(r.Quality) > 0 {
		return Point{}, false
	}
	return Point{Lat: *r.Lat, Lon: *r.Lon}, true
}

// Validate reports the first value that no device can mean, as a [*Rejection].
func (r *Record) Validate() error {
	switch {
	case r.Version != Version:
		return reject(ReasonVersion, "version %d is not %d", r.Version, Version)
	case !validDevice(r.Device):
		return reject(ReasonDevice, "device id %.80q", r.Device)
	case r.TimeMs <= 0 || r.TimeMs > yearMsMax:
		return reject(ReasonTime, "ts_ms %d", r.TimeMs)
	case !within(r.SpeedMps, 0, SpeedMpsMax):
		return reject(ReasonSpeed, "%v m/s is outside 0 to %v", r.SpeedMps, SpeedMpsMax)
	case r.Seq < 0 || r.ReceivedMs < 0:
		return reject(ReasonValue, "negative seq or rx_ms")
	case len(r.Drive) > textLenMax || len(r.Source) > textLenMax || !validMarks(r.Quality):
		return reject(ReasonValue, "drive, source or quality is too long")
	}
	if err := r.validatePosition(); err != nil {
		return err
	}
	return r.validateSensors()
}

func (r *Record) validatePosition() error {
	if (r.Lat == nil) != (r.Lon == nil) {
		return reject(ReasonPosition, "one of lat and lon is missing")
	}
	if r.Lat != nil && !(within(*r.Lat, -90, 90) && within(*r.Lon, -180, 180)) {
		return reject(ReasonPosition, "lat %v, lon %v", *r.Lat, *r.Lon)
	}
	return nil
}

func (r *Record) validateSensors() error {
	for _, v := range []struct {
		name     string
		value    *float64
		min, max float64
	}{
		{"heading_deg", r.HeadingDeg, 0, 360},
		{"alt_m", r.AltM, -1000, 20000},
		{"hdop", r.HDOP, 0, 1000},
		{"acc_long_peak", r.AccLong, -AccelMps2Max, AccelMps2Max},
		{"acc_lat_peak", r.AccLat, -AccelMps2Max, AccelMps2Max},
		{"odometer_m", r.OdometerM, 0, OdometerMax},
		{"limit_mps", r.LimitMps, 0, SpeedMpsMax},
	} {
		if v.value != nil && !within(*v.value, v.min, v.max) {
			return reject(ReasonValue, "%s %v is outside %v to %v", v.name, *v.value, v.min, v.max)
		}
	}
	return nil
}

// validMarks bounds what a record holds: hundreds of them wait in a driver's state, which is one record of the log.
func validMarks(marks []string) bool {
	return len(marks) <= qualityMax && !slices.ContainsFunc(marks, func(mark string) bool { return len(mark) > markLenMax })
}

// within is false for NaN too.
func within(v, low, high float64) bool { return v >= low && v <= high }

func validDevice(id string) bool {
	if id == "" || len(id) > deviceLenMax {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// AppendJSON appends the canonical form of r, which [ParseJSON] reads back to an equal record.
func (r *Record) AppendJSON(dst []byte) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return dst, fmt.Errorf("trip: encode record of %s: %w", r.Device, err)
	}
	return append(dst, b...), nil
}

// required are the fields that tell an absent value from a zero one.
type required struct {
	Record
	Time  *int64   `json:"ts_ms"`
	Speed *float64 `json:"speed_mps"`
}

// ParseJSON reads one canonical record. Unknown fields are ignored, so that devices may be newer than the insurer.
func ParseJSON(raw []byte) (Record, error) {
	if len(raw) > MessageBytesMax {
		return Record{}, reject(ReasonTooLarge, "%d bytes", len(raw))
	}
	var in required
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&in); err != nil {
		return Record{}, reject(ReasonMalformed, "%v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, reject(ReasonMalformed, "more than one value")
	}
	if in.Time == nil {
		return Record{}, reject(ReasonTime, "ts_ms is missing")
	}
	if in.Speed == nil {
		return Record{}, reject(ReasonSpeed, "speed_mps is missing")
	}
	r := in.Record
	r.TimeMs, r.SpeedMps = *in.Time, *in.Speed
	if err := r.Validate(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// G returns g standard gravities in m/s2.
func G(g float64) float64 { return g * standardMps2 }

// Kmh returns kilometres per hour in m/s.
func Kmh(v float64) float64 { return v / kmhPerMps }

// Mph returns miles per hour in m/s.
func Mph(v float64) float64 { return v * metresPerMile / 3600 }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
