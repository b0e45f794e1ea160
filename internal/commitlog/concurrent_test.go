package commitlog

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// TestConcurrent lets appenders, readers, retention, compaction, checkpoints and the sweep work on one log at once.
func TestConcurrent(t *testing.T) {
	deleted, compacted, truncated := smallSegments(4000), compactConfig(), smallSegments(4000)
	deleted.RetentionBytes, deleted.FileDeleteDelayMs = 20_000, 0
	compacted.SegmentBytes = 4000
	truncated.RetentionMs = -1
	t.Run("deleted", func(t *testing.T) { testConcurrent(t, deleted, appendMany) })
	t.Run("compacted", func(t *testing.T) { testConcurrent(t, compacted, appendMany) })
	t.Run("truncated", func(t *testing.T) { testConcurrent(t, truncated, appendAndTruncate) })
}

func testConcurrent(t *testing.T, c Config, write func(*Log) error) {
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, CheckpointInterval: time.Millisecond,
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
	if err := write(l); err != nil {
		t.Error(err)
	}
	done.Store(true)
	wg.Wait()
	must(t, l.Err())
	must(t, d.Close())
}

func appendMany(l *Log) error {
	var g errgroup.Group
	for i := range 2 {
		g.Go(func() error {
			for n := range 200 {
				b := batch(3, int64(n), &record.Producer{ID: int64(i), Sequence: int32(3 * n)})
				if _, err := l.Append(b, AppendOptions{LeaderEpoch: 1, Now: int64(n)}); err != nil {
					return err
				}
				if err := l.Flush(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func appendAndTruncate(l *Log) error {
	for n := range 80 {
		for range 20 {
			if _, err := l.Append(batch(3, int64(n), nil), AppendOptions{LeaderEpoch: int32(n)}); err != nil {
				return err
			}
		}
		if err := l.Flush(); err != nil {
			return err
		}
		if err := l.TruncateSuffix(l.EndOffset() / 3 * 2); err != nil {
			return err
		}
	}
	return nil
}

// readWhile reads at random places. Only what was deleted or truncated meanwhile may be refused.
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
		if err != nil && !errors.Is(err, ErrTruncated) {
			t.Error(err)
			return
		}
	}
}
