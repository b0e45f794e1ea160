//go:build !seeded && !wasip1

package sim

// buildTags are those of the binaries that play runs: franz-go has locks for bubbles behind one.
const buildTags = "synctests"
