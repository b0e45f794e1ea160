package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	testTP = TopicPartition{"telematics", 3}
	testID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

func openDir(t testing.TB, fsys vfs.FS) *Dir {
	t.Helper()
	d, err := OpenDir(DirConfig{FS: fsys, Path: "data", NodeID: 1, manual: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openLog(t testing.TB, d *Dir, c Config) *Log {
	t.Helper()
	l, err := d.Open(testTP, testID, c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newLog(t testing.TB, c Config) (*vfs.Mem, *Dir, *Log) {
	t.Helper()
	mem := vfs.NewMem()
	d := openDir(t, mem)
	return mem, d, openLog(t, d, c)
}

func smallSegments(bytes int64) Config {
	c := DefaultConfig()
	c.SegmentBytes, c.IndexIntervalBytes = bytes, 200
	return c
}

// batch builds a batch of n records from timestamp on, one millisecond apart.
func batch(n int, timestamp int64, p *record.Producer) []byte {
	b := record.NewBuilder(record.BuilderOptions{Producer: p})
	for i := range n {
		b.Append(record.Record{Timestamp: timestamp + int64(i), Key: fmt.Append(nil, "key", i), Value: bytes.Repeat([]byte{byte(i)}, 20)})
	}
	return slices.Clone(b.Bytes())
}

func mustAppend(t testing.TB, l *Log, b []byte) Appended {
	t.Helper()
	a, err := l.Append(b, AppendOptions{LeaderEpoch: 1, Now: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// readAll returns the headers of everything from the start, checked by the log.
func readAll(t testing.TB, l *Log) []record.Header {
	t.Helper()
	var all []record.Header
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			t.Fatal(err)
		}
		h, _ := record.ReadHeader(b)
		all = append(all, h)
	}
	return all
}

func TestAppendReadReopen(t *testing.T) {
	mem, d, l := newLog(t, smallSegments(2000))
	for i := range 50 {
		a := mustAppend(t, l, batch(3, int64(1000+i), nil))
		if a.FirstOffset != int64(3*i) || a.LastOffset != int64(3*i+2) {
			t.Fatalf("append %d: %+v", i, a)
		}
	}
	if l.FlushedOffset() != 0 {
		t.Fatalf("flushed %d before any sync", l.FlushedOffset())
	}
	d.flushQueue()
	if l.FlushedOffset() != 150 {
		t.Fatalf("flushed %d", l.FlushedOffset())
	}
	want := readAll(t, l)
	if len(want) != 50 {
		t.Fatalf("%d batches", len(want))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d = openDir(t, mem)
		if !d.WasClean() {
			t.Fatal("not clean")
		}
		l = openLog(t, d, smallSegments(2000))
		if got := readAll(t, l); !slices.Equal(got, want) {
			t.Fatalf("after a clean stop: %d batches, want %d", len(got), len(want))
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d = openDir(t, mem)
	openLog(t, d, smallSegments(2000))
	mem = mem.Kill()
	d = openDir(t, mem)
	if d.WasClean() {
		t.Fatal("clean after a kill")
	}
	l = openLog(t, d, smallSegments(2000))
	if got := readAll(t, l); !slices.Equal(got, want) || l.FlushedOffset() != 150 {
		t.Fatalf("after a kill: %d batches, flushed %d", len(got), l.FlushedOffset())
	}
}

func TestReadRanges(t *testing.T) {
	_, _, l := newLog(t, smallSegments(3000))
	var offsets []int64
	for i := range 100 {
		offsets = append(offsets, mustAppend(t, l, batch(1+i%4, int64(i), nil)).FirstOffset)
	}
	end := l.EndOffset()
	for from := range end {
		for _, maxBytes := range []int{0, 1, 150, 700, 5000, 1 << 20} {
			for _, upTo := range []int64{offsets[50], end} {
				c, err := l.Read(from, maxBytes, upTo, true)
				if err != nil {
					t.Fatal(err)
				}
				b, err := c.AppendTo([]byte("head"))
				c.Release()
				if err != nil || len(b) != c.Size()+4 {
					t.Fatalf("read %d: %d bytes, %v", from, len(b), err)
				}
				if from >= upTo {
					if c.Size() != 0 {
						t.Fatalf("read %d up to %d returned %d bytes", from, upTo, c.Size())
					}
					continue
				}
				first, err := record.ReadHeader(b[4:])
				if err != nil || first.BaseOffset > from || first.LastOffset() < from {
					t.Fatalf("read %d: first batch %d to %d, %v", from, first.BaseOffset, first.LastOffset(), err)
				}
				if c.Size() > maxBytes && c.Size() != first.Size() {
					t.Fatalf("read %d: %d bytes of at most %d", from, c.Size(), maxBytes)
				}
				if next := lastNext(b[4:]); next != c.NextOffset() || next > upTo {
					t.Fatalf("read %d to %d: next %d, batches end at %d", from, upTo, c.NextOffset(), next)
				}
			}
		}
	}
	if _, err := l.Read(end+1, 100, end, true); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	if c, err := l.Read(end, 100, end, true); err != nil || c.Size() != 0 {
		t.Fatal(c.Size(), err)
	}
}

func lastNext(b []byte) (next int64) {
	for len(b) > 0 {
		h, _ := record.ReadHeader(b)
		next, b = h.NextOffset(), b[h.Size():]
	}
	return next
}

func TestTruncateAndReset(t *testing.T) {
	mem, _, l := newLog(t, smallSegments(1000))
	for i := range 40 {
		mustAppend(t, l, batch(2, int64(i), nil))
	}
	must(t, l.StartEpoch(2))
	must(t, l.TruncateSuffix(31))
	if l.EndOffset() != 30 || l.FlushedOffset() != 30 || l.LatestEpoch() != 1 {
		t.Fatalf("end %d, flushed %d, epoch %d", l.EndOffset(), l.FlushedOffset(), l.LatestEpoch())
	}
	if _, err := l.Append(batch(2, 99, nil), AppendOptions{LeaderEpoch: 3}); err != nil {
		t.Fatal(err)
	}
	must(t, l.Flush())
	want := readAll(t, l)
	mem = mem.Crash(1)
	d := openDir(t, mem)
	l = openLog(t, d, smallSegments(1000))
	if got := readAll(t, l); !slices.Equal(got, want) {
		t.Fatalf("%d batches after the crash, want %d", len(got), len(want))
	}
	if epoch, end := l.EpochEndOffset(2, l.EndOffset()); epoch != 1 || end != 30 {
		t.Fatalf("epoch %d ends at %d", epoch, end)
	}
	for _, offset := range []int64{100, 5, 5, 2000} {
		must(t, l.ResetTo(offset))
		if l.StartOffset() != offset || l.EndOffset() != offset || l.LatestEpoch() != -1 {
			t.Fatalf("reset to %d: %d to %d", offset, l.StartOffset(), l.EndOffset())
		}
		mem = mem.Crash(1)
		d = openDir(t, mem)
		l = openLog(t, d, smallSegments(1000))
		if l.StartOffset() != offset || l.EndOffset() != offset {
			t.Fatalf("reset to %d and crashed: %d to %d", offset, l.StartOffset(), l.EndOffset())
		}
		if a := mustAppend(t, l, batch(2, 99, nil)); a.FirstOffset != offset {
			t.Fatal(a)
		}
		must(t, l.Flush())
	}
	_ = d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTimestamps(t *testing.T) {
	_, _, l := newLog(t, smallSegments(1500))
	times := []int64{100, 300, 200, 500, 400, 900, 700, 800}
	for _, ts := range times {
		for range 5 {
			mustAppend(t, l, batch(2, ts, nil))
		}
	}
	end := l.EndOffset()
	for ts := int64(0); ts < 1000; ts += 50 {
		want := int64(-1)
		for i := range end {
			if times[i/10]+i%2 >= ts {
				want = i
				break
			}
		}
		got, _, _, found, err := l.OffsetForTimestamp(ts, end)
		if err != nil || found != (want >= 0) || found && got != want {
			t.Fatalf("timestamp %d: offset %d %v %v, want %d", ts, got, found, err, want)
		}
	}
	offset, ts, epoch, found, err := l.MaxTimestampOffset(end)
	if offset != 51 || ts != 901 || epoch != 1 || !found || err != nil {
		t.Fatal(offset, ts, epoch, found, err)
	}
	if offset, _, _, _, _ = l.MaxTimestampOffset(45); offset != 31 {
		t.Fatal(offset)
	}
}

func TestIdempotence(t *testing.T) {
	mem, d, l := newLog(t, smallSegments(100000))
	send := func(l *Log, epoch int16, sequence int32, n int) (Appended, error) {
		return l.Append(batch(n, 5, &record.Producer{ID: 7, Epoch: epoch, Sequence: sequence}), AppendOptions{LeaderEpoch: 1, Now: 9})
	}
	for i := range 6 {
		a, err := send(l, 0, int32(10*i), 10)
		if err != nil || a.FirstOffset != int64(10*i) || a.Duplicate {
			t.Fatal(a, err)
		}
	}
	for i := 1; i < 6; i++ {
		a, err := send(l, 0, int32(10*i), 10)
		if err != nil || a.FirstOffset != int64(10*i) || a.LastOffset != int64(10*i+9) || !a.Duplicate {
			t.Fatal(i, a, err)
		}
	}
	if a, err := send(l, 0, 0, 10); err != nil || !a.Forgotten || !a.Duplicate || a.FirstOffset != -1 || a.LastOffset != 9 {
		t.Fatal(a, err)
	}
	if _, err := send(l, 0, 61, 10); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Fatal(err)
	}
	must(t, l.Flush())
	must(t, d.Close())
	d = openDir(t, mem)
	l = openLog(t, d, smallSegments(100000))
	for i := 1; i < 6; i++ {
		if a, err := send(l, 0, int32(10*i), 10); err != nil || a.FirstOffset != int64(10*i) || !a.Duplicate {
			t.Fatal("after a restart:", i, a, err)
		}
	}
	if _, err := send(l, 1, 5, 1); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Fatal(err)
	}
	if _, err := send(l, 1, 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := send(l, 0, 60, 1); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Fatal(err)
	}
	if a, err := l.Append(batch(1, 5, &record.Producer{ID: 8, Epoch: 3, Sequence: 1<<31 - 2}), AppendOptions{LeaderEpoch: 1}); err != nil {
		t.Fatal("unknown producer in the middle of its sequence:", a, err)
	}
	for _, sequence := range []int32{1<<31 - 1, 0, 1} {
		if _, err := l.Append(batch(1, 5, &record.Producer{ID: 8, Epoch: 3, Sequence: sequence}), AppendOptions{LeaderEpoch: 1}); err != nil {
			t.Fatal("wrap at", sequence, err)
		}
	}
	want := l.Producers()
	must(t, l.Flush())
	d = openDir(t, mem.Crash(3))
	l = openLog(t, d, smallSegments(100000))
	if got := l.Producers(); !slices.Equal(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

func TestDiskFull(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	l := openLog(t, d, DefaultConfig())
	mustAppend(t, l, batch(3, 1, nil))
	must(t, l.Flush())
	mem.SetLimit(64 << 10)
	n := 0
	var err error
	for err == nil {
		_, err = l.Append(batch(100, 1, nil), AppendOptions{LeaderEpoch: 1})
		n++
	}
	if !errors.Is(err, ErrNoSpace) || n < 3 {
		t.Fatal(n, err)
	}
	end := l.EndOffset()
	if got := len(readAll(t, l)); got != n {
		t.Fatalf("%d batches, want %d", got, n)
	}
	mem.SetLimit(1 << 30)
	if a := mustAppend(t, l, batch(3, 1, nil)); a.FirstOffset != end {
		t.Fatal(a)
	}
	must(t, l.Flush())
}

// TestDiskFullIsNoGap sends three batches of a producer of which the first finds no room.
func TestDiskFullIsNoGap(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	l := openLog(t, openDir(t, faults), DefaultConfig())
	send := func(sequence int32) error {
		_, err := l.Append(batch(1, 1, &record.Producer{ID: 7, Sequence: sequence}), AppendOptions{LeaderEpoch: 1})
		return err
	}
	must(t, send(0))
	faults.Add(vfs.Rule{Times: 1, Match: func(op vfs.Op, _ string) bool { return op == vfs.OpWrite }, Fault: vfs.Fault{Err: syscall.ENOSPC}})
	for _, sequence := range []int32{1, 2, 3} {
		if err := send(sequence); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("sequence %d when the first one found no room: %v", sequence, err)
		}
	}
	for _, sequence := range []int32{1, 2, 3} {
		must(t, send(sequence))
	}
	if err := send(9); !errors.Is(err, ErrOutOfOrderSequence) || errors.Is(err, ErrNoSpace) {
		t.Fatalf("a gap when there is room: %v", err)
	}
}

// TestRoomAgain gives up on a batch that found no room: its producer never sends it again, and nobody else writes.
func TestRoomAgain(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	now := time.Duration(0)
	d, err := OpenDir(DirConfig{FS: faults, Path: "data", NodeID: 1, manual: true, Monotonic: func() time.Duration { return now }})
	must(t, err)
	l := openLog(t, d, DefaultConfig())
	send := func(sequence int32) error {
		_, err := l.Append(batch(1, 1, &record.Producer{ID: 7, Sequence: sequence}), AppendOptions{LeaderEpoch: 1})
		return err
	}
	must(t, send(0))
	faults.Add(vfs.Rule{Times: 1, Match: func(op vfs.Op, _ string) bool { return op == vfs.OpWrite }, Fault: vfs.Fault{Err: syscall.ENOSPC}})
	if err := send(1); !errors.Is(err, ErrNoSpace) || !l.Full() {
		t.Fatalf("there is no room: %v, full %v", err, l.Full())
	}
	now += roomPatience - 1
	if err := send(2); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("while the first one may come again: %v", err)
	}
	now += 1
	mem.SetLimit(roomBytesLeast - 1)
	if err := send(2); !errors.Is(err, ErrNoSpace) || !l.Full() {
		t.Fatalf("without room: %v, full %v", err, l.Full())
	}
	mem.SetLimit(1 << 30)
	if err := send(2); !errors.Is(err, ErrOutOfOrderSequence) || errors.Is(err, ErrNoSpace) || l.Full() {
		t.Fatalf("with room: %v, full %v", err, l.Full())
	}
}

func TestFailedSyncPoisons(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	d := openDir(t, faults)
	var failed error
	l, err := d.Open(testTP, testID, DefaultConfig(), Hooks{Failed: func(err error) { failed = err }})
	must(t, err)
	mustAppend(t, l, batch(3, 1, nil))
	d.flushQueue()
	mustAppend(t, l, batch(3, 1, nil))
	faults.Add(vfs.Rule{Times: 1, Match: func(op vfs.Op, name string) bool { return op == vfs.OpSync }, Fault: vfs.Fault{Err: errors.New("input/output error")}})
	d.flushQueue()
	d.flushQueue()
	if failed == nil || !errors.Is(l.Err(), ErrStorage) || l.FlushedOffset() != 3 {
		t.Fatal(failed, l.Err(), l.FlushedOffset())
	}
	if _, err := l.Append(batch(3, 1, nil), AppendOptions{LeaderEpoch: 1}); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	if err := l.Flush(); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	if got := readAll(t, l); len(got) != 2 {
		t.Fatal("reads must go on:", len(got))
	}
	if err := d.Close(); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
}

func TestRetention(t *testing.T) {
	now, mono := time.UnixMilli(1_000_000), time.Duration(0)
	mem := vfs.NewMem()
	d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true,
		Now: func() time.Time { return now }, Monotonic: func() time.Duration { return mono }})
	must(t, err)
	c := smallSegments(1000)
	c.RetentionMs = 60_000
	l := openLog(t, d, c)
	for i := range 100 {
		mustAppend(t, l, batch(2, now.UnixMilli()+int64(i), nil))
	}
	pass := func(step time.Duration) { now, mono = now.Add(step), mono+step; d.maintain() }
	pass(30 * time.Second)
	must(t, d.retain())
	if l.StartOffset() != 0 {
		t.Fatal("deleted before its time:", l.StartOffset())
	}
	must(t, l.Flush())
	now = now.Add(48 * time.Hour)
	d.maintain()
	must(t, d.retain())
	if l.StartOffset() != 0 {
		t.Fatal("a set clock has deleted records:", l.StartOffset())
	}
	pass(10 * time.Second)
	now = now.Add(-48 * time.Hour)
	pass(10 * time.Second)
	pass(2 * time.Hour)
	must(t, d.retain())
	if l.StartOffset() != 200 || l.Size() != 0 {
		t.Fatal("not deleted:", l.StartOffset(), l.Size())
	}
	if a := mustAppend(t, l, batch(2, now.UnixMilli(), nil)); a.FirstOffset != 200 {
		t.Fatal(a)
	}
	c.RetentionMs, c.RetentionBytes = -1, 1500
	l.SetConfig(c)
	for range 100 {
		mustAppend(t, l, batch(2, now.UnixMilli(), nil))
	}
	must(t, l.Flush())
	must(t, d.retain())
	if size := l.Size(); size < 1500 || size > 2600 {
		t.Fatal("size", size)
	}
	must(t, l.SetStartOffset(l.EndOffset()))
	must(t, d.retain())
	if n := len(*l.segments.Load()); n != 1 {
		t.Fatal(n, "segments after all records were deleted")
	}
	start := l.StartOffset()
	pass(time.Hour)
	names, err := mem.List("data/" + testTP.String())
	must(t, err)
	if len(names) > 6 {
		t.Fatal("files are left:", names)
	}
	d = openDir(t, mem.Crash(5))
	if l = openLog(t, d, c); l.StartOffset() != start {
		t.Fatalf("start %d after a crash, want %d", l.StartOffset(), start)
	}
}

// TestRetentionOfTheLastSegment: what is too old goes although nothing is written behind it, whatever the mode.
func TestRetentionOfTheLastSegment(t *testing.T) {
	for _, mode := range []FlushMode{FlushSync, FlushOS} {
		now := time.UnixMilli(1_000_000)
		d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, Flush: mode, manual: true, Now: func() time.Time { return now }})
		must(t, err)
		l := openLog(t, d, DefaultConfig())
		mustAppend(t, l, batch(3, now.UnixMilli(), nil))
		d.flushQueue()
		now = now.Add(8 * 24 * time.Hour)
		l.SetHighWatermark(2)
		must(t, d.retain())
		if l.StartOffset() != 0 {
			t.Fatalf("mode %d: what is not committed was deleted: %d", mode, l.StartOffset())
		}
		l.SetHighWatermark(3)
		must(t, d.retain())
		if l.StartOffset() != 3 || l.Size() != 0 {
			t.Errorf("mode %d: the log begins at %d and has %d bytes", mode, l.StartOffset(), l.Size())
		}
		must(t, d.Close())
	}
}

func TestDeleteAndMakeAgain(t *testing.T) {
	mem, d, l := newLog(t, DefaultConfig())
	mustAppend(t, l, batch(3, 1, nil))
	must(t, l.Flush())
	must(t, d.checkpoint(true))
	must(t, d.Delete(l))
	if _, err := l.Append(batch(1, 1, nil), AppendOptions{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	other := testID
	slices.Reverse(other[:])
	l, err := d.Open(testTP, other, DefaultConfig(), Hooks{})
	must(t, err)
	if l.EndOffset() != 0 {
		t.Fatal(l.EndOffset())
	}
	mustAppend(t, l, batch(1, 1, nil))
	must(t, l.Flush())
	d = openDir(t, mem.Crash(9))
	if l = openLog(t, d, DefaultConfig()); l.EndOffset() != 0 { // testID is a third topic to this folder
		t.Fatal("records of another topic:", l.EndOffset())
	}
}

func TestOpenDirRefuses(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	if _, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	must(t, d.Close())
	if _, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 2, manual: true}); !errors.Is(err, ErrForeignCluster) {
		t.Fatal(err)
	}
	if _, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, ClusterID: "other", manual: true}); !errors.Is(err, ErrForeignCluster) {
		t.Fatal(err)
	}
	must(t, vfs.WriteFileAtomic(mem, "data/meta.properties", []byte("version=2\nnode.id=1\ncluster.id=x\n")))
	if _, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true}); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
	must(t, mem.MkdirAll("other/a-0"))
	if _, err := OpenDir(DirConfig{FS: mem, Path: "other", NodeID: 1, manual: true}); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
}

// TestCheckpointsTakeTheirTime: where a checkpoint takes long, as with very many logs, the next one waits.
func TestCheckpointsTakeTheirTime(t *testing.T) {
	mono, cost, written := time.Duration(0), 100*time.Millisecond, 0
	faults := vfs.Inject(vfs.NewMem())
	d, err := OpenDir(DirConfig{FS: faults, Path: "data", NodeID: 1, manual: true, Monotonic: func() time.Duration { return mono }})
	must(t, err)
	l := openLog(t, d, DefaultConfig())
	points := func(op vfs.Op, name string) bool {
		return op == vfs.OpRename && strings.HasSuffix(name, "/"+recoveryFile)
	}
	faults.Add(vfs.Rule{Match: points, Fault: vfs.Fault{Before: func() { mono += cost; written++ }}})
	pass := func(step time.Duration, want int) {
		t.Helper()
		mustAppend(t, l, batch(1, 1, nil))
		must(t, l.Flush())
		l.SetHighWatermark(l.EndOffset())
		mono += step
		d.maintain()
		if written != want {
			t.Fatalf("at %v: %d checkpoints, want %d", mono, written, want)
		}
	}
	pass(time.Second, 1)
	pass(time.Second, 1)
	pass(900*time.Millisecond, 1)
	pass(200*time.Millisecond, 2)
	cost = time.Minute
	pass(3*time.Second, 3)
	pass(9*time.Second, 3)
	cost = 0
	pass(2*time.Second, 4)
	pass(time.Second, 5)
}

func TestBackground(t *testing.T) {
	d, err := OpenDir(DirConfig{FS: vfs.Disk(), Path: t.TempDir(), NodeID: 1})
	must(t, err)
	flushed := make(chan int64, 100)
	l, err := d.Open(testTP, testID, DefaultConfig(), Hooks{Flushed: func(end int64) { flushed <- end }})
	must(t, err)
	mustAppend(t, l, batch(3, 1, nil))
	for end := int64(0); end < 3; end = <-flushed {
	}
	must(t, d.Close())
}

func TestTimestampAt(t *testing.T) {
	_, _, l := newLog(t, smallSegments(400))
	for i := range 5 {
		mustAppend(t, l, batch(2, int64(1000*(i+1)), nil))
	}
	stamped := batch(1, 7, nil)
	record.SetLogAppendTime(stamped, 9999)
	mustAppend(t, l, stamped)
	for offset, want := range map[int64]int64{0: 1000, 1: 1000, 5: 3000, 9: 5000, 10: 9999, 11: record.NoTimestamp} {
		if got, err := l.TimestampAt(offset); err != nil || got != want {
			t.Errorf("offset %d is of %d, %v, want %d", offset, got, err, want)
		}
	}
	if _, err := l.TimestampAt(12); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestWithFlushOSAnAppendCountsAtOnce(t *testing.T) {
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, Flush: FlushOS, manual: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := openLog(t, d, DefaultConfig())
	a, err := l.Append(batch(3, 1000, nil), AppendOptions{Now: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if l.FlushedOffset() != a.LastOffset+1 || l.synced.Load() != 0 {
		t.Errorf("flushed %d, synced %d after offset %d", l.FlushedOffset(), l.synced.Load(), a.LastOffset)
	}
	if !d.changed.Load() {
		t.Error("nothing to checkpoint")
	}
}
