package habit

import "math"

// Model names the formula and values below; it is written into every score.
const Model = "payd-1"

// Part is one of the things a score is made of.
type Part struct {
	Name   string  `json:"name"`
	Rate   float64 `json:"rate"` // in the part's own unit
	Unit   string  `json:"unit"`
	Score  float64 `json:"score"`  // 0 to 100
	Weight float64 `json:"weight"` // the weights sum to 1
}

// PartModel holds a part's values. They are ILLUSTRATIVE: no open data joins driving with claims, so nobody outside an
// insurer can fit them. Decay is the rate at which a part's score has fallen to 37; Reference is the rate of an
// ordinary driver, at which a part neither raises nor lowers the premium.
type PartModel struct {
	Name, Unit       string
	Weight           float64
	Decay, Reference float64
}

// The parts of the score. The names and the exponential form are those of the field (CMT's five-part score, with
// night in the place of the phone, which these devices do not see).
var PartModels = []PartModel{
	{Name: "braking", Unit: "per 100 km", Weight: 0.30, Decay: 12, Reference: 3.5},
	{Name: "acceleration", Unit: "per 100 km", Weight: 0.15, Decay: 12, Reference: 3.5},
	{Name: "cornering", Unit: "per 100 km", Weight: 0.20, Decay: 12, Reference: 3.5},
	{Name: "speeding", Unit: "% of driving time", Weight: 0.25, Decay: 12, Reference: 3.5},
	{Name: "night", Unit: "% of km, 0 to 4 h", Weight: 0.10, Decay: 20, Reference: 5},
}

// priorKm is how many kilometres of an ordinary driver everyone starts with, so that one event on the first
// kilometre is not a verdict. Illustrative.
const priorKm = 50

// ReferenceScore returns the score of the ordinary driver for a part.
func (m PartModel) ReferenceScore() float64 { return m.score(m.Reference) }

func (m PartModel) score(rate float64) float64 { return 100 * math.Exp(-rate/m.Decay) }

// Summary is the state of a driver as others need it: totals and scores, and no raw data. It is absolute, so a newer
// one replaces an older one and writing it twice is harmless.
type Summary struct {
	Device        string   `json:"device_id"`
	Model         string   `json:"model"`
	Profile       string   `json:"profile"`
	Source        string   `json:"source"`
	TimeMs        int64    `json:"ts_ms"`          // the newest record behind it; 0 when there is only history
	Days          int      `json:"days"`           // calendar days that the window spans
	SimulatedDays int      `json:"simulated_days"` // of them from simulated history
	Score         float64  `json:"score"`
	Parts         []Part   `json:"parts"`
	Window        Tally    `json:"window"`
	Counters      Counters `json:"counters"`
	HarshRows     int64    `json:"harsh_rows"`
	LimitRows     int64    `json:"limit_rows"`
	OverRows      int64    `json:"over_rows"`
	Driving       bool     `json:"driving"`
}

// Km returns the kilometres of the window.
func (s *Summary) Km() float64 { return s.Window.Metres / 1000 }

// Summary returns what the driver's records say up to now.
func (d *Driver) Summary(p Profile) Summary {
	window, days, simulated := d.Window(p)
	score, parts := Score(window)
	counters := d.Counters
	if open := d.Track.Open; open != nil {
		counters.Drives++
		counters.GPSM += open.GPSM
		counters.OdometerM += open.OdometerM
	}
	return Summary{
		Device: d.Device, Model: Model, Profile: p.Name, Source: d.Source, TimeMs: d.LastMs,
		Days: days, SimulatedDays: simulated, Score: score, Parts: parts, Window: window, Counters: counters,
		HarshRows: d.Detect.Harsh, LimitRows: d.Detect.Limited, OverRows: d.Detect.OverRows,
		Driving: d.Track.Open != nil,
	}
}

// Score turns a tally into a score and its parts: S_k = 100 exp(-r_k / r0_k), S = sum of w_k S_k.
func Score(t Tally) (float64, []Part) {
	parts := make([]Part, len(PartModels))
	var total float64
	for i, m := range PartModels {
		rate := m.rate(t)
		parts[i] = Part{Name: m.Name, Rate: rate, Unit: m.Unit, Score: m.score(rate), Weight: m.Weight}
		total += m.Weight * parts[i].Score
	}
	return total, parts
}

// rate mixes what was measured with priorKm of the ordinary driver, at an ordinary 40 km/h.
func (m PartModel) rate(t Tally) float64 {
	const priorSeconds = priorKm / 40.0 * 3600
	km := t.Metres / 1000
	var amount, exposure float64
	switch m.Name {
	case "braking":
		amount, exposure = t.Brake.Weight, km
	case "acceleration":
		amount, exposure = t.Accel.Weight, km
	case "cornering":
		amount, exposure = t.Corner.Weight, km
	case "speeding":
		return mix(t.SpeedingS, t.Seconds, m.Reference, priorSeconds)
	case "night":
		amount, exposure = t.NightMetres/1000, km
	}
	return mix(amount, exposure, m.Reference, priorKm)
}

func mix(amount, exposure, reference, prior float64) float64 {
	return (100*amount + reference*prior) / (exposure + prior)
}
