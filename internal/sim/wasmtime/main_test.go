package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

func values(args ...int32) (vals []wasmtime.Val) {
	for _, a := range args {
		vals = append(vals, wasmtime.ValI32(a))
	}
	return vals
}

// testClock returns a clock, and a module with a memory of one page that has nothing but that clock.
func testClock(t *testing.T) (*clock, *wasmtime.Instance) {
	t.Helper()
	engine := wasmtime.NewEngine()
	store, linker := wasmtime.NewStore(engine), wasmtime.NewLinker(engine)
	c, err := newClock(store, linker)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := c.instantiate(`(module
		(import "wasi_snapshot_preview1" "clock_time_get" (func $read (param i32 i64 i32) (result i32)))
		(memory (export "memory") 1)
		(export "read" (func $read)))`)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.wind(instance.GetExport(store, "memory").Memory()); err != nil {
		t.Fatal(err)
	}
	return c, instance
}

func TestClockAdvancesWithEachCall(t *testing.T) {
	c, instance := testClock(t)
	read, memory := instance.GetFunc(c.store, "read"), instance.GetExport(c.store, "memory").Memory()
	var times []uint64
	for id := range 2 {
		if errno, err := read.Call(c.store, id, int64(0), 8); err != nil || errno != int32(success) {
			t.Fatal(errno, err)
		}
		times = append(times, binary.LittleEndian.Uint64(memory.UnsafeData(c.store)[8:]))
	}
	if times[0] != 1e18+1000 || times[1] != 1e18+2000 || c.read() != 1e18+2000 {
		t.Errorf("read %v; it is %d", times, c.read())
	}
	if errno, err := read.Call(c.store, 0, int64(0), -1); err == nil {
		t.Errorf("errno %d for a place outside of the memory", errno)
	}
}

func TestRandomnessIsOfTheSeed(t *testing.T) {
	of := func(seed uint64) []byte {
		memory := make([]byte, 40)
		if errno := newHost(seed, nil).fill(memory, values(4, 32)); errno != success {
			t.Fatalf("errno %d", errno)
		}
		return memory
	}
	var want [32]byte
	_, _ = rand.NewChaCha8([32]byte{7}).Read(want[:])
	if got := of(7); !bytes.Equal(got[4:36], want[:]) || !bytes.Equal(got[36:], make([]byte, 4)) {
		t.Errorf("seed 7: %x", got)
	}
	if bytes.Equal(of(7), of(8)) {
		t.Error("two seeds, one randomness")
	}
}

func TestSleepPassesTime(t *testing.T) {
	c, _ := testClock(t)
	h, memory := newHost(1, c), make([]byte, 256)
	binary.LittleEndian.PutUint64(memory[0:], 42)
	binary.LittleEndian.PutUint64(memory[subscribedClock:], 5e9)
	if errno := h.sleep(memory, values(0, 64, 1, 128)); errno != success {
		t.Fatalf("errno %d", errno)
	}
	if c.read() != 1e18+5e9 || binary.LittleEndian.Uint32(memory[128:]) != 1 || binary.LittleEndian.Uint64(memory[64:]) != 42 {
		t.Errorf("at %d: %x", c.read(), memory)
	}
	memory[subscribedTag] = 1 // what can be read is not known
	if errno := h.sleep(memory, values(0, 64, 1, 128)); errno != invalid {
		t.Errorf("errno %d for a subscription that is no clock", errno)
	}
}

// What a module passes may point anywhere.
func TestPointersOutsideOfMemory(t *testing.T) {
	c, _ := testClock(t)
	h, memory := newHost(1, c), make([]byte, 64)
	for name, errno := range map[string]int32{
		"random":         h.fill(memory, values(60, 5)),
		"random, length": h.fill(memory, values(0, -1)),
		"sleep, in":      h.sleep(memory, values(17, 0, 1, 0)),
		"sleep, out":     h.sleep(memory, values(0, 33, 1, 0)),
		"sleep, count":   h.sleep(memory, values(0, 0, -1, 0)),
		"sleep, told":    h.sleep(memory, values(0, 0, 1, 61)),
	} {
		if errno != invalid {
			t.Errorf("%s: errno %d", name, errno)
		}
	}
}
