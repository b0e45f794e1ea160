//go:build !wasip1

package sim

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	seedsVar = "LOGBAHN_SIM_SEEDS" // a range, from:to; without it a few seeds are played
	// ledgerVar names the file to which what a range has shown is appended, docs/simulation-runs.tsv; without it nothing is.
	ledgerVar = "LOGBAHN_SIM_LEDGER"
)

func seedRange(t *testing.T, few uint64) (from, to uint64) {
	text := os.Getenv(seedsVar)
	if text == "" {
		return 1, 1 + few
	}
	a, b, ok := strings.Cut(text, ":")
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || from >= to {
		t.Fatalf("%s=%s: want from:to", seedsVar, text)
	}
	return from, to
}

// mix are the scenarios that count: seed n plays the one with number n modulo how many there are.
func mix() (counted []*Scenario) {
	for i := range scenarios {
		if scenarios[i].Counts {
			counted = append(counted, &scenarios[i])
		}
	}
	return counted
}

// playEach plays each scenario with a range of seeds.
func playEach(t *testing.T, r *runner, few uint64) {
	from, to := seedRange(t, few)
	for i := range scenarios {
		s := &scenarios[i]
		t.Run(s.Name, func(t *testing.T) {
			playRange(t, r, s.Name, from, to, func(uint64) *Scenario { return s })
		})
	}
}

// playMix plays a range of seeds, in which the scenarios that count take turns.
func playMix(t *testing.T, r *runner) {
	from, to := seedRange(t, 0)
	counted := mix()
	playRange(t, r, fmt.Sprintf("mix of %d", len(counted)), from, to, func(seed uint64) *Scenario { return counted[seed%uint64(len(counted))] })
}

// playRange plays a range of seeds part by part, as many at once as there are processors, and writes down what it has shown.
func playRange(t *testing.T, r *runner, name string, from, to uint64, pick func(seed uint64) *Scenario) {
	commit := commitOf()
	for ; from < to; from += r.part {
		part := tally{begin: time.Now(), from: from, to: min(from+r.part, to)}
		var running sync.WaitGroup
		next := make(chan uint64)
		for range runtime.GOMAXPROCS(0) {
			running.Go(func() {
				for seed := range next {
					s := pick(seed)
					res, cost := r.run(t, s, seed)
					part.add(s.Name, seed, res, cost)
				}
			})
		}
		for seed := part.from; seed < part.to; seed++ {
			next <- seed
		}
		close(next)
		running.Wait()
		t.Logf("%s: seeds %d:%d, %.2f seeds per second, %.2f s of processor time each", name, part.from, part.to, part.rate(), part.cost())
		part.write(t, commit, r.how, name)
	}
}

// tally is what a part of a range has shown.
type tally struct {
	begin    time.Time
	from, to uint64

	mu      sync.Mutex
	ops     int // of a run, at least
	faults  int
	elapsed time.Duration
	failed  []string
	some    bool
	spent   time.Duration // processor time of all runs
}

// add takes a run in; without a result it has failed.
func (y *tally) add(scenario string, seed uint64, res *Result, cost time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.spent += cost
	switch {
	case res == nil:
		y.failed = append(y.failed, fmt.Sprintf("%s:%d", scenario, seed))
	case !y.some:
		y.some, y.ops, y.faults, y.elapsed = true, res.Ops, res.Faults, res.Elapsed
	default:
		y.ops, y.faults, y.elapsed = min(y.ops, res.Ops), min(y.faults, res.Faults), min(y.elapsed, res.Elapsed)
	}
}

func (y *tally) rate() float64 { return float64(y.to-y.from) / time.Since(y.begin).Seconds() }

// cost is the processor time of a run, in seconds.
func (y *tally) cost() float64 { return y.spent.Seconds() / float64(y.to-y.from) }

// write appends a line to the list of ranges, if there is one.
func (y *tally) write(t *testing.T, commit, how, name string) {
	file := os.Getenv(ledgerVar)
	if file == "" {
		return
	}
	failed := "none"
	if len(y.failed) > 0 {
		failed = strings.Join(y.failed, ",")
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%s\t%d:%d\t%d\t%d\t%d\t%d\t%.2f\t%.2f\t%s\n", y.begin.UTC().Format("2006-01-02T15:04Z"), commit, how, name,
		y.from, y.to, y.to-y.from, y.ops, y.faults, int(y.elapsed.Seconds()), y.rate(), y.cost(), failed)
	if err != nil {
		t.Fatal(err)
	}
}

// commitOf names the commit that is played, with a + when files of Go differ from it, or says that it is not known.
func commitOf() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	commit := strings.TrimSpace(string(out))
	if exec.Command("git", "diff", "--quiet", "HEAD", "--", ":/*.go", ":/go.mod").Run() != nil {
		commit += "+"
	}
	return commit
}
