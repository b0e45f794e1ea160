//go:build !wasip1

package sim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/sim/check"
)

const (
	seedsVar = "LOGBAHN_SIM_SEEDS" // a range, from:to, for the scenarios that -run picks; without it a few are played
	raceVar  = "LOGBAHN_SIM_RACE"  // not empty: with the race detector
)

// runMax is the real time that one run may take; a run that hangs waits for a lock whose owner waits for time to pass.
const runMax = time.Minute

// runner plays one run somewhere, and returns what it wrote.
type runner func(ctx context.Context, scenario string, seed uint64) (output []byte, err error)

func seedRange(t *testing.T, few uint64) (from, to uint64) {
	text := os.Getenv(seedsVar)
	if text == "" {
		return 1, 1 + few
	}
	a, b, ok := strings.Cut(text, ":")
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		t.Fatalf("%s=%s: want from:to", seedsVar, text)
	}
	return from, to
}

// TestScenarios plays every scenario natively, each seed in a process of its own.
func TestScenarios(t *testing.T) {
	if testing.Short() && os.Getenv(seedsVar) == "" {
		t.Skip("plays every scenario; not with -short")
	}
	playAll(t, "sim", 1, native(t))
}

// TestWeakIsFound: what does not sync loses, and the checkers say so.
func TestWeakIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("plays scenarios; not with -short")
	}
	run := native(t)
	for _, s := range Weak {
		const seedsMax = 5
		for seed := uint64(1); ; seed++ {
			output, err := run(t.Context(), s.Name, seed)
			if err != nil && bytes.Contains(output, []byte("ANOMALY: "+string(check.Lost))) {
				t.Logf("%s is found to lose with seed %d", s.Name, seed)
				break
			}
			if seed == seedsMax {
				t.Fatalf("%s: nothing found with %d seeds; the last:\n%s", s.Name, seedsMax, output)
			}
		}
	}
}

// playAll plays each scenario with a range of seeds, as many at once as there are processors.
func playAll(t *testing.T, target string, few uint64, run runner) {
	from, to := seedRange(t, few)
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			if s.Apart != "" && os.Getenv(seedsVar) == "" {
				t.Skip("seeds have to be asked for: " + s.Apart)
			}
			begin := time.Now()
			var running sync.WaitGroup
			next := make(chan uint64)
			for range runtime.GOMAXPROCS(0) {
				running.Go(func() {
					for seed := range next {
						playOne(t, target, run, s.Name, seed)
					}
				})
			}
			for seed := from; seed < to; seed++ {
				next <- seed
			}
			close(next)
			running.Wait()
			t.Logf("%s: seeds %d:%d, %.2f seeds per second", s.Name, from, to, float64(to-from)/time.Since(begin).Seconds())
		})
	}
}

func playOne(t *testing.T, target string, run runner, scenario string, seed uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), runMax)
	defer cancel()
	output, err := run(ctx, scenario, seed)
	if err != nil {
		t.Errorf("%s\n%v\nagain with: make %s SCENARIO=%s SEEDS=%d:%d", output, err, target, scenario, seed, seed+1)
		return
	}
	if _, line, ok := bytes.Cut(output, []byte(resultMark)); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		t.Log(string(line))
	}
}

// build compiles this package's tests for somewhere.
func build(t *testing.T, name string, env []string, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", append(append([]string{"test", "-c", "-tags", buildTags, "-o", binary}, flags...), ".")...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// native returns a runner that plays in a process of its own.
func native(t *testing.T) runner {
	var flags []string
	if os.Getenv(raceVar) != "" {
		flags = append(flags, "-race")
	}
	binary := build(t, "sim.test", nil, flags...)
	return func(ctx context.Context, scenario string, seed uint64) ([]byte, error) {
		cmd := exec.CommandContext(ctx, binary, "-test.run=^TestPlay$", fmt.Sprintf("-test.timeout=%v", runMax-5*time.Second))
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", playVar, scenario, seed))
		return cmd.CombinedOutput()
	}
}
