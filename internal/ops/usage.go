package ops

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// idleWindow is the shortest time over which idleness is measured: what is asked for sooner gets the last answer.
const idleWindow = time.Second

// idleMeter measures which share of the processors the process leaves idle, from one question to the next.
type idleMeter struct {
	mu struct {
		sync.Mutex
		at     time.Time
		cpu    time.Duration
		share  float64
		idle   float64 // nanoseconds in all
		primed bool
	}
}

// read returns the share, 0 to 1; false where the system does not tell how much of it the process has used.
func (m *idleMeter) read() (float64, bool) {
	cpu, ok := processorTime()
	if !ok {
		return 0, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.mu.primed {
		m.mu.primed, m.mu.at, m.mu.cpu, m.mu.share = true, now, cpu, 1
		return m.mu.share, true
	}
	if passed := now.Sub(m.mu.at); passed >= idleWindow {
		used := float64(cpu-m.mu.cpu) / float64(passed) / float64(runtime.GOMAXPROCS(0))
		m.mu.share = min(max(1-used, 0), 1)
		m.mu.idle += m.mu.share * float64(passed)
		m.mu.at, m.mu.cpu = now, cpu
	}
	return m.mu.share, true
}

// idleNanos returns the idle time that read has seen so far.
func (m *idleMeter) idleNanos() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.idle
}

// diskBytes returns what the process had the disk do, false where the system does not tell.
func diskBytes() (read, written float64, ok bool) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "read_bytes":
			read, ok = n, true
		case name == "write_bytes":
			written = n
		}
	}
	return read, written, ok
}
