//go:build unix

package node

import "golang.org/x/sys/unix"

// openFilesMax returns how many files this process may open.
func openFilesMax() (uint64, bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true
}
