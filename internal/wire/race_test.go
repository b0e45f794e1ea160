//go:build race

package wire

// raceEnabled: instrumented code makes the temporary slice in append(s, make(...)...), and takes other amounts of memory.
const raceEnabled = true
