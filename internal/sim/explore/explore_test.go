package explore

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// report logs what a search has found, and how fast.
func report(t *testing.T, r Result, took time.Duration) {
	t.Helper()
	t.Logf("%d states, depth %d, complete: %v, %.0f a second", r.States, r.Depth, r.Complete, float64(r.States)/took.Seconds())
	if r.Broken == "" {
		return
	}
	t.Log(r.Broken)
	for i, s := range r.Trace {
		t.Logf("%2d. %v", i+1, s)
	}
}

func search(t *testing.T, o Options) Result {
	t.Helper()
	begin := time.Now()
	r := Search(o)
	report(t, r, time.Since(begin))
	return r
}

// bounds are the searches of the full protocol. The first are complete within their bounds.
var bounds = map[string]Options{
	"killed, promptly":        {Prompt: true, Records: 1, Kills: 1, Fences: 1},
	"power lost, promptly":    {Prompt: true, Records: 1, PowerLosses: 1, Fences: 1},
	"not flushed, promptly":   {Prompt: true, FlushOS: true, Records: 1, PowerLosses: 2, Fences: 1},
	"lagging, promptly":       {Prompt: true, Records: 1, Kills: 1, Lags: 1, Duplicates: 1},
	"two records":             {Records: 2, Kills: 2, Lags: 1},
	"two records, power lost": {Records: 2, PowerLosses: 1, Kills: 1, Fences: 1, Lags: 1, Duplicates: 1},
	"not flushed":             {FlushOS: true, Records: 2, PowerLosses: 1, Fences: 2, Lags: 1},
	"corrupt, promptly":       {Prompt: true, Records: 1, Rots: 2, Kills: 1, Lags: 1, Fences: 1},
	"corrupt":                 {Records: 1, Rots: 1, Fences: 1, Lags: 1, Duplicates: 1},
}

// TestExploreFullProtocol looks for a loss where there must be none. LOGBAHN_EXPLORE_STATES is how many states each search
// may look at.
func TestExploreFullProtocol(t *testing.T) {
	states := 15_000
	if env := os.Getenv("LOGBAHN_EXPLORE_STATES"); env != "" {
		n, err := strconv.Atoi(env)
		if err != nil {
			t.Fatalf("LOGBAHN_EXPLORE_STATES: %v", err)
		}
		states = n
	}
	for name, o := range bounds {
		t.Run(name, func(t *testing.T) {
			o.StatesMax = states
			if r := search(t, o); r.Broken != "" {
				t.Error(r.Broken)
			}
		})
	}
}

// weakened are rules left out, each with bounds within which records must be lost.
var weakened = map[string]Options{
	"truncation to the high watermark (KIP-101)": {Weakened: TruncatesToHighWatermark, Prompt: true, Records: 1, Kills: 2, Lags: 1},
	"a leader that restarts in its epoch":        {Weakened: KeepsEpoch, Records: 2, PowerLosses: 1},
	"no flush and no ELR (KIP-966)":              {Weakened: NoELR, Prompt: true, FlushOS: true, Records: 1, PowerLosses: 1, Fences: 2},
	"corrupt records dropped unasked":            {Weakened: ForgetsUnasked, Prompt: true, Records: 1, Rots: 1, Fences: 1},
	"no flush and no broker epochs (KIP-903)":    {Weakened: NoBrokerEpochs, Prompt: true, FlushOS: true, Records: 1, PowerLosses: 2, Fences: 1},
}

// TestExploreWeakenedProtocol shows that the search finds losses.
func TestExploreWeakenedProtocol(t *testing.T) {
	for name, o := range weakened {
		t.Run(name, func(t *testing.T) {
			o.StatesMax = 1_000_000
			if r := search(t, o); r.Broken == "" {
				t.Error("no record was lost, although the rule was left out")
			}
		})
	}
}

// TestExploreWalks goes far into the full protocol, by seed. LOGBAHN_EXPLORE_SEEDS=from:to chooses the seeds.
func TestExploreWalks(t *testing.T) {
	from, to := seeds(t)
	for name, o := range map[string]Options{
		"flushed":                 {Records: 8, Kills: 6, PowerLosses: 6, Fences: 6, Lags: 6, Duplicates: 4},
		"corrupt":                 {Records: 8, Rots: 6, Kills: 4, Fences: 6, Lags: 6, Duplicates: 4},
		"not flushed, power lost": {FlushOS: true, Records: 8, PowerLosses: 2, Fences: 6, Lags: 6, Duplicates: 4},
		"not flushed, killed":     {FlushOS: true, Records: 8, Kills: 2, PowerLosses: 1, Fences: 6, Lags: 6, Duplicates: 4},
	} {
		t.Run(name, func(t *testing.T) {
			steps, begin := 0, time.Now()
			for seed := from; seed < to; seed++ {
				r := Walk(o, seed, 300)
				steps += r.States
				if r.Broken != "" {
					report(t, r, time.Since(begin))
					t.Fatalf("seed %d; again with LOGBAHN_EXPLORE_SEEDS=%d:%d go test -run %s ./internal/sim/explore/", seed, seed, seed+1, t.Name())
				}
			}
			t.Logf("seeds %d to %d: %d steps, %.0f a second", from, to, steps, float64(steps)/time.Since(begin).Seconds())
		})
	}
}

func seeds(t *testing.T) (from, to uint64) {
	env := os.Getenv("LOGBAHN_EXPLORE_SEEDS")
	if env == "" {
		return 0, 200
	}
	if n, err := fmt.Sscanf(strings.TrimSpace(env), "%d:%d", &from, &to); n != 2 || err != nil {
		t.Fatalf("LOGBAHN_EXPLORE_SEEDS=%q is not from:to", env)
	}
	return from, to
}
