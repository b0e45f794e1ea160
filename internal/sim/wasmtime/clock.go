package main

import (
	_ "embed"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// A run reads its clock more than a hundred thousand times, and a call from WebAssembly to Go costs more than a microsecond.
// So clock_time_get is WebAssembly itself. It writes to the memory of the module, which is there only when what it imports
// is; what it imports is therefore one half, which finds the other one in a table.
var (
	//go:embed clock.wat
	clockText string
	//go:embed reader.wat
	readerText string
)

// Names under which the halves import what they share.
const (
	clockModule  = "clock"
	playedModule = "module"
)

// clock is what a module reads as the time.
type clock struct {
	store  *wasmtime.Store
	linker *wasmtime.Linker
	now    *wasmtime.Global // nanoseconds
}

// newClock puts a clock in the place of WASI's. It must be wound before the module reads it.
func newClock(store *wasmtime.Store, linker *wasmtime.Linker) (*clock, error) {
	now, err := wasmtime.NewGlobal(store, wasmtime.NewGlobalType(wasmtime.NewValType(wasmtime.KindI64), true), wasmtime.ValI64(1e18))
	if err != nil {
		return nil, err
	}
	c := &clock{store: store, linker: linker, now: now}
	half, err := c.instantiate(clockText)
	if err != nil {
		return nil, err
	}
	if err := linker.Define(store, wasiModule, "clock_time_get", half.GetFunc(store, "clock_time_get")); err != nil {
		return nil, err
	}
	if err := linker.Define(store, clockModule, "table", half.GetExport(store, "table")); err != nil {
		return nil, err
	}
	return c, linker.Define(store, clockModule, "now", now)
}

// wind lets the module whose memory this is read the clock.
func (c *clock) wind(memory *wasmtime.Memory) error {
	if err := c.linker.Define(c.store, playedModule, "memory", memory); err != nil {
		return err
	}
	_, err := c.instantiate(readerText)
	return err
}

func (c *clock) instantiate(text string) (*wasmtime.Instance, error) {
	code, err := wasmtime.Wat2Wasm(text)
	if err != nil {
		return nil, err
	}
	module, err := wasmtime.NewModule(c.store.Engine, code)
	if err != nil {
		return nil, err
	}
	return c.linker.Instantiate(c.store, module)
}

// pass lets time pass.
func (c *clock) pass(nanoseconds uint64) error {
	return c.now.Set(c.store, wasmtime.ValI64(c.read()+int64(nanoseconds)))
}

func (c *clock) read() int64 { return c.now.Get(c.store).I64() }
