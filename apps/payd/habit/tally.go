package habit

import "slices"

// WindowDays is how far back a score looks.
const WindowDays = 90

// Tally is what was counted over some time. Adding tallies is all that is ever done to them.
type Tally struct {
	Trips       int     `json:"trips,omitempty"`
	Metres      float64 `json:"m,omitempty"`
	NightMetres float64 `json:"night_m,omitempty"`
	Seconds     float64 `json:"s,omitempty"`
	SpeedingS   float64 `json:"speeding_s,omitempty"`
	Brake       Count   `json:"brake,omitzero"`
	Accel       Count   `json:"accel,omitzero"`
	Corner      Count   `json:"corner,omitzero"`
	Guessed     int     `json:"guessed,omitempty"` // harsh events known from GPS alone, not scored
	Speedings   int     `json:"speedings,omitempty"`
}

// Count is a number of events and their weight by level.
type Count struct {
	N      int     `json:"n,omitempty"`
	Weight float64 `json:"w,omitempty"`
}

// Add adds o to t.
func (t *Tally) Add(o Tally) {
	t.Trips += o.Trips
	t.Metres += o.Metres
	t.NightMetres += o.NightMetres
	t.Seconds += o.Seconds
	t.SpeedingS += o.SpeedingS
	t.Guessed += o.Guessed
	t.Speedings += o.Speedings
	t.Brake.add(o.Brake)
	t.Accel.add(o.Accel)
	t.Corner.add(o.Corner)
}

func (c *Count) add(o Count) {
	c.N += o.N
	c.Weight += o.Weight
}

// note counts one event.
func (t *Tally) note(e *Event) {
	switch {
	case e.Kind == Speeding:
		t.Speedings++
		t.SpeedingS += e.Seconds
	case e.Measured == MeasuredGPS:
		t.Guessed++
	default:
		t.count(e.Kind).add(Count{N: 1, Weight: e.weight()})
	}
}

func (t *Tally) count(k Kind) *Count {
	switch k {
	case Brake:
		return &t.Brake
	case Accel:
		return &t.Accel
	}
	return &t.Corner
}

// Day is the tally of the trips that began on one day in the driver's zone.
type Day struct {
	Day int `json:"day"` // days since 1970-01-01
	Tally
}

// addDay adds t to its day in days, which stay in order.
func addDay(days []Day, day int, t Tally) []Day {
	at, found := slices.BinarySearchFunc(days, day, func(d Day, day int) int { return d.Day - day })
	if !found {
		days = slices.Insert(days, at, Day{Day: day})
	}
	days[at].Add(t)
	return days
}

// since sums the days from first on, and says how many there are.
func since(days []Day, first int) (sum Tally, n int) {
	for _, d := range days {
		if d.Day >= first {
			sum.Add(d.Tally)
			n++
		}
	}
	return sum, n
}
