package commitlog

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

func compactConfig() Config {
	c := smallSegments(800)
	c.Delete, c.Compact, c.MinCleanableRatio, c.DeleteRetentionMs = false, true, 0, 1000
	return c
}

// keyed builds a batch of one record per key; a nil value is a tombstone.
func keyed(p *record.Producer, value []byte, keys ...string) []byte {
	b := record.NewBuilder(record.BuilderOptions{Producer: p, Codec: record.LZ4})
	for i, k := range keys {
		b.Append(record.Record{Timestamp: int64(1000 + i), Key: []byte(k), Value: value})
	}
	return slices.Clone(b.Bytes())
}

// records returns offset and key of every record, "-" behind the key of a tombstone.
func records(t testing.TB, l *Log) []string {
	t.Helper()
	var all []string
	for b, err := range l.Batches(l.StartOffset()) {
		must(t, err)
		for r, err := range record.Records(b, 1<<20) {
			must(t, err)
			s := fmt.Sprintf("%d %s", r.Offset, r.Key)
			if r.Value == nil {
				s += " -"
			}
			all = append(all, s)
		}
	}
	return all
}

func TestCompaction(t *testing.T) {
	now := time.UnixMilli(5000)
	mem := vfs.NewMem()
	d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return now }})
	must(t, err)
	l := openLog(t, d, compactConfig())
	value := []byte("value")
	for i := range 30 {
		p := &record.Producer{ID: int64(i % 3), Sequence: int32(i / 3 * 3)}
		mustAppend(t, l, keyed(p, value, "a", fmt.Sprint("b", i%5), fmt.Sprint("only", i)))
	}
	mustAppend(t, l, keyed(nil, nil, "a", "b1"))
	mustAppend(t, l, keyed(nil, value, "b2"))
	must(t, l.Flush())
	roll := func() {
		l.mu.Lock()
		l.roll(l.end.Load(), l.config.Load())
		l.mu.Unlock()
		mustAppend(t, l, keyed(nil, value, "last"))
		must(t, l.Flush())
	}
	roll()
	producersBefore := l.Producers()
	want := []string{}
	for i := range 30 {
		if i >= 25 && i != 26 && i != 27 {
			want = append(want, fmt.Sprintf("%d b%d", 3*i+1, i%5))
		}
		want = append(want, fmt.Sprintf("%d only%d", 3*i+2, i))
	}
	want = append(want, "90 a -", "91 b1 -", "92 b2", "93 last")
	check := func(l *Log, want []string) {
		t.Helper()
		if got := records(t, l); !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
		if got := l.Producers(); !slices.Equal(got, producersBefore) {
			t.Fatalf("producers %+v, want %+v", got, producersBefore)
		}
	}
	must(t, l.compact())
	check(l, want)
	for offset := range l.EndOffset() {
		c, err := l.Read(offset, 1, l.EndOffset(), true)
		must(t, err)
		b, err := c.AppendTo(nil)
		must(t, err)
		if h, err := record.ReadHeader(b); err != nil || h.LastOffset() < offset || c.NextOffset() != h.NextOffset() && len(*l.segments.Load()) == 1 {
			t.Fatalf("read %d: %d to %d, next %d, %v", offset, h.BaseOffset, h.LastOffset(), c.NextOffset(), err)
		}
		c.Release()
	}
	for _, crash := range []bool{false, true} {
		if crash {
			mem = mem.Crash(4)
		} else {
			must(t, d.Close())
		}
		d, err = OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return now }})
		must(t, err)
		l = openLog(t, d, compactConfig())
		check(l, want)
	}
	now = now.Add(2 * time.Second) // past the horizon that the first pass has written
	mustAppend(t, l, keyed(nil, value, "c"))
	must(t, l.Flush())
	roll()
	must(t, l.compact())
	want = slices.DeleteFunc(want, func(s string) bool { return s == "90 a -" || s == "91 b1 -" })
	want = append(want, "94 c", "95 last")
	check(l, want)
}

func TestCompactionWithSmallTable(t *testing.T) {
	mem := vfs.NewMem()
	d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, CleanerBytesMax: 1})
	must(t, err)
	c := compactConfig()
	c.SegmentBytes = 20000
	l := openLog(t, d, c)
	rng := rand.New(rand.NewPCG(1, 2))
	last := map[string]int64{}
	for range 4000 {
		k := fmt.Sprint(rng.IntN(1500))
		last[k] = mustAppend(t, l, keyed(nil, []byte("v"), k)).FirstOffset
	}
	must(t, l.Flush())
	for range 10 {
		must(t, l.compact())
	}
	l.mu.Lock()
	point := l.mu.cleanerPoint
	l.mu.Unlock()
	active := (*l.segments.Load())[len(*l.segments.Load())-1].base
	if point != active {
		t.Fatalf("compacted up to %d of %d", point, active)
	}
	all := records(t, l)
	for k, offset := range last {
		if !slices.Contains(all, fmt.Sprintf("%d %s", offset, k)) {
			t.Fatalf("the last record of %s at %d is gone", k, offset)
		}
	}
	if len(all) > 3000 {
		t.Fatal(len(all), "records left")
	}
}

// TestTombstonesForEver: with the largest delete.retention.ms a tombstone stays, pass after pass.
func TestTombstonesForEver(t *testing.T) {
	now := time.UnixMilli(5000)
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return now }})
	must(t, err)
	c := compactConfig()
	c.DeleteRetentionMs = math.MaxInt64
	l := openLog(t, d, c)
	mustAppend(t, l, keyed(nil, nil, "gone"))
	for range 3 {
		l.mu.Lock()
		l.roll(l.end.Load(), l.config.Load())
		l.mu.Unlock()
		mustAppend(t, l, keyed(nil, []byte("value"), "a"))
		must(t, l.Flush())
		now = now.Add(24 * time.Hour)
		must(t, l.compact())
	}
	if got, want := records(t, l), []string{"0 gone -", "2 a", "3 a"}; !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	for b, err := range l.Batches(0) {
		must(t, err)
		for r, err := range record.Records(b, 1<<20) {
			must(t, err)
			if r.Timestamp != 1000 {
				t.Errorf("offset %d is of %d", r.Offset, r.Timestamp)
			}
		}
	}
}

// TestCompactionEndsWithClose: Close does not wait until all that is dirty has been compacted.
func TestCompactionEndsWithClose(t *testing.T) {
	mem := vfs.NewMem()
	faults := vfs.Inject(mem)
	d, err := OpenDir(DirConfig{FS: faults, Path: "data", NodeID: 1, CheckpointInterval: time.Millisecond, CleanerInterval: time.Millisecond})
	must(t, err)
	reached := make(chan struct{})
	cleans := func(op vfs.Op, name string) bool { return op == vfs.OpCreate && strings.HasSuffix(name, cleanedSuffix) }
	faults.Add(vfs.Rule{Match: cleans, Times: 1, Fault: vfs.Fault{Before: func() {
		close(reached)
		<-d.stop
	}}})
	l := openLog(t, d, compactConfig())
	for range 30 {
		mustAppend(t, l, keyed(nil, []byte("value"), "a", "b"))
	}
	must(t, l.Flush())
	want := records(t, l)
	<-reached
	must(t, d.Close())
	names, err := mem.List(l.path)
	must(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, cleanedSuffix) {
			t.Error(name, "is left")
		}
	}
	l = openLog(t, openDir(t, mem), compactConfig())
	if got := records(t, l); !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

func TestCompactionLags(t *testing.T) {
	now := time.UnixMilli(10_000)
	mem := vfs.NewMem()
	d, err := OpenDir(DirConfig{FS: mem, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return now }})
	must(t, err)
	c := compactConfig()
	c.MinCompactionLagMs = 20_000
	l := openLog(t, d, c)
	for range 40 {
		mustAppend(t, l, keyed(nil, []byte("v"), "a"))
	}
	must(t, l.Flush())
	must(t, l.compact())
	if n := len(records(t, l)); n != 40 {
		t.Fatal("compacted before its time:", n)
	}
	now = now.Add(time.Minute)
	l.SetHighWatermark(5)
	must(t, l.compact())
	if n := len(records(t, l)); n != 40 {
		t.Fatal("compacted beyond the high watermark:", n)
	}
	l.SetHighWatermark(l.EndOffset())
	must(t, l.compact())
	if n := len(records(t, l)); n > 15 {
		t.Fatal("not compacted:", n)
	}
}
