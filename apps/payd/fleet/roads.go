package fleet

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// Class is a class of road.
type Class string

// The classes, from the fastest.
const (
	Trunk    Class = "trunk"
	Arterial Class = "arterial"
	Street   Class = "street"
)

// Road is one road of the town, for a map.
type Road struct {
	Class    Class
	LimitKmh int
	Points   []trip.Point
}

// The town lies in the Atlantic, so that no real road can be meant.
var centre = trip.Point{Lat: 45, Lon: -30}

// Shape of the town: a bent grid of streets, every fourth one an arterial, a ring of trunk road around it, and
// villages outside.
const (
	columns, rows = 19, 13
	blockM        = 300.0
	pieceM        = 150.0 // longest stretch between two points of a road
	arterialEvery = 4
	ringNodes     = 28
	streetsKept   = 0.72
	villages      = 5
)

type xy struct{ x, y float64 } // metres east and north of the centre

func (p xy) minus(q xy) xy         { return xy{p.x - q.x, p.y - q.y} }
func (p xy) length() float64       { return math.Hypot(p.x, p.y) }
func (p xy) to(q xy, f float64) xy { return xy{p.x + (q.x-p.x)*f, p.y + (q.y-p.y)*f} }

const metresPerDegree = 111_195.0

func (p xy) point() trip.Point {
	return trip.Point{
		Lat: centre.Lat + p.y/metresPerDegree,
		Lon: centre.Lon + p.x/(metresPerDegree*math.Cos(centre.Lat*math.Pi/180)),
	}
}

func place(p trip.Point) xy {
	return xy{
		x: (p.Lon - centre.Lon) * metresPerDegree * math.Cos(centre.Lat*math.Pi/180),
		y: (p.Lat - centre.Lat) * metresPerDegree,
	}
}

type edge struct {
	from, to int
	class    Class
	limit    float64 // m/s
	shape    []xy    // between the ends, from the first to the last point
	metres   float64
}

type town struct {
	nodes []xy
	edges []edge
	out   [][]int // edges at a node, both directions
}

// newTown generates the roads. Connected: every street that is left out leaves another way.
func newTown(seed uint64) *town {
	rnd := rand.New(rand.NewPCG(seed, 0x726f616473))
	t := &town{}
	grid := t.addGrid(rnd)
	ring := t.addRing()
	t.joinRing(grid, ring)
	t.addVillages(rnd, ring)
	t.out = make([][]int, len(t.nodes))
	for i, e := range t.edges {
		t.out[e.from] = append(t.out[e.from], i)
		t.out[e.to] = append(t.out[e.to], i)
	}
	return t
}

// bend makes a grid look grown: long waves, and less order away from the middle.
func bend(p xy, rnd *rand.Rand, wander float64) xy {
	return xy{
		x: p.x + 190*math.Sin(p.y/780+0.6) + 70*math.Sin(p.x/410) + wander*rnd.NormFloat64(),
		y: p.y + 150*math.Sin(p.x/900) + 60*math.Cos(p.y/370+1) + wander*rnd.NormFloat64(),
	}
}

func (t *town) addGrid(rnd *rand.Rand) [columns][rows]int {
	var grid [columns][rows]int
	for c := range columns {
		for r := range rows {
			at := xy{(float64(c) - (columns-1)/2.0) * blockM, (float64(r) - (rows-1)/2.0) * blockM}
			wander := 34.0
			if arterialLine(c) || arterialLine(r) {
				wander = 10
			}
			grid[c][r] = t.addNode(bend(at, rnd, wander))
		}
	}
	var streets []edge
	for c := range columns {
		for r := range rows {
			if c+1 < columns {
				streets = t.addBlock(streets, grid[c][r], grid[c+1][r], arterialLine(r))
			}
			if r+1 < rows {
				streets = t.addBlock(streets, grid[c][r], grid[c][r+1], arterialLine(c))
			}
		}
	}
	t.keepStreets(streets, rnd)
	return grid
}

func arterialLine(i int) bool { return i%arterialEvery == 2 }

func (t *town) addNode(p xy) int {
	t.nodes = append(t.nodes, p)
	return len(t.nodes) - 1
}

// addBlock adds an arterial at once, and puts a street among those still to be chosen.
func (t *town) addBlock(streets []edge, from, to int, arterial bool) []edge {
	if arterial {
		t.addEdge(from, to, Arterial, 50)
		return streets
	}
	return append(streets, edge{from: from, to: to})
}

// keepStreets adds the streets without which some corner could not be reached, and most of the others.
func (t *town) keepStreets(streets []edge, rnd *rand.Rand) {
	group := make([]int, len(t.nodes))
	for i := range group {
		group[i] = i
	}
	find := func(i int) int {
		for group[i] != i {
			i = group[i]
		}
		return i
	}
	for _, e := range t.edges {
		group[find(e.from)] = find(e.to)
	}
	rnd.Shuffle(len(streets), func(i, j int) { streets[i], streets[j] = streets[j], streets[i] })
	for _, e := range streets {
		a, b := find(e.from), find(e.to)
		if a != b || rnd.Float64() < streetsKept {
			group[a] = b
			t.addEdge(e.from, e.to, Street, 30)
		}
	}
}

func (t *town) addEdge(from, to int, class Class, kmh float64, via ...xy) {
	shape := []xy{t.nodes[from]}
	for _, p := range append(via, t.nodes[to]) {
		last := shape[len(shape)-1]
		pieces := int(p.minus(last).length()/pieceM) + 1
		for k := 1; k < pieces; k++ {
			shape = append(shape, last.to(p, float64(k)/float64(pieces)))
		}
		shape = append(shape, p)
	}
	e := edge{from: from, to: to, class: class, limit: trip.Kmh(kmh), shape: shape}
	for i := 1; i < len(shape); i++ {
		e.metres += shape[i].minus(shape[i-1]).length()
	}
	t.edges = append(t.edges, e)
}

func (t *town) addRing() []int {
	ring := make([]int, ringNodes)
	for i := range ring {
		ring[i] = t.addNode(ringPoint(float64(i)))
	}
	for i := range ring {
		var via []xy
		for k := 1; k < 5; k++ {
			via = append(via, ringPoint(float64(i)+float64(k)/5))
		}
		t.addEdge(ring[i], ring[(i+1)%ringNodes], Trunk, 100, via...)
	}
	return ring
}

func ringPoint(i float64) xy {
	angle := 2 * math.Pi * i / ringNodes
	wave := 1 + 0.05*math.Sin(3*angle+1) + 0.03*math.Sin(5*angle)
	return xy{3950 * wave * math.Cos(angle), 2950 * wave * math.Sin(angle)}
}

// joinRing leads every arterial on to the nearest junction of the ring.
func (t *town) joinRing(grid [columns][rows]int, ring []int) {
	var ends []int
	for c := range columns {
		if arterialLine(c) {
			ends = append(ends, grid[c][0], grid[c][rows-1])
		}
	}
	for r := range rows {
		if arterialLine(r) {
			ends = append(ends, grid[0][r], grid[columns-1][r])
		}
	}
	for _, end := range ends {
		t.addEdge(end, t.nearest(t.nodes[end], ring), Arterial, 70)
	}
}

func (t *town) nearest(p xy, among []int) int {
	return slices.MinFunc(among, func(a, b int) int {
		return cmp.Compare(t.nodes[a].minus(p).length(), t.nodes[b].minus(p).length())
	})
}

// onRoad finds the point of a road nearest to p, and returns the rest of the road from there to its end.
func (t *town) onRoad(p xy) (rest []xy, of int) {
	best := math.Inf(1)
	for i, e := range t.edges {
		for k, q := range e.shape {
			if d := q.minus(p).length(); d < best {
				best, rest, of = d, e.shape[k:], i
			}
		}
	}
	return rest, of
}

// addVillages puts small places outside the ring, each at the end of a country road.
func (t *town) addVillages(rnd *rand.Rand, ring []int) {
	for v := range villages {
		junction := ring[(v*ringNodes/villages+2)%ringNodes]
		from := t.nodes[junction]
		out := from.to(xy{}, -(0.32 + 0.12*rnd.Float64()))
		middle := t.addNode(out)
		side := xy{-(out.y - from.y) * 0.12, (out.x - from.x) * 0.12}
		var via []xy
		for k := 1; k < 6; k++ {
			f := float64(k) / 6
			p := from.to(out, f)
			bow := math.Sin(f * math.Pi)
			via = append(via, xy{p.x + side.x*bow, p.y + side.y*bow})
		}
		t.addEdge(junction, middle, Arterial, 80, via...)
		for k := range 5 {
			angle := 2*math.Pi*float64(k)/5 + rnd.Float64()
			far := 180 + 160*rnd.Float64()
			house := t.addNode(xy{out.x + far*math.Cos(angle), out.y + far*math.Sin(angle)})
			t.addEdge(middle, house, Street, 30)
		}
	}
}

func (t *town) roads() []Road {
	out := make([]Road, len(t.edges))
	for i, e := range t.edges {
		points := make([]trip.Point, len(e.shape))
		for k, p := range e.shape {
			points[k] = p.point()
		}
		out[i] = Road{Class: e.class, LimitKmh: int(math.Round(e.limit * 3.6)), Points: points}
	}
	return out
}
