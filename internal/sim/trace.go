package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// Trace is what happened in a run, in order. Lines that tell of faults and failures are kept; what would be too much to keep,
// each segment on the network among it, counts in the sum only.
type Trace struct {
	mu    sync.Mutex
	begin time.Time
	sum   hash.Hash
	lines []string
	count int
	whole bool // keep every line
}

// traceLinesMax bounds what is kept: the newest.
const traceLinesMax = 10_000

// NewTrace returns an empty trace that begins now.
func NewTrace() *Trace { return &Trace{begin: time.Now(), sum: sha256.New()} }

// KeepAll makes the trace keep every line from now on: hundreds of megabytes for a minute are possible.
func (t *Trace) KeepAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.whole = true
}

// Elapsed is the virtual time since the run began.
func (t *Trace) Elapsed() time.Duration { return time.Since(t.begin) }

// Logf adds a line that is kept.
func (t *Trace) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	t.keep(line)
	t.add(line)
}

// Countf adds a line to the sum, and forgets it.
func (t *Trace) Countf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if t.whole {
		t.keep(line)
	}
	t.add(line)
}

func (t *Trace) keep(line string) {
	if len(t.lines) == traceLinesMax && !t.whole {
		t.lines = t.lines[traceLinesMax/2:]
	}
	t.lines = append(t.lines, fmt.Sprintf("%12.6f ", time.Since(t.begin).Seconds())+line)
}

func (t *Trace) add(line string) {
	fmt.Fprintf(t.sum, "%d ", time.Since(t.begin))
	_, _ = io.WriteString(t.sum, line)
	_, _ = io.WriteString(t.sum, "\n")
	t.count++
}

// Sum identifies the run: two runs with one sum had the same events at the same times in the same order.
func (t *Trace) Sum() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d-%s", t.count, hex.EncodeToString(t.sum.Sum(nil)[:8]))
}

// WriteTo writes the lines that are kept.
func (t *Trace) WriteTo(w io.Writer) (written int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range t.lines {
		n, err := fmt.Fprintln(w, line)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
