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

func TestClockAdvancesWithEachCall(t *testing.T) {
	h, memory := newHost(1), make([]byte, 16)
	var read [2]uint64
	for i := range read {
		if errno := h.clock(memory, values(0, 0, 8)); errno != success {
			t.Fatalf("errno %d", errno)
		}
		read[i] = binary.LittleEndian.Uint64(memory[8:])
	}
	if read[0] != 1e18+1000 || read[1] != 1e18+2000 {
		t.Errorf("read %v", read)
	}
}

func TestRandomnessIsOfTheSeed(t *testing.T) {
	of := func(seed uint64) []byte {
		memory := make([]byte, 40)
		if errno := newHost(seed).fill(memory, values(4, 32)); errno != success {
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
	h, memory := newHost(1), make([]byte, 256)
	binary.LittleEndian.PutUint64(memory[0:], 42)
	binary.LittleEndian.PutUint64(memory[subscribedClock:], 5e9)
	if errno := h.sleep(memory, values(0, 64, 1, 128)); errno != success {
		t.Fatalf("errno %d", errno)
	}
	if h.now != 1e18+5e9 || binary.LittleEndian.Uint32(memory[128:]) != 1 || binary.LittleEndian.Uint64(memory[64:]) != 42 {
		t.Errorf("at %d: %x", h.now, memory)
	}
	memory[subscribedTag] = 1 // what can be read is not known
	if errno := h.sleep(memory, values(0, 64, 1, 128)); errno != invalid {
		t.Errorf("errno %d for a subscription that is no clock", errno)
	}
}

// What a module passes may point anywhere.
func TestPointersOutsideOfMemory(t *testing.T) {
	h, memory := newHost(1), make([]byte, 64)
	for name, errno := range map[string]int32{
		"clock":          h.clock(memory, values(0, 0, 57)),
		"clock, at -1":   h.clock(memory, values(0, 0, -1)),
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
