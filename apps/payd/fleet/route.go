package fleet

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
)

// way is the line that a car follows to its destination, with what the driver will do on it.
type way struct {
	points []xy
	at     []float64 // metres from the start, per point
	posted []float64 // m/s, the limit of the stretch after a point
	wish   []float64 // m/s, how fast the driver would go there
	speed  []float64 // m/s at most at the point, as this driver takes it
	radius []float64 // metres of the curve at the point; 0 for straight on
	stopS  []int     // seconds to stand at the point
}

func (w *way) metres() float64 { return w.at[len(w.at)-1] }

// position returns the place and the heading (degrees from north, clockwise) at s metres, and the stretch it is on.
func (w *way) position(s float64, from int) (p xy, heading float64, stretch int) {
	i := from
	for i+2 < len(w.at) && w.at[i+1] <= s {
		i++
	}
	a, b := w.points[i], w.points[i+1]
	d := b.minus(a)
	heading = math.Mod(math.Atan2(d.x, d.y)*180/math.Pi+360, 360)
	length := w.at[i+1] - w.at[i]
	if length == 0 {
		return a, heading, i
	}
	return a.to(b, min(max((s-w.at[i])/length, 0), 1)), heading, i
}

// route finds the quickest way between two nodes and lets the driver's style shape it. w is how the car gets to the
// first of them.
func (t *town) route(w *way, from, to int, s style, rnd *rand.Rand) {
	edges := t.quickest(from, to)
	node := from
	for _, i := range edges {
		e := t.edges[i]
		shape := e.shape
		next := e.to
		if e.from != node {
			shape = slices.Clone(shape)
			slices.Reverse(shape)
			next = e.from
		}
		w.add(shape, e, s, rnd)
		node = next
	}
	w.curves(s, rnd)
	last := len(w.points) - 1
	w.speed[last] = 0
}

// add appends an edge's shape. The point that it shares with the edge before is a junction.
func (w *way) add(shape []xy, e edge, s style, rnd *rand.Rand) {
	wish := e.limit * s.speedFactor * (1 + 0.04*rnd.NormFloat64())
	for i, p := range shape {
		if i == 0 && len(w.points) > 0 {
			w.junction(e, s, rnd)
			continue
		}
		at := 0.0
		if n := len(w.points); n > 0 {
			at = w.at[n-1] + p.minus(w.points[n-1]).length()
			w.posted[n-1], w.wish[n-1] = e.limit, wish
		}
		w.points = append(w.points, p)
		w.at = append(w.at, at)
		w.posted = append(w.posted, e.limit)
		w.wish = append(w.wish, wish)
		w.speed = append(w.speed, math.Inf(1))
		w.radius = append(w.radius, 0)
		w.stopS = append(w.stopS, 0)
	}
}

// junction decides whether the car has to wait: at lights on arterials, giving way on streets.
func (w *way) junction(e edge, s style, rnd *rand.Rand) {
	n := len(w.points) - 1
	chance := map[Class]float64{Street: 0.10, Arterial: 0.16, Trunk: 0}[e.class]
	if rnd.Float64() < chance {
		w.stopS[n] = 3 + rnd.IntN(20)
		w.speed[n] = 0
	}
}

// curves sets the speed at which the driver takes each bend, now and then faster than is comfortable.
func (w *way) curves(s style, rnd *rand.Rand) {
	const junctionM = 11.0 // how far before a junction a turn begins
	for i := 1; i+1 < len(w.points); i++ {
		before, after := w.points[i].minus(w.points[i-1]), w.points[i+1].minus(w.points[i])
		angle := math.Abs(math.Remainder(math.Atan2(after.x, after.y)-math.Atan2(before.x, before.y), 2*math.Pi))
		if angle < 0.03 {
			continue
		}
		tangent := junctionM
		if angle < 0.5 {
			tangent = min(before.length(), after.length()) / 2
		}
		w.radius[i] = tangent / math.Tan(angle/2)
		lateral := s.lateral * (0.85 + 0.3*rnd.Float64())
		if angle > 0.6 && rnd.Float64() < s.hardCorner {
			lateral = 3.7 + 1.6*rnd.Float64()
		}
		w.speed[i] = min(w.speed[i], math.Sqrt(min(lateral, 6)*w.radius[i]))
	}
}

// quickest is Dijkstra's algorithm by time at the limits.
func (t *town) quickest(from, to int) []int {
	cost := make([]float64, len(t.nodes))
	via := make([]int, len(t.nodes))
	for i := range cost {
		cost[i], via[i] = math.Inf(1), -1
	}
	cost[from] = 0
	open := &frontier{{from, 0}}
	for open.Len() > 0 {
		at := heap.Pop(open).(reached)
		if at.node == to {
			break
		}
		if at.cost > cost[at.node] {
			continue
		}
		for _, i := range t.out[at.node] {
			e := t.edges[i]
			next := e.from + e.to - at.node
			if c := at.cost + e.metres/e.limit; c < cost[next] {
				cost[next], via[next] = c, i
				heap.Push(open, reached{next, c})
			}
		}
	}
	var edges []int
	for node := to; node != from && via[node] >= 0; {
		edges = append(edges, via[node])
		e := t.edges[via[node]]
		node = e.from + e.to - node
	}
	slices.Reverse(edges)
	return edges
}

type reached struct {
	node int
	cost float64
}

type frontier []reached

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return f[i].cost < f[j].cost }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(reached)) }
func (f *frontier) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
