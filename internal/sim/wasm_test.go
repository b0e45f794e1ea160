//go:build !wasip1

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wasmVar asks for the runs under wazero; what has been compiled is kept in the directory that it names.
const wasmVar = "LOGBAHN_SIM_WASM"

// machine is this package's tests as a WebAssembly module: one thread, and nothing from outside but a seeded source of
// randomness and a clock that is a function of how often it was read.
type machine struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

func compile(t *testing.T, cacheDir string) *machine {
	t.Helper()
	binary := build(t, "sim.wasm", []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS="}, "-ldflags=-s -w")
	code, err := os.ReadFile(binary)
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
		WithArgs("sim.test", "-test.run=^TestPlay$", "-test.timeout=1h").WithEnv(playVar, fmt.Sprintf("%s:%d", scenario, seed)).WithEnv("GOGC", garbage).
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

// wasm returns a runner that plays under wazero, or skips the test.
func wasm(t *testing.T) *runner {
	cache := os.Getenv(wasmVar)
	if cache == "" {
		t.Skipf("compiles everything for WebAssembly: make sim-wasm and sim-same set %s", wasmVar)
	}
	return &runner{target: "sim-wasm", how: "wasip1", play: compile(t, cache).play}
}

// twice plays each run twice, and wants one output, the sum of the trace in it, to the byte.
func twice(r *runner) *runner {
	once := r.play
	return &runner{target: r.target, how: r.how + " twice", play: func(ctx context.Context, scenario string, seed uint64) ([]byte, time.Duration, error) {
		output, _, err := once(ctx, scenario, seed)
		if err != nil {
			return output, 0, err
		}
		again, _, err := once(ctx, scenario, seed)
		if err == nil && !bytes.Equal(output, again) {
			err = fmt.Errorf("one seed, two runs; the other:\n%s", again)
		}
		return output, 0, err
	}}
}

// TestSameSeedSameTrace: under wazero a run is a function of its seed, to the last byte of its trace and its output.
func TestSameSeedSameTrace(t *testing.T) {
	r := twice(wasm(t))
	s, _ := find("three-nodes-99-everything")
	one, _ := r.run(t, &s, 1)
	other, _ := r.run(t, &s, 2)
	if one != nil && other != nil && one.Sum == other.Sum {
		t.Error("two seeds, one run")
	}
}

// TestScenariosWasm plays every scenario under wazero.
func TestScenariosWasm(t *testing.T) { playEach(t, twice(wasm(t)), 2) }

// TestMixWasm plays a range of seeds of all scenarios that count under wazero.
func TestMixWasm(t *testing.T) {
	r := wasm(t)
	if os.Getenv(seedsVar) == "" {
		t.Skipf("plays a range of seeds: make sim-wasm sets %s", seedsVar)
	}
	playMix(t, twice(r))
}
