package commitlog

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// TestConcurrent lets appenders, readers, retention, compaction, checkpoints and the sweep work on one log at once.
func TestConcurrent(t *testing.T) {
	for name, compacted := range map[string]bool{"deleted": false, "compacted": true} {
		t.Run(name, func(t *testing.T) {
			c := smallSegments(4000)
			c.RetentionBytes, c.FileDeleteDelayMs = 20_000, 0
			if compacted {
				c = compactConfig()
				c.SegmentBytes = 4000
			}
			testConcurrent(t, c)
		})
	}
}

func testConcurrent(t *testing.T, c Config) {
	d, err := OpenDir(DirConfig{FS: vfs.Disk(), Path: t.TempDir(), NodeID: 1, CheckpointInterval: time.Millisecond,
		RetentionInterval: time.Millisecond, CleanerInterval: time.Millisecond})
	must(t, err)
	l, err := d.Open(testTP, testID, c, Hooks{})
	must(t, err)
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { readWhile(t, l, &done, uint64(i)) })
	}
	wg.Go(func() {
		for !done.Load() {
			l.filesMu.Lock() // maintenance does one thing at a time
			segments := *l.segments.Load()
			for _, s := range segments[:len(segments)-1] {
				s.sweep(true)
			}
			l.filesMu.Unlock()
		}
	})
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for n := range 200 {
				b := batch(3, int64(n), &record.Producer{ID: int64(i), Sequence: int32(3 * n)})
				if _, err := l.Append(b, AppendOptions{LeaderEpoch: 1, Now: int64(n)}); err != nil {
					t.Error(err)
					return
				}
				if err := l.Flush(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	wg.Wait()
	must(t, l.Err())
	must(t, d.Close())
}

// readWhile reads at random places. Only what retention has deleted may be refused.
func readWhile(t *testing.T, l *Log, done *atomic.Bool, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b []byte
	for !done.Load() {
		start, end := l.StartOffset(), l.FlushedOffset()
		if end <= start {
			continue
		}
		from := start + rng.Int64N(end-start)
		if _, _, _, _, err := l.OffsetForTimestamp(rng.Int64N(500), end); err != nil {
			t.Error(err)
			return
		}
		c, err := l.Read(from, 2000, end, true)
		if errors.Is(err, ErrOffsetOutOfRange) {
			continue
		}
		if err == nil {
			b, err = c.AppendTo(b[:0])
			c.Release()
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}
