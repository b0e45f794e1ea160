//go:build !wasip1

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// raceVar, when not empty, plays with the race detector.
const raceVar = "LOGBAHN_SIM_RACE"

// The real time that one run may take; a run that hangs waits for a lock whose owner waits for time to pass.
const (
	runMax     = 2 * time.Minute
	runWasmMax = 15 * time.Minute // of both plays: they take ten times the processor time each
)

// runner plays runs somewhere.
type runner struct {
	target string // of make: it plays a run again
	how    string // in the list of ranges
	// part is how many seeds of a range are written down at once: one that was broken off goes on behind its last line.
	part    uint64
	longest time.Duration // that a run may take
	play    player
}

// player plays one run, and returns what it wrote, and the processor time that it has taken, 0 where nobody knows.
type player func(ctx context.Context, scenario string, seed uint64) (output []byte, cost time.Duration, err error)

// run plays one run, which the test fails with, and returns its result, nil when it failed, and what it has cost.
func (r *runner) run(t *testing.T, s *Scenario, seed uint64) (*Result, time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), r.longest)
	defer cancel()
	output, cost, err := r.play(ctx, s.Name, seed)
	res := new(Result)
	if err == nil {
		res, err = resultOf(output)
	}
	if err == nil && s.Counts && res.Lacks() != "" {
		err = fmt.Errorf("%s", res.Lacks())
	}
	if err != nil {
		t.Errorf("%s\n%v\nagain with: make %s LEDGER= SCENARIO=%s SEEDS=%d:%d", output, err, r.target, s.Name, seed, seed+1)
		return nil, cost
	}
	t.Log(res)
	return res, cost
}

func resultOf(output []byte) (*Result, error) {
	_, line, found := bytes.Cut(output, []byte(resultMark))
	if !found {
		return nil, fmt.Errorf("no line with %q", resultMark)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	res := new(Result)
	return res, json.Unmarshal(line, res)
}

// TestScenarios plays every scenario natively, each seed in a process of its own.
func TestScenarios(t *testing.T) {
	if testing.Short() && os.Getenv(seedsVar) == "" {
		t.Skip("plays every scenario; not with -short")
	}
	playEach(t, native(t), 1)
}

// TestMix plays a range of seeds of all scenarios that count.
func TestMix(t *testing.T) {
	if os.Getenv(seedsVar) == "" {
		t.Skipf("plays a range of seeds: make sim sets %s", seedsVar)
	}
	playMix(t, native(t))
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
			output, _, err := run.play(t.Context(), s.Name, seed)
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

// garbage is GOGC of a run: its live memory is small, and what it throws away in a second is many times that.
const garbage = "800"

// native returns a runner that plays in a process of its own.
func native(t *testing.T) *runner {
	r := &runner{target: "sim", how: "native", part: 500, longest: runMax}
	var flags, env []string
	if os.Getenv(raceVar) != "" {
		flags, r.how, r.target = append(flags, "-race"), "race", "sim RACE=1"
		env = append(env, "GOMAXPROCS=1") // timers of a bubble on two processors crash the race detector: go.dev/issue/78156
	}
	binary := build(t, "sim.test", nil, flags...)
	r.play = func(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
		cmd := exec.CommandContext(ctx, binary, "-test.run=^TestPlay$", fmt.Sprintf("-test.timeout=%v", runMax-5*time.Second))
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", playVar, scenario, seed), "GOGC="+garbage)
		cmd.Env = append(cmd.Env, env...)
		return output(cmd)
	}
	return r
}

// output runs a process that plays one run.
func output(cmd *exec.Cmd) ([]byte, time.Duration, error) {
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil { // it has not begun
		return text, 0, err
	}
	return text, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
}
