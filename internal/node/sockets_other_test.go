//go:build !unix

package node

// socketsMax returns how many files this process may have open, as far as is known.
func socketsMax() int { return 1000 }
