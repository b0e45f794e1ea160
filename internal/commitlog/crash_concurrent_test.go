package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// TestCrashConcurrent cuts the power under writers, the flusher and maintenance at work, where TestCrashModel does one thing
// after the other. What was flushed must be there, and everything that is there must be what was written. The seed chooses
// when the power goes and what is left; the order of the goroutines is the scheduler's.
func TestCrashConcurrent(t *testing.T) {
	from, to := crashSeeds(t, 60)
	for seed := from; seed < to; seed++ {
		r := &concurrentCrash{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 3)), mem: vfs.NewMem()}
		for range 3 {
			r.round()
		}
	}
}

type concurrentCrash struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	mem     *vfs.Mem
	flushed [2]int64 // of each log, before the crash
	// start is what retention has told, which is then durable.
	start [2]atomic.Int64
}

func (r *concurrentCrash) round() {
	t := r.t
	faults := vfs.Inject(r.mem)
	d, err := OpenDir(DirConfig{FS: faults, Path: "data", NodeID: 1, CheckpointInterval: time.Millisecond,
		RetentionInterval: 2 * time.Millisecond, CleanerInterval: 2 * time.Millisecond, Flush: FlushMode(r.seed % 2)})
	must(t, err)
	var logs [2]*Log
	for i := range logs {
		c := smallSegments(700)
		c.RetentionBytes, c.FileDeleteDelayMs = 5000, 0
		if i == 1 && r.seed%4 > 1 {
			c.Compact, c.Delete, c.MinCleanableRatio = true, false, 0
		}
		logs[i], err = d.Open(TopicPartition{"zone", int32(i)}, testID, c, Hooks{StartOffset: r.start[i].Store})
		must(t, err)
		if end := logs[i].EndOffset(); end < r.flushed[i] {
			t.Fatalf("seed %d: the log ends at %d, %d were flushed", r.seed, end, r.flushed[i])
		}
		if start := logs[i].StartOffset(); start < r.start[i].Load() {
			t.Fatalf("seed %d: the log begins at %d, and at %d before", r.seed, start, r.start[i].Load())
		}
		r.checkRecords(logs[i])
	}
	var crashed atomic.Pointer[vfs.Mem]
	mem, crash := r.mem, r.rng.Uint64()
	var running sync.WaitGroup
	faults.Add(vfs.Rule{From: 1 + r.rng.IntN(600), Times: 1, Fault: vfs.Fault{Before: func() {
		for i, l := range logs { // before the crash: later nothing can be promised
			r.flushed[i] = l.synced.Load() // with FlushOS more is flushed, for as long as the power holds
		}
		crashed.Store(mem.Crash(crash))
	}}})
	for _, l := range logs {
		for range 2 {
			running.Go(func() { writeUntil(l, &crashed) })
		}
	}
	running.Wait()
	_ = d.Close() // its disk is gone
	r.mem = crashed.Load()
}

// writeUntil appends records whose value follows from their key, until the power is gone.
func writeUntil(l *Log, crashed *atomic.Pointer[vfs.Mem]) {
	for n := 0; crashed.Load() == nil; n++ {
		b := record.NewBuilder(record.BuilderOptions{})
		for range 1 + n%3 {
			value := strconv.Itoa(n)
			b.Append(record.Record{Timestamp: int64(n), Key: []byte(value), Value: bytes.Repeat([]byte(value), 10)})
		}
		if _, err := l.Append(bytes.Clone(b.Bytes()), AppendOptions{LeaderEpoch: l.LatestEpoch() + 1}); err != nil && crashed.Load() != nil {
			return
		}
		if n%8 == 0 {
			_ = l.Flush()
		}
	}
}

func (r *concurrentCrash) checkRecords(l *Log) {
	next := l.StartOffset()
	for b, err := range l.Batches(next) {
		if errors.Is(err, ErrOffsetOutOfRange) { // retention is at work already
			r.checkRecords(l)
			return
		}
		must(r.t, err)
		h, _ := record.ReadHeader(b)
		if h.BaseOffset > next && !l.Config().Compact {
			r.t.Fatalf("seed %d: a hole from %d to %d", r.seed, next, h.BaseOffset)
		}
		next = h.NextOffset()
		for rec, err := range record.Records(b, 1<<20) {
			must(r.t, err)
			if want := bytes.Repeat(rec.Key, 10); !bytes.Equal(rec.Value, want) {
				r.t.Fatal(fmt.Errorf("seed %d: record %d is %q, want %q", r.seed, rec.Offset, rec.Value, want))
			}
		}
	}
	if next != l.EndOffset() && !l.Config().Compact {
		r.t.Fatalf("seed %d: the records end at %d, the log at %d", r.seed, next, l.EndOffset())
	}
}
