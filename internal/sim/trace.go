package sim

import (
	"fmt"
	"hash"
	"hash/crc32"
	"hash/fnv"
	"io"
	"strconv"
	"sync"
	"time"
)

// Trace is what happened in a run, in order. Lines that tell of faults and failures are kept; what would be too much to keep,
// each segment on the network among it, counts in the sum only.
type Trace struct {
	mu    sync.Mutex
	begin time.Time
	sum   hash.Hash64
	line  []byte // the last one
	lines []string
	count int
	whole bool // keep every line
}

// traceLinesMax bounds what is kept: the newest.
const traceLinesMax = 10_000

// NewTrace returns an empty trace that begins now.
func NewTrace() *Trace { return &Trace{begin: time.Now(), sum: fnv.New64a()} }

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
	t.add(fmt.Appendf(t.line[:0], format, args...), true)
}

// Countf adds a line to the sum, and forgets it.
func (t *Trace) Countf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(fmt.Appendf(t.line[:0], format, args...), false)
}

// sent is Countf for a segment on the network: most lines are such.
func (t *Trace) sent(from, to string, segment []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := append(append(t.line[:0], "send "...), from...)
	line = append(append(append(line, '>'), to...), ' ')
	line = append(strconv.AppendInt(line, int64(len(segment)), 10), ' ')
	t.add(strconv.AppendUint(line, uint64(crc32.ChecksumIEEE(segment)), 16), false)
}

// add takes over a line that was written into the buffer. The caller holds mu.
func (t *Trace) add(line []byte, keep bool) {
	if keep || t.whole {
		t.keep(string(line))
	}
	line = append(line, ' ')
	t.line = append(strconv.AppendInt(line, int64(time.Since(t.begin)), 10), '\n')
	_, _ = t.sum.Write(t.line)
	t.count++
}

func (t *Trace) keep(line string) {
	if len(t.lines) == traceLinesMax && !t.whole {
		t.lines = t.lines[traceLinesMax/2:]
	}
	t.lines = append(t.lines, fmt.Sprintf("%12.6f ", time.Since(t.begin).Seconds())+line)
}

// Sum identifies the run: two runs with one sum had the same events at the same times in the same order.
func (t *Trace) Sum() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d-%016x", t.count, t.sum.Sum64())
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
