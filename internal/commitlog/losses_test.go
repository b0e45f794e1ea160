package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

func writesLog(op vfs.Op, name string) bool {
	return op == vfs.OpWrite && strings.HasSuffix(name, logSuffix)
}

// TestReopenedEmptyLogIsSyncedByName opens a log again whose first write failed. The directory was clean when it was
// opened, but the names of that log were never synced.
func TestReopenedEmptyLogIsSyncedByName(t *testing.T) {
	for seed := range uint64(20) {
		mem := vfs.NewMem()
		must(t, openDir(t, mem).Close())
		faults := vfs.Inject(mem)
		d := openDir(t, faults)
		l := openLog(t, d, DefaultConfig())
		faults.Add(vfs.Rule{Times: 1, Match: writesLog, Fault: vfs.Fault{Err: syscall.EIO}})
		if _, err := l.Append(batch(3, 1, nil), AppendOptions{LeaderEpoch: 1}); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		if err := l.Close(); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		l = openLog(t, d, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		l = openLog(t, openDir(t, mem.Crash(seed)), DefaultConfig())
		if l.EndOffset() != 3 {
			t.Fatalf("seed %d: the log ends at %d after a power cut, 3 were flushed", seed, l.EndOffset())
		}
	}
}

// TestDuplicateAmongOthers makes sure that new batches are not taken for written because they come with a known one.
func TestDuplicateAmongOthers(t *testing.T) {
	_, _, l := newLog(t, DefaultConfig())
	at := func(sequence int32) []byte { return batch(2, 1, &record.Producer{ID: 7, Sequence: sequence}) }
	mustAppend(t, l, at(0))
	for _, batches := range [][]byte{slices.Concat(at(0), at(2)), slices.Concat(batch(1, 1, nil), at(0))} {
		if a, err := l.Append(batches, AppendOptions{LeaderEpoch: 1}); !errors.Is(err, ErrOutOfOrderSequence) {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if a := mustAppend(t, l, slices.Concat(at(2), at(4))); a.Duplicate || l.EndOffset() != 6 {
		t.Fatalf("%+v, end %d", a, l.EndOffset())
	}
}

// TestTombstoneBeyondTable lets the table of several passes end before a tombstone: it must stay until what it deletes
// is gone.
func TestTombstoneBeyondTable(t *testing.T) {
	now := time.UnixMilli(5000)
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, manual: true, CleanerBytesMax: 1,
		Now: func() time.Time { return now }})
	must(t, err)
	c := compactConfig()
	c.SegmentBytes = 1 << 20
	l := openLog(t, d, c)
	value := []byte("value")
	roll := func() {
		l.mu.Lock()
		l.roll(l.end.Load(), l.config.Load())
		l.mu.Unlock()
	}
	mustAppend(t, l, keyed(nil, value, "gone", "stays"))
	roll()
	for i := range 3000 {
		mustAppend(t, l, keyed(nil, value, fmt.Sprint(i)))
	}
	mustAppend(t, l, keyed(nil, nil, "gone"))
	roll()
	mustAppend(t, l, keyed(nil, value, "last"))
	must(t, l.Flush())
	for pass := range 8 {
		must(t, l.compact())
		now = now.Add(time.Minute)
		all := records(t, l)
		if slices.Contains(all, "0 gone") && !slices.Contains(all, "3002 gone -") {
			t.Fatalf("pass %d removed the tombstone before the value", pass)
		}
	}
	if all := records(t, l); slices.Contains(all, "0 gone") || !slices.Contains(all, "1 stays") {
		t.Fatal(all[:3])
	}
}

// TestCheckpointOfReplacedLog opens and cuts a log while a checkpoint still holds the one before of the same name.
func TestCheckpointOfReplacedLog(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	d := openDir(t, faults)
	l := openLog(t, d, DefaultConfig())
	mustAppend(t, l, batch(30, 1, nil))
	must(t, l.Flush())
	must(t, d.checkpoint(true))
	other, err := d.Open(TopicPartition{"zone", 0}, testID, DefaultConfig(), Hooks{})
	must(t, err)
	must(t, other.StartEpoch(1))
	mustAppend(t, other, batch(1, 1, nil))
	_ = l.fail(syscall.EIO)
	faults.Add(vfs.Rule{Times: 1, Match: vfs.Exactly(vfs.OpRename, path.Join("data", "zone-0", epochFile)),
		Fault: vfs.Fault{Before: func() {
			_ = l.Close()
			l = openLog(t, d, DefaultConfig())
			must(t, l.TruncateSuffix(0))
		}}})
	must(t, d.checkpoint(true))
	if point := d.marksOf(testTP).recoveryPoint; faults.Fired() == 0 || point != 0 {
		t.Fatalf("recovery point %d of an empty log", point)
	}
	openLog(t, openDir(t, mem.Kill()), DefaultConfig())
}

// TestRollDuringFirstSync cuts the power while the first sync of a log runs and an append wants to roll it.
func TestRollDuringFirstSync(t *testing.T) {
	for seed := range uint64(100) {
		mem := vfs.NewMem()
		faults := vfs.Inject(mem)
		l := openLog(t, openDir(t, faults), smallSegments(300))
		mustAppend(t, l, batch(3, 1, nil))
		var crashed *vfs.Mem
		appended := make(chan error, 1)
		faults.Add(vfs.Rule{Times: 1, Match: vfs.Exactly(vfs.OpSync, segmentFile(l.path, 0, logSuffix)),
			Fault: vfs.Fault{Before: func() {
				go func() {
					_, err := l.Append(batch(3, 1, nil), AppendOptions{LeaderEpoch: 1})
					appended <- err
				}()
				if seed%2 == 0 {
					runtime.Gosched()
				}
				crashed = mem.Crash(seed)
			}}})
		_ = l.Flush()
		<-appended
		l = openLog(t, openDir(t, crashed), smallSegments(300))
		if l.StartOffset() != 0 {
			t.Fatalf("seed %d: the log begins at %d after a power cut", seed, l.StartOffset())
		}
	}
}

// TestSnapshotOfLostBatchesStaysAway recovers a log from a cut that did not come to the snapshots behind it. They must
// not come back in a power cut, when other batches have their offsets.
func TestSnapshotOfLostBatchesStaysAway(t *testing.T) {
	for seed := range uint64(20) {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		l := openLog(t, d, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		mustAppend(t, l, batch(3, 1, &record.Producer{ID: 7}))
		must(t, d.Close())
		name := segmentFile(l.path, 6, snapshotSuffix)

		faults := vfs.Inject(mem)
		l = openLog(t, openDir(t, faults), DefaultConfig())
		var crashed *vfs.Mem
		faults.Add(vfs.Rule{Times: 1, Match: vfs.Exactly(vfs.OpRemove, name),
			Fault: vfs.Fault{Before: func() { crashed = mem.Crash(seed) }}})
		_ = l.TruncateSuffix(3)
		if _, err := crashed.Stat(name); err != nil {
			t.Fatal(err)
		}

		l = openLog(t, openDir(t, crashed), DefaultConfig())
		mustAppend(t, l, batch(3, 1, &record.Producer{ID: 8}))
		must(t, l.Flush())
		if _, err := crashed.Crash(seed).Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("seed %d: the snapshot is back: %v", seed, err)
		}
	}
}

// TestDeleteThatFails cannot rename a folder at first. It goes later, unless another log has taken its place.
func TestDeleteThatFails(t *testing.T) {
	for _, again := range []bool{false, true} {
		_, faults, d, l := logRemovedAtOnce(t)
		faults.Add(vfs.Rule{Times: 2, Match: func(op vfs.Op, name string) bool {
			return op == vfs.OpRename && strings.HasSuffix(name, doomedSuffix)
		}, Fault: vfs.Fault{Err: syscall.EIO}})
		if err := d.Delete(l); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := d.deleteAgain(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if again {
			l, err := d.Open(testTP, [16]byte{9}, *l.config.Load(), Hooks{})
			must(t, err)
			mustAppend(t, l, batch(1, 1, nil))
			must(t, l.Flush())
		}
		must(t, d.deleteAgain())
		if list, err := d.List(); err != nil || again != (len(list) == 1) {
			t.Fatalf("%v, %v", list, err)
		}
	}
}

// TestPointsAfterTruncation writes other records where compacted and committed ones were, and cuts the power: the checkpoints
// must not take the new ones for the old ones.
func TestPointsAfterTruncation(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	l := openLog(t, d, DefaultConfig())
	for range 4 {
		mustAppend(t, l, batch(5, 1, nil))
	}
	must(t, l.Flush())
	l.SetHighWatermark(20)
	l.mu.Lock()
	l.mu.cleanerPoint = 15
	l.mu.Unlock()
	must(t, d.checkpoint(true))
	must(t, l.TruncateSuffix(10))
	mustAppend(t, l, batch(10, 1, nil))
	must(t, l.Flush())
	if hw := l.HighWatermark(); hw != 10 {
		t.Fatalf("high watermark %d", hw)
	}
	for seed := range uint64(5) {
		mem = mem.Crash(seed)
		d = openDir(t, mem)
		l = openLog(t, d, DefaultConfig())
		if m := d.marksOf(testTP); l.HighWatermark() != 10 || m.cleanerPoint != 10 {
			t.Fatalf("high watermark %d, compacted up to %d", l.HighWatermark(), m.cleanerPoint)
		}
	}
}

// TestNoSyncUnderLock rolls a log twice between two flushes: the folder is synced in between, and meanwhile the log answers.
func TestNoSyncUnderLock(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	d := openDir(t, faults)
	l := openLog(t, d, smallSegments(300))
	syncs := 0
	faults.Add(vfs.Rule{Match: func(op vfs.Op, _ string) bool { return op == vfs.OpSync || op == vfs.OpSyncDir },
		Fault: vfs.Fault{Before: func() {
			syncs++
			l.Producers() // takes the lock
		}}})
	mustAppend(t, l, batch(3, 1, nil))
	if syncs > 0 {
		t.Fatal("the first append has synced")
	}
	for range 3 {
		mustAppend(t, l, batch(3, 1, nil))
		_, err := l.AppendReplica(placed(batch(3, 1, nil), l.EndOffset(), 1))
		must(t, err)
	}
	if n := len(*l.segments.Load()); n < 4 || syncs == 0 {
		t.Fatalf("%d segments, %d syncs", n, syncs)
	}
}

func placed(b []byte, offset int64, epoch int32) []byte {
	record.PatchOffsets(b, offset, epoch)
	return b
}

// TestFailedCutIsNotTrusted truncates a log with a sync that fails, and opens it again in the same directory. What it shows
// then must be on disk: the records that were cut off must not come back.
func TestFailedCutIsNotTrusted(t *testing.T) {
	for _, restart := range []bool{false, true} {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		l := openLog(t, d, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		must(t, d.Close())
		faults := vfs.Inject(mem)
		d = openDir(t, faults)
		l = openLog(t, d, DefaultConfig())
		faults.Add(vfs.BadSync(segmentFile(l.path, 0, logSuffix), 1))
		if err := l.TruncateSuffix(0); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		faults.Clear()
		if err := l.Close(); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		if restart {
			must(t, d.Close())
			d = openDir(t, mem)
		}
		shown := openLog(t, d, DefaultConfig()).EndOffset()
		mem = mem.Crash(3)
		if end := openLog(t, openDir(t, mem), DefaultConfig()).EndOffset(); end != shown {
			t.Fatalf("restart %v: the log ended at %d, and at %d after a power cut", restart, shown, end)
		}
	}
}

// TestReadAfterFailedCut: who reads a log of which a cut has failed is told so, and does not look for its segment for ever.
func TestReadAfterFailedCut(t *testing.T) {
	faults := vfs.Inject(vfs.NewMem())
	d := openDir(t, faults)
	l := openLog(t, d, DefaultConfig())
	for range 2 {
		mustAppend(t, l, batch(3, 1, nil))
	}
	must(t, l.Flush())
	faults.Add(vfs.BadSync(segmentFile(l.path, 0, logSuffix), 1))
	if err := l.TruncateSuffix(3); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	reads := map[string]func() error{
		"Read":               func() error { _, err := l.Read(0, 1, l.EndOffset(), true); return err },
		"OffsetForTimestamp": func() error { _, _, _, _, err := l.OffsetForTimestamp(1, l.EndOffset()); return err },
		"MaxTimestampOffset": func() error { _, _, _, _, err := l.MaxTimestampOffset(l.EndOffset()); return err },
	}
	for name, read := range reads {
		done := make(chan error, 1)
		go func() { done <- read() }()
		select {
		case err := <-done:
			if !errors.Is(err, ErrStorage) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s does not return", name)
		}
	}
}

// TestAllExpired lets everything in a log expire and starts again, in every way. The log goes on where it was.
func TestAllExpired(t *testing.T) {
	stops := map[string]func(*Dir, *vfs.Mem) *vfs.Mem{
		"clean":      func(d *Dir, mem *vfs.Mem) *vfs.Mem { must(t, d.Close()); return mem },
		"kill":       func(_ *Dir, mem *vfs.Mem) *vfs.Mem { return mem.Kill() },
		"power":      func(_ *Dir, mem *vfs.Mem) *vfs.Mem { return mem.Crash(1) },
		"checkpoint": func(d *Dir, mem *vfs.Mem) *vfs.Mem { must(t, d.checkpoint(true)); return mem.Crash(2) },
	}
	for name, stop := range stops {
		mem := vfs.NewMem()
		now := time.UnixMilli(1000)
		clock := func() time.Time { return now }
		d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, Now: clock})
		must(t, err)
		l := openLog(t, d, smallSegments(300))
		for range 5 {
			mustAppend(t, l, batch(3, 1, nil))
		}
		must(t, l.Flush())
		now = now.Add(30 * 24 * time.Hour)
		must(t, d.retain())
		must(t, d.removeDoomed())
		if l.StartOffset() != 15 {
			t.Fatalf("%s: the log begins at %d", name, l.StartOffset())
		}
		must(t, d.checkpoint(false))
		mem = stop(d, mem)
		d = openDir(t, mem)
		l = openLog(t, d, smallSegments(300))
		if l.StartOffset() != 15 || l.EndOffset() != 15 {
			t.Fatalf("%s: the log goes from %d to %d", name, l.StartOffset(), l.EndOffset())
		}
		if a := mustAppend(t, l, batch(1, 1, nil)); a.FirstOffset != 15 {
			t.Fatalf("%s: offset %d again", name, a.FirstOffset)
		}
	}
}
