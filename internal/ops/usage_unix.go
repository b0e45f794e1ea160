//go:build unix

package ops

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns the processor time that the process has used.
func processorTime() (time.Duration, bool) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
