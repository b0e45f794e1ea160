// Command wasmtime plays a run of the simulation in wasmtime, whose code is three times as fast as wazero's. It is a
// module of its own because it needs a C compiler and a large library; nothing that is shipped needs it.
//
//	wasmtime compile sim.wasm sim.cwasm              translates a module into machine code
//	wasmtime play sim.cwasm SEED NAME=VALUE... -- ARGUMENT...
//
// As under wazero the module has one thread, a source of randomness that is seeded, and a clock that is a function of how
// often it was read: the same seed gives the same output, and the same as under wazero. The exit code of play is the
// module's, 1 when it trapped, 2 for arguments that make no sense.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

const usage = "usage: wasmtime compile FROM TO\n       wasmtime play MODULE SEED NAME=VALUE... -- ARGUMENT..."

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	switch {
	case len(args) == 3 && args[0] == "compile":
		err = compile(args[1], args[2])
	case len(args) >= 4 && args[0] == "play" && slices.Contains(args, "--"):
		return play(args[1], args[2], args[3:])
	default:
		return 2, errors.New(usage)
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func compile(from, to string) error {
	code, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	module, err := wasmtime.NewModule(wasmtime.NewEngine(), code)
	if err != nil {
		return err
	}
	machine, err := module.Serialize()
	if err != nil {
		return err
	}
	return os.WriteFile(to, machine, 0o600)
}

func play(file, seed string, rest []string) (code int, err error) {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return 2, fmt.Errorf("seed %q: want a whole number", seed)
	}
	end := slices.Index(rest, "--")
	var names, values []string
	for _, variable := range rest[:end] {
		name, value, _ := strings.Cut(variable, "=")
		names, values = append(names, name), append(values, value)
	}
	engine := wasmtime.NewEngine()
	module, err := wasmtime.NewModuleDeserializeFile(engine, file)
	if err != nil {
		return 1, err
	}
	linker := wasmtime.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		return 1, err
	}
	linker.AllowShadowing(true)
	store := wasmtime.NewStore(engine)
	clock, err := newClock(store, linker)
	if err != nil {
		return 1, err
	}
	if err := newHost(n, clock).define(linker); err != nil {
		return 1, err
	}
	wasi := wasmtime.NewWasiConfig()
	wasi.SetArgv(rest[end+1:])
	wasi.SetEnv(names, values)
	wasi.InheritStdout()
	wasi.InheritStderr()
	store.SetWasi(wasi)
	instance, err := linker.Instantiate(store, module)
	if err != nil {
		return 1, err
	}
	start, memory := instance.GetFunc(store, "_start"), instance.GetExport(store, "memory")
	if start == nil || memory == nil || memory.Memory() == nil {
		return 1, fmt.Errorf("%s: it has to export a function _start and a memory", file)
	}
	if err := clock.wind(memory.Memory()); err != nil {
		return 1, err
	}
	_, err = start.Call(store)
	var ended *wasmtime.Error
	if errors.As(err, &ended) {
		if status, exited := ended.ExitStatus(); exited {
			return int(status), nil
		}
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// host is what a module sees of the world apart from its arguments and its output.
type host struct {
	random *rand.ChaCha8
	clock  *clock
}

func newHost(seed uint64, clock *clock) *host {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	return &host{random: rand.NewChaCha8(s), clock: clock}
}

// wasiModule is the name under which modules import the functions of WASI.
const wasiModule = "wasi_snapshot_preview1"

// Results of WASI's functions.
const (
	success = 0
	invalid = 28
)

// define puts the functions of the host in the place of WASI's. The linker has to allow that.
func (h *host) define(linker *wasmtime.Linker) error {
	i32 := wasmtime.KindI32
	for _, f := range []struct {
		name   string
		params []wasmtime.ValKind
		call   func(memory []byte, args []wasmtime.Val) (errno int32)
	}{
		{"random_get", []wasmtime.ValKind{i32, i32}, h.fill},
		{"poll_oneoff", []wasmtime.ValKind{i32, i32, i32, i32}, h.sleep},
	} {
		params := make([]*wasmtime.ValType, len(f.params))
		for i, kind := range f.params {
			params[i] = wasmtime.NewValType(kind)
		}
		err := linker.FuncNew(wasiModule, f.name, wasmtime.NewFuncType(params, []*wasmtime.ValType{wasmtime.NewValType(i32)}),
			func(caller *wasmtime.Caller, args []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
				memory := caller.GetExport("memory").Memory().UnsafeData(caller)
				return []wasmtime.Val{wasmtime.ValI32(f.call(memory, args))}, nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// span returns a part of a module's memory, nil where there is none.
func span(memory []byte, at wasmtime.Val, length int) []byte {
	from := int(uint32(at.I32()))
	if length < 0 || from+length > len(memory) {
		return nil
	}
	return memory[from : from+length]
}

// fill is random_get.
func (h *host) fill(memory []byte, args []wasmtime.Val) int32 {
	to := span(memory, args[0], int(uint32(args[1].I32())))
	if to == nil {
		return invalid
	}
	_, _ = h.random.Read(to)
	return success
}

// Sizes and places of poll_oneoff's subscriptions and events, in bytes.
const (
	subscriptionSize = 48
	subscribedTag    = 8
	subscribedClock  = 24 // nanoseconds
	subscribedFlags  = 40
	eventSize        = 32
	eventError       = 8
	eventType        = 10
)

// sleep is poll_oneoff for what is asked of clocks: the time has passed when it returns. There is nothing else to wait
// for: standard output is always writable, and nothing is read.
func (h *host) sleep(memory []byte, args []wasmtime.Val) int32 {
	count := int(uint32(args[2].I32()))
	in, out, told := span(memory, args[0], count*subscriptionSize), span(memory, args[1], count*eventSize), span(memory, args[3], 4)
	if in == nil || out == nil || told == nil {
		return invalid
	}
	events := 0
	for i := range count {
		s := in[i*subscriptionSize : (i+1)*subscriptionSize]
		if s[subscribedTag] != 0 || binary.LittleEndian.Uint16(s[subscribedFlags:]) != 0 {
			return invalid
		}
		if h.clock.pass(binary.LittleEndian.Uint64(s[subscribedClock:])) != nil {
			return invalid
		}
		e := out[events*eventSize : (events+1)*eventSize]
		clear(e)
		copy(e[:eventError], s[:eventError]) // what the caller named it
		e[eventType] = 0
		events++
	}
	binary.LittleEndian.PutUint32(told, uint32(events))
	return success
}
