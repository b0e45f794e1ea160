// Package sim runs a whole cluster in one process: real nodes (package node) on simulated machines, with a simulated network
// between them, disks that lose power, and franz-go clients as load. Faults are injected from a seed, what the clients saw
// is recorded with virtual times, and package check judges it.
//
// # Time and order
//
// A run lives in a testing/synctest bubble: time is virtual, and moves when every goroutine waits. Natively the scheduler,
// select and the order of maps stay as random as they are, so a seed fixes the faults only, and the race detector can watch.
// Compiled for GOOS=wasip1 and run under wazero with a seeded source of randomness and one thread, the same seed gives the
// same run, to the byte of its trace.
//
// Virtual time stands still while a goroutine waits for a sync.Mutex whose holder waits for time to pass: the run hangs.
// What may wait for the disk or the network must not hold one.
//
// A run has a process, or a WebAssembly module, of its own: pools of libraries outlive a bubble. make sim and make sim-wasm
// play ranges of seeds; a failing run prints its trace and the command that plays it again.
//
// # Faults
//
// Network: latency, bandwidth, loss (which a stream shows as delay), a direction cut, connections reset in the middle of a
// frame, hosts that refuse, hosts that are silent. Host: kill -9 (files keep what was written), power loss (files keep what
// was synced, and what else the seed says), pause (what it sends, reads and syncs waits), a jump of its wall clock. Disk:
// errors, no space, slow syncs, flipped bits; see vfs.Faults.
//
// A paused process is only held at its edges: its timers run on, and whatever they do stays inside until it resumes.
//
// # Concurrency
//
// All methods may be called from any goroutine of the bubble. What is made in one bubble must be used in that one only.
package sim
