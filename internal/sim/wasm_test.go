//go:build !wasip1

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wasmVar asks for the runs under wazero; what has been compiled is kept in the directory that it names.
const wasmVar = "LOGBAHN_SIM_WASM"

// wasmtimeVar names the program of wasmtime/, which plays such runs three times as fast.
const wasmtimeVar = "LOGBAHN_SIM_WASMTIME"

// twiceVar says which runs are played twice: of each scenario one in so many; without it each.
const twiceVar = "LOGBAHN_SIM_TWICE"

// adaptiveStacks has goroutines begin with the stack that they use on average: growing stacks is dear in WebAssembly.
const adaptiveStacks = "adaptivestackstart=1"

// wasmArgs are the arguments of a module that plays one run.
var wasmArgs = []string{"sim.test", "-test.run=^TestPlay$", "-test.timeout=1h"}

// buildWasm compiles this package's tests to a module, and returns its file.
func buildWasm(t *testing.T) string {
	return build(t, "sim.wasm", []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS="}, "-ldflags=-s -w")
}

// machine is this package's tests as a WebAssembly module: one thread, and nothing from outside but a seeded source of
// randomness and a clock that is a function of how often it was read.
type machine struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

func compile(t *testing.T, cacheDir string) *machine {
	t.Helper()
	code, err := os.ReadFile(buildWasm(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx := experimental.WithCompilationWorkers(t.Context(), 2)
	config := wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(false)
	if cacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			t.Fatal(err)
		}
		config = config.WithCompilationCache(cache)
	}
	m := &machine{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	t.Cleanup(func() { _ = m.runtime.Close(context.WithoutCancel(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, m.runtime)
	if m.module, err = m.runtime.CompileModule(ctx, code); err != nil {
		t.Fatal(err)
	}
	return m
}

// play is a runner. A run that does not end by itself does not end.
func (m *machine) play(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
	var out bytes.Buffer
	nanoseconds := int64(1e18)
	tick := func() int64 {
		nanoseconds += 1000
		return nanoseconds
	}
	module, err := m.runtime.InstantiateModule(ctx, m.module, wazero.NewModuleConfig().WithName("").
		WithArgs(wasmArgs...).WithEnv(playVar, fmt.Sprintf("%s:%d", scenario, seed)).WithEnv("GOGC", garbage).WithEnv("GODEBUG", adaptiveStacks).
		WithStdout(&out).WithStderr(&out).
		WithRandSource(rand.NewChaCha8(chachaSeed(seed))).
		WithWalltime(func() (int64, int32) { now := tick(); return now / 1e9, int32(now % 1e9) }, sys.ClockResolution(1000)).
		WithNanotime(tick, sys.ClockResolution(1)).
		WithNanosleep(func(ns int64) { nanoseconds += ns }))
	if module != nil {
		_ = module.Close(ctx)
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 0 {
		err = nil
	}
	return out.Bytes(), 0, err
}

func chachaSeed(seed uint64) (s [32]byte) {
	for i := range 8 {
		s[i] = byte(seed >> (8 * i))
	}
	return s
}

// wasm returns a runner that plays under wazero, or under wasmtime where that is asked for, or skips the test.
func wasm(t *testing.T) *runner {
	if program := os.Getenv(wasmtimeVar); program != "" {
		return wasmtime(t, program)
	}
	return wazeroOnly(t)
}

func wazeroOnly(t *testing.T) *runner {
	cache := os.Getenv(wasmVar)
	if cache == "" {
		t.Skipf("compiles everything for WebAssembly: make sim-wasm and sim-same set %s", wasmVar)
	}
	return &runner{target: "sim-wasm", how: "wasip1", part: 20, longest: runWasmMax, play: compile(t, cache).play}
}

// wasmtime returns a runner that plays under wasmtime, each run in a process of its own.
func wasmtime(t *testing.T, program string) *runner {
	module := filepath.Join(t.TempDir(), "sim.cwasm")
	if out, err := exec.CommandContext(t.Context(), program, "compile", buildWasm(t), module).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := &runner{target: "sim-wasm ENGINE=wasmtime", how: "wasip1 (wasmtime)", part: 100, longest: runWasmMax}
	r.play = func(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
		args := []string{"play", module, fmt.Sprint(seed), fmt.Sprintf("%s=%s:%d", playVar, scenario, seed), "GOGC=" + garbage, "GODEBUG=" + adaptiveStacks, "--"}
		return output(exec.CommandContext(ctx, program, append(args, wasmArgs...)...))
	}
	return r
}

// both plays each run with each of two, and wants one output, the sum of the trace in it, to the byte.
func both(one, other player) player {
	return func(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
		output, cost, err := one(ctx, scenario, seed)
		if err != nil {
			return output, cost, err
		}
		again, more, err := other(ctx, scenario, seed)
		if err == nil && !bytes.Equal(output, again) {
			err = fmt.Errorf("one seed, two runs; the other:\n%s", again)
		}
		return output, cost + more, err
	}
}

// twice plays runs twice, which have to be the same: each, or of each scenario one in as many as twiceVar says.
func twice(t *testing.T, r *runner) *runner {
	again, doubled, one := *r, both(r.play, r.play), 1
	again.how = r.how + " twice"
	if text := os.Getenv(twiceVar); text != "" {
		var err error
		if one, err = strconv.Atoi(text); err != nil || one < 1 {
			t.Fatalf("%s=%s: want a number from 1 on", twiceVar, text)
		}
		again.target += " TWICE=" + text
		again.how = fmt.Sprintf("%s, one in %d twice", r.how, one)
	}
	scenarios := uint64(len(mix())) // by which the seeds of a mix take turns
	again.play = func(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
		if seed/scenarios%uint64(one) == 0 {
			return doubled(ctx, scenario, seed)
		}
		return r.play(ctx, scenario, seed)
	}
	return &again
}

// TestSameSeedSameTrace: under wazero a run is a function of its seed, to the last byte of its trace and its output. Where
// wasmtime is asked for it plays the second time, and has to write the same.
func TestSameSeedSameTrace(t *testing.T) {
	r := wazeroOnly(t)
	again := r.play
	if program := os.Getenv(wasmtimeVar); program != "" {
		again = wasmtime(t, program).play
	}
	r.play = both(r.play, again)
	s, _ := find("three-nodes-99-everything")
	one, _ := r.run(t, &s, 1)
	other, _ := r.run(t, &s, 2)
	if one != nil && other != nil && one.Sum == other.Sum {
		t.Error("two seeds, one run")
	}
}

// TestScenariosWasm plays every scenario under wazero.
func TestScenariosWasm(t *testing.T) { playEach(t, twice(t, wasm(t)), 2) }

// TestMixWasm plays a range of seeds of all scenarios that count under wazero.
func TestMixWasm(t *testing.T) {
	r := wasm(t)
	if os.Getenv(seedsVar) == "" {
		t.Skipf("plays a range of seeds: make sim-wasm sets %s", seedsVar)
	}
	playMix(t, twice(t, r))
}
