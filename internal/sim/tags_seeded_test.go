//go:build seeded && !wasip1

package sim

// buildTags are those of the binaries that play runs: they have the same bug as the tests that build them.
const buildTags = "synctests,seeded"
