//go:build race

package node

// raceEnabled: sync.Pool forgets at random under the race detector, and stacks are larger.
const raceEnabled = true
