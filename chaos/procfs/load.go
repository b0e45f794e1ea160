package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Load is how busy the machine is, with the work of everybody on it.
type Load struct {
	// Average is the load average of the last minute: how many threads ran or waited for a processor or a disk.
	Average float64
	// Waited is for how long since the boot some thread waited for a processor; meaningful when HasWaited.
	Waited    time.Duration
	HasWaited bool // kernels may lack it
}

// ReadLoad reads /proc/loadavg and /proc/pressure/cpu.
func ReadLoad() (Load, error) {
	average, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return Load{}, err
	}
	pressure, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		return Load{}, err
	}
	return parseLoad(string(average), string(pressure))
}

// parseLoad reads the two files; the second one may be empty.
func parseLoad(average, pressure string) (l Load, err error) {
	first, _, _ := strings.Cut(average, " ")
	if l.Average, err = strconv.ParseFloat(first, 64); err != nil {
		return Load{}, fmt.Errorf("not a load average: %q", average)
	}
	if pressure == "" {
		return l, nil
	}
	some, _, _ := strings.Cut(pressure, "\n")
	_, total, _ := strings.Cut(some, "total=")
	waitedUs, err := strconv.ParseInt(total, 10, 64)
	if err != nil || !strings.HasPrefix(some, "some ") {
		return Load{}, fmt.Errorf("not a processor's pressure: %q", pressure)
	}
	l.Waited, l.HasWaited = time.Duration(waitedUs)*time.Microsecond, true
	return l, nil
}
