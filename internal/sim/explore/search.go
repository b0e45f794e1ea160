package explore

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// Weakening is a rule left out, with which records must be lost.
type Weakening uint8

// The weakenings.
const (
	None Weakening = iota
	// TruncatesToHighWatermark lets a new follower cut its log to its high watermark, as Kafka did before KIP-101.
	TruncatesToHighWatermark
	// KeepsEpoch lets a leader that comes back before it was missed lead on in its epoch.
	KeepsEpoch
	// NoELR lets a broker that was not stopped pass for one that has lost nothing, whatever it acknowledges before it is on
	// disk: neither the in-sync set nor the eligible leader replicas (KIP-966) forget it.
	NoELR
	// NoBrokerEpochs takes a proposal whatever life of its members it speaks of, as before KIP-903.
	NoBrokerEpochs
	// ForgetsUnasked lets a replica with corrupt records drop them when its image has it in no set, without its leader's word.
	ForgetsUnasked
)

// Options bound a search.
type Options struct {
	Weakened Weakening
	FlushOS  bool // acknowledge before the flush; what is lost with the power is then everything of that run
	Prompt   bool // a living broker applies an image at once
	// How often there may be what in one run.
	Records, Kills, PowerLosses, Fences, Lags, Duplicates, Rots int
	// StatesMax ends a search that has not ended by itself.
	StatesMax int
}

// Result is what a search has found.
type Result struct {
	Broken   string // which invariant does not hold, "" when all do
	Trace    []Step // the shortest way there
	States   int
	Depth    int
	Complete bool // all states within the bounds were seen
}

// found is a state that was reached, without the state.
type found struct {
	parent int32
	step   Step
}

// Search looks at states breadth first, until an invariant is broken, all states are seen, or there are too many. It is
// deterministic.
func Search(o Options) Result {
	x := &explorer{options: o, control: control{flushOS: o.FlushOS}}
	first := x.begin()
	seed := maphash.MakeSeed()
	visited := map[[2]uint64]struct{}{}
	second := maphash.MakeSeed()
	var buffer []byte
	fresh := func(s *state) bool {
		buffer = s.appendState(buffer[:0])
		key := [2]uint64{maphash.Bytes(seed, buffer), maphash.Bytes(second, buffer)}
		if _, ok := visited[key]; ok {
			return false
		}
		visited[key] = struct{}{}
		return true
	}
	fresh(first)
	nodes := []found{{parent: -1}}
	level, numbers := []*state{first}, []int32{0}
	var steps []Step
	for depth := 1; len(level) > 0; depth++ {
		var next []*state
		var nextNumbers []int32
		for i, s := range level {
			if steps = x.steps(s, steps[:0]); s.given() {
				continue
			}
			for _, step := range steps {
				after := x.do(s, step)
				what := x.broken(s, after)
				if what == "" && !fresh(after) {
					continue
				}
				nodes = append(nodes, found{numbers[i], step})
				if what != "" {
					return Result{Broken: what, Trace: trace(nodes), States: len(visited), Depth: depth}
				}
				next, nextNumbers = append(next, after), append(nextNumbers, int32(len(nodes)-1))
			}
			level[i] = nil
			if len(visited) >= o.StatesMax {
				return Result{States: len(visited), Depth: depth}
			}
		}
		level, numbers = next, nextNumbers
	}
	return Result{States: len(visited), Complete: true}
}

// Walk takes steps at random, so many that it gets to depths which no breadth-first search reaches, or until an invariant
// is broken. Each walk prefers some kinds of steps and some brokers to others: what is rare in one is common in another. It
// depends on the seed only.
func Walk(o Options, seed uint64, steps int) Result {
	x := &explorer{options: o, control: control{flushOS: o.FlushOS}}
	w := newWeights(seed)
	s := x.begin()
	var taken, list []Step
	for len(taken) < steps {
		if list = x.steps(s, list[:0]); len(list) == 0 || s.given() {
			break
		}
		step := w.choose(list)
		taken = append(taken, step)
		after := x.do(s, step)
		if what := x.broken(s, after); what != "" {
			return Result{Broken: what, Trace: taken, States: len(taken), Depth: len(taken)}
		}
		s = after
	}
	return Result{States: len(taken), Depth: len(taken)}
}

// weights are what a walk prefers.
type weights struct {
	random *rand.Rand
	kinds  [kinds]int
	nodes  [brokers]int
}

func newWeights(seed uint64) *weights {
	w := &weights{random: rand.New(rand.NewPCG(seed, 0))}
	for i := range w.kinds {
		w.kinds[i] = 1 << (2 * w.random.IntN(4))
	}
	for i := range w.nodes {
		w.nodes[i] = 1 << (2 * w.random.IntN(3))
	}
	return w
}

func (w *weights) of(s Step) int {
	if s.kind.ofProposal() {
		return w.kinds[s.kind]
	}
	return w.kinds[s.kind] * w.nodes[s.at-1]
}

func (w *weights) choose(list []Step) Step {
	total := 0
	for _, s := range list {
		total += w.of(s)
	}
	at := w.random.IntN(total)
	for _, s := range list {
		if at -= w.of(s); at < 0 {
			return s
		}
	}
	panic("weights do not add up")
}

// trace is the way to the state that was found last.
func trace(nodes []found) []Step {
	var steps []Step
	for at := int32(len(nodes) - 1); nodes[at].parent >= 0; at = nodes[at].parent {
		steps = append(steps, nodes[at].step)
	}
	slices.Reverse(steps)
	return steps
}

// begin is a cluster in which everything is well and nothing is written.
func (x *explorer) begin() *state {
	img, epochs := x.control.begin()
	s := &state{
		images:  []*cluster.Image{img},
		records: x.options.Records, kills: x.options.Kills, powerLosses: x.options.PowerLosses,
		fences: x.options.Fences, lags: x.options.Lags, duplicates: x.options.Duplicates, rots: x.options.Rots,
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		n.up, n.epoch = true, epochs[i]
		n.machine = replica.New(replica.Config{Self: cluster.NodeID(i + 1), LagMaxMs: lagMs}, replica.Log{})
		x.assign(s, n, cluster.NodeID(i+1))
	}
	return s
}
