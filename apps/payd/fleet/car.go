package fleet

import (
	"math"
	"math/rand/v2"
)

// style is how someone drives. Temper 0 is calm and 1 aggressive.
type style struct {
	speedFactor float64 // of the limit
	accel       float64 // comfortable, m/s2
	brake       float64
	lateral     float64
	hardBrakeM  float64 // chance of a hard brake per metre
	hardStart   float64 // chance per start from standstill
	hardCorner  float64 // chance per turn
}

func styleOf(temper float64) style {
	square := temper * temper
	return style{
		speedFactor: 0.93 + 0.17*temper + 0.06*square,
		accel:       1.2 + 0.9*temper,
		brake:       1.5 + 0.9*temper,
		lateral:     1.6 + 1.0*temper,
		hardBrakeM:  (0.2 + 14*square) / 100_000,
		hardStart:   0.001 + 0.10*square,
		hardCorner:  0.001 + 0.07*square,
	}
}

// temperWord is a driver's nature in a word.
func temperWord(temper float64) string {
	switch {
	case temper < 0.34:
		return "calm"
	case temper < 0.7:
		return "normal"
	}
	return "aggressive"
}

// Times a parked car reports: when the ignition goes off, and once more so that the trip is known to be over.
const secondReportS = 35

// car is one simulated car and its driver.
type car struct {
	device   string
	temper   float64
	style    style
	nightOwl float64 // 0 to 1: how gladly they drive at night
	rnd      *rand.Rand

	node     int // where it is parked, or where its way leads
	way      *way
	stretch  int
	s, v     float64 // metres along the way, m/s
	waitS    int
	parkedS  int // seconds since it parked
	leaveS   int // seconds to stay
	hardS    int // seconds left of a hard brake or start
	hard     float64
	seq      int64
	odometer float64
	rest     []xy // after a restart: what is left of the road restOf
	restOf   int
	underway bool // when the simulation stopped
	at       xy
	heading  float64
}

// begin starts a trip to some place at least a kilometre away.
func (c *car) begin(t *town) {
	from := c.node
	to := c.rnd.IntN(len(t.nodes))
	for range 20 {
		if t.nodes[to].minus(t.nodes[from]).length() > 1000 {
			break
		}
		to = c.rnd.IntN(len(t.nodes))
	}
	if to == from {
		to = (from + 1) % len(t.nodes)
	}
	c.way = &way{}
	if len(c.rest) > 1 {
		c.way.add(c.rest, t.edges[c.restOf], c.style, c.rnd)
	}
	c.rest = nil
	t.route(c.way, from, to, c.style, c.rnd)
	c.node = to
	c.stretch, c.s, c.v, c.waitS, c.hardS = 0, 0, 0, 0, 0
	c.startHard()
}

// startHard makes some starts from standstill hard ones.
func (c *car) startHard() {
	if c.rnd.Float64() < c.style.hardStart {
		c.hardS, c.hard = 2, 2.6+1.4*c.rnd.Float64()
	}
}

// motion is what one second of driving was like.
type motion struct{ long, lat float64 }

// drive moves the car by one second. done says that it has arrived.
func (c *car) drive() (m motion, done bool) {
	if c.waitS > 0 {
		if c.waitS--; c.waitS == 0 {
			c.startHard()
		}
		return motion{}, false
	}
	a := c.acceleration()
	v := max(c.v+a, 0)
	step := (c.v + v) / 2
	m.long = v - c.v
	passed := c.stretch
	c.s += step
	c.odometer += step
	c.v = v
	c.at, c.heading, c.stretch = c.way.position(c.s, c.stretch)
	m.lat = c.lateral(passed)
	return m, c.arrive()
}

// arrive handles standing still: at the destination, or at a place to wait.
func (c *car) arrive() bool {
	end := c.way.metres()
	if c.s >= end-3 && c.v < 3 || c.s >= end {
		c.v = 0
		return true
	}
	if next := c.stretch + 1; c.v < 1.5 && c.way.stopS[next] > 0 && c.way.at[next]-c.s < 8 {
		c.v, c.waitS = 0, c.way.stopS[next]
		c.way.stopS[next] = 0
		c.way.speed[next] = math.Inf(1)
	}
	return false
}

// acceleration is what the driver does for the next second: towards the allowed speed, braking in time for the next
// bends and stops, and now and then hard.
func (c *car) acceleration() float64 {
	if c.hardS > 0 {
		c.hardS--
		if c.hard < 0 || c.v < c.way.wish[c.stretch] {
			return c.hard
		}
	}
	if c.v > 8 && c.rnd.Float64() < c.style.hardBrakeM*c.v {
		c.hardS, c.hard = c.rnd.IntN(2), -(3.1 + 2.6*c.rnd.Float64()*c.rnd.Float64())
		return c.hard
	}
	target := c.way.wish[c.stretch]
	for i := c.stretch + 1; i < len(c.way.at); i++ {
		ahead := c.way.at[i] - c.s - c.v/2
		if ahead > 300 {
			break
		}
		allowed := min(c.way.speed[i], c.way.wish[i])
		target = min(target, math.Sqrt(allowed*allowed+2*c.style.brake*max(ahead, 0)))
	}
	if creeping := c.v < 2 && target < 2; creeping {
		target = 2
	}
	return min(max(target-c.v, -min(c.style.brake*1.25, 2.8)), c.style.accel)
}

// lateral returns the peak across the car of the bends passed in the last second.
func (c *car) lateral(from int) float64 {
	var peak float64
	for i := from + 1; i <= c.stretch; i++ {
		if r := c.way.radius[i]; r > 0 {
			side := 1.0
			if c.rnd.IntN(2) == 0 {
				side = -1
			}
			speed := min(c.v, c.way.speed[i]*1.02)
			if lat := speed * speed / r; lat > math.Abs(peak) {
				peak = side * min(lat, 6)
			}
		}
	}
	return peak
}
