package trip

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var newYork = LineFormat{Unit: UnitMph, Zone: time.FixedZone("EDT", -4*3600)}

func TestParseLine(t *testing.T) {
	r, err := ParseLine([]byte("ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977"), newYork)
	if err != nil {
		t.Fatal(err)
	}
	if r.Device != "ID-203217" || *r.Lon != -73.978165 || *r.Lat != 40.757977 || r.SpeedMps != Mph(80) {
		t.Errorf("%+v", r)
	}
	if want := time.Date(2015, 5, 15, 4, 8, 13, 0, time.UTC).UnixMilli(); r.TimeMs != want {
		t.Errorf("time %d instead of %d", r.TimeMs, want)
	}
}

func TestRefusals(t *testing.T) {
	json := func(s string) func() error {
		return func() error { _, err := ParseJSON([]byte(s)); return err }
	}
	line := func(s string) func() error {
		return func() error { _, err := ParseLine([]byte(s), newYork); return err }
	}
	for name, c := range map[string]struct {
		parse func() error
		want  Reason
	}{
		"no unit": {func() error {
			_, err := Parse(FormatAuto, []byte("ID-1 80 5-15-2015 00:08:13 1,2"), LineFormat{})
			return err
		}, ReasonUnset},
		"empty":             {line(""), ReasonMalformed},
		"month 13":          {line("ID-1 80 13-15-2015 00:08:13 1,2"), ReasonTime},
		"speed word":        {line("ID-1 fast 5-15-2015 00:08:13 1,2"), ReasonSpeed},
		"speed NaN":         {line("ID-1 NaN 5-15-2015 00:08:13 1,2"), ReasonSpeed},
		"speed of a plane":  {line("ID-1 300 5-15-2015 00:08:13 1,2"), ReasonSpeed},
		"latitude 91":       {line("ID-1 80 5-15-2015 00:08:13 1,91"), ReasonPosition},
		"latitude NaN":      {line("ID-1 80 5-15-2015 00:08:13 1,NaN"), ReasonPosition},
		"no comma":          {line("ID-1 80 5-15-2015 00:08:13 1"), ReasonPosition},
		"device with quote": {line(`ID"1 80 5-15-2015 00:08:13 1,2`), ReasonDevice},
		"version 2":         {json(`{"v":2,"device_id":"a","ts_ms":1,"speed_mps":1}`), ReasonVersion},
		"no speed":          {json(`{"v":1,"device_id":"a","ts_ms":1}`), ReasonSpeed},
		"no time":           {json(`{"v":1,"device_id":"a","speed_mps":1}`), ReasonTime},
		"no device":         {json(`{"v":1,"ts_ms":1,"speed_mps":1}`), ReasonDevice},
		"half a position":   {json(`{"v":1,"device_id":"a","ts_ms":1,"speed_mps":1,"lat":1}`), ReasonPosition},
		"odometer negative": {json(`{"v":1,"device_id":"a","ts_ms":1,"speed_mps":1,"odometer_m":-1}`), ReasonValue},
		"two values":        {json(`{"v":1,"device_id":"a","ts_ms":1,"speed_mps":1}{}`), ReasonMalformed},
		"cut":               {json(`{"v":1,"device_id":"a"`), ReasonMalformed},
		"too large":         {json(strings.Repeat(" ", MessageBytesMax+1)), ReasonTooLarge},
		"NDS-BR columns":    {func() error { _, err := ParseNDSBR([]byte("A;1;2")); return err }, ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			var rejection *Rejection
			if err := c.parse(); !errors.As(err, &rejection) || rejection.Reason != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestUnitsAndZones(t *testing.T) {
	for text, mps := range map[string]float64{"km/h": 10, "mph": 16.09344, "m/s": 36, "kn": 18.52} {
		u, err := ParseUnit(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Mps(36); got < mps-1e-9 || got > mps+1e-9 {
			t.Errorf("36 %s is %v m/s instead of %v", text, got, mps)
		}
	}
	for _, bad := range []string{"", "Local", "Mars/Olympus"} {
		if _, err := ParseZone(bad); err == nil {
			t.Errorf("zone %q was taken", bad)
		}
	}
	zone, err := ParseZone("-03:00")
	if err != nil {
		t.Fatal(err)
	}
	if _, offset := time.Unix(0, 0).In(zone).Zone(); offset != -3*3600 {
		t.Errorf("offset %d", offset)
	}
}

func TestReasonsAreExplained(t *testing.T) {
	for _, r := range Reasons {
		if r.Text == "" || strings.ContainsAny(string(r.Reason), " _") {
			t.Errorf("%+v", r)
		}
	}
}

func drawRecord(t *rapid.T) Record {
	optional := func(low, high float64, name string) *float64 {
		if !rapid.Bool().Draw(t, name+"?") {
			return nil
		}
		return new(rapid.Float64Range(low, high).Draw(t, name))
	}
	r := Record{
		Version: Version, Device: rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`).Draw(t, "device"),
		Seq:    rapid.Int64Range(0, 1<<53).Draw(t, "seq"),
		TimeMs: rapid.Int64Range(1, yearMsMax).Draw(t, "ts"), SpeedMps: rapid.Float64Range(0, SpeedMpsMax).Draw(t, "speed"),
		AccLong: optional(-100, 100, "long"), AccLat: optional(-100, 100, "lat"), OdometerM: optional(0, OdometerMax, "odometer"),
		LimitMps: optional(0, 50, "limit"), HeadingDeg: optional(0, 360, "heading"),
	}
	if rapid.Bool().Draw(t, "position?") {
		r.Lat = new(rapid.Float64Range(-90, 90).Draw(t, "lat"))
		r.Lon = new(rapid.Float64Range(-180, 180).Draw(t, "lon"))
	}
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b, err := r.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseJSON(b)
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v became %+v", r, got)
		}
	})
}

// checkParsed is what every parser promises: a valid record, or a rejection with a listed reason.
func checkParsed(t *testing.T, r Record, err error) {
	t.Helper()
	if err == nil {
		if err := r.Validate(); err != nil {
			t.Fatalf("an invalid record was taken: %v", err)
		}
		return
	}
	var rejection *Rejection
	if !errors.As(err, &rejection) {
		t.Fatalf("%v is not a rejection", err)
	}
	for _, listed := range Reasons {
		if listed.Reason == rejection.Reason {
			return
		}
	}
	t.Fatalf("reason %q is not listed", rejection.Reason)
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977"))
	f.Add([]byte("ID-203216 60 5-15-2015 00:08:13 -74.006683,40.731781 "))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseLine(raw, newYork)
		checkParsed(t, r, err)
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"v":1,"device_id":"a","ts_ms":1,"speed_mps":1,"lat":1,"lon":2,"ignition":true}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseJSON(raw)
		checkParsed(t, r, err)
	})
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte("A;-49,23446;-25,451837;26/8/2019;26/8/2019;22:17:28;5;A05;19:17:28;0;0;1;1;0;0,1609;0,044704;0;3050197;Yes;No;Not carpooling;Not carpooling;Yes;No;0;0;;;Curitiba;JARDIM;NPI;NPI;NPI;NPI"))
	f.Add([]byte("1,1558644851,1558644851,-95.98425293,41.25786972,349.79,270.88,3,4,2.68,2.5,0.98,30.46,gps,0.008,-0.174,-0.04,1.191,NA,,0.94,1.38,-0.31,271.19,0.192,-0.042,0.96,-2.44,-11.31,NA,NA,0.096,54,270.88,147.25"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseNDSBR(raw)
		checkParsed(t, r, err)
		r, err = ParseDrivePlotR(raw)
		checkParsed(t, r, err)
	})
}
