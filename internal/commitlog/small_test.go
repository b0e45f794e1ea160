package commitlog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

func TestProducerExpiry(t *testing.T) {
	now, mono := time.UnixMilli(1_000_000), time.Duration(0)
	d, err := OpenDir(DirConfig{FS: vfs.NewMem(), Path: "data", NodeID: 1, manual: true,
		Now: func() time.Time { return now }, Monotonic: func() time.Duration { return mono }})
	must(t, err)
	c := DefaultConfig()
	c.ProducerExpirationMs = time.Hour.Milliseconds()
	l := openLog(t, d, c)
	send := func(sequence int32) error { // records of years ago: their age does not count
		_, err := l.Append(batch(1, 5, &record.Producer{ID: 7, Sequence: sequence}), AppendOptions{Now: now.UnixMilli()})
		return err
	}
	must(t, send(0))
	now, mono = now.Add(30*time.Minute), mono+30*time.Minute
	d.maintain()
	if err := send(5); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Fatal("forgotten before its time:", err)
	}
	now, mono = now.Add(31*time.Minute), mono+31*time.Minute
	d.maintain()
	if n := len(l.Producers()); n != 0 {
		t.Fatal(n, "producers left")
	}
	must(t, send(5)) // its state is gone: any sequence goes
}

func TestReservation(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	f, err := mem.OpenFile("data/file", 0x42) // os.O_RDWR|os.O_CREATE
	must(t, err)
	defer f.Close()
	var r reservation
	for end, now := int64(0), int64(0); end < 8<<20; end, now = end+64<<10, now+2000 {
		r.ahead(f, d, end, now, 16<<20)
	}
	if r.end != 0 {
		t.Fatal("an idle log has reserved", r.end)
	}
	var chunks []int64
	for end, now := int64(8<<20), int64(1e9); end < 64<<20; end, now = end+64<<10, now+1 {
		r.ahead(f, d, end, now, 16<<20)
		if len(chunks) == 0 || chunks[len(chunks)-1] != r.chunk {
			chunks = append(chunks, r.chunk)
		}
	}
	if want := []int64{0, 1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20}; !slices.Equal(chunks, want) {
		t.Fatal("chunks", chunks)
	}
	mem.SetLimit(128 << 20)
	before := r.end
	r.ahead(f, d, r.end+1, 1e9, 16<<20)
	if r.end != before {
		t.Fatal("reserved on a nearly full disk")
	}
}

// TestEpochs is KIP-101's question and its answers.
func TestEpochs(t *testing.T) {
	_, _, l := newLog(t, DefaultConfig())
	for _, epoch := range []int32{2, 2, 5, 7} {
		_, err := l.Append(batch(10, 1, nil), AppendOptions{LeaderEpoch: epoch})
		must(t, err)
	}
	must(t, l.StartEpoch(9))
	for _, c := range []struct {
		asked, found int32
		end          int64
	}{{1, 1, 0}, {2, 2, 20}, {3, 2, 20}, {5, 5, 30}, {6, 5, 30}, {7, 7, 40}, {8, 7, 40}, {9, 9, 40}, {10, -1, -1}, {-1, -1, -1}} {
		if found, end := l.EpochEndOffset(c.asked, l.EndOffset()); found != c.found || end != c.end {
			t.Errorf("epoch %d: (%d, %d), want (%d, %d)", c.asked, found, end, c.found, c.end)
		}
	}
	if _, err := l.Append(batch(1, 1, nil), AppendOptions{LeaderEpoch: 6}); !errors.Is(err, ErrInvalidBatch) {
		t.Error("an older epoch was appended:", err)
	}
	must(t, l.SetStartOffset(25))
	if found, end := l.EpochEndOffset(2, 40); found != 2 || end != 25 {
		t.Error(found, end)
	}
	follower := batch(1, 1, nil) // of epoch 7: epoch 9 has no records and goes
	record.PatchOffsets(follower, 40, 7)
	if _, err := l.AppendReplica(follower); err != nil || l.LatestEpoch() != 7 {
		t.Error(l.LatestEpoch(), err)
	}
	if _, err := l.AppendReplica(follower); !errors.Is(err, ErrInvalidBatch) {
		t.Error("the same offset twice:", err)
	}
}

// TestKafkaDirectory takes over a folder as a Kafka that was killed leaves it: preallocated indexes, no epochs.
func TestKafkaDirectory(t *testing.T) {
	mem, d, l := newLog(t, smallSegments(1000))
	for i := range 30 {
		mustAppend(t, l, batch(3, int64(1000*i), nil))
	}
	want := readAll(t, l)
	must(t, d.Close())
	folder := "data/" + testTP.String()
	last := (*l.segments.Load())[len(*l.segments.Load())-1].base
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		name := segmentFile(folder, last, suffix)
		b, err := vfs.ReadFile(mem, name, 1<<20)
		must(t, err)
		must(t, vfs.WriteFileAtomic(mem, name, append(b, make([]byte, 1200)...)))
	}
	must(t, mem.Remove(folder+"/"+epochFile))
	must(t, mem.Remove("data/"+cleanFile))
	d = openDir(t, mem)
	l = openLog(t, d, smallSegments(1000))
	if got := readAll(t, l); !slices.Equal(got, want) || l.LatestEpoch() != 1 {
		t.Fatal(len(got), "batches, epoch", l.LatestEpoch())
	}
	for ts := int64(0); ts < 30_000; ts += 500 {
		offset, _, _, found, err := l.OffsetForTimestamp(ts, l.EndOffset())
		if want := (ts + 997) / 1000 * 3; err != nil || found != (ts <= 29_002) || found && ts%1000 == 0 && offset != want {
			t.Fatal(ts, offset, found, err)
		}
	}
}
