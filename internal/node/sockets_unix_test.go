//go:build unix

package node

import "syscall"

// socketsMax returns how many files this process may have open.
func socketsMax() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1000
	}
	return int(min(limit.Cur, 1<<20))
}
