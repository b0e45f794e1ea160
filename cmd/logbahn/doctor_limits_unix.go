//go:build unix

package main

import "golang.org/x/sys/unix"

// localFiles looks at the limit that a broker started from here would have. Go raises the soft limit to the hard one.
func (d *doctor) localFiles() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	d.judgeFiles("a broker started from here", float64(limit.Max), 0)
}
