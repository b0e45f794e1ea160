package commitlog

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Every decoder either refuses with its class of error, or returns what encodes to the same again. What they allocate is
// bounded by the length of their input.

func FuzzOffsetIndex(f *testing.F) {
	f.Add(encodeOffsetIndex([]offsetEntry{{3, 100}, {9, 5000}}), int64(10_000))
	f.Add(make([]byte, 64), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		entries, err := decodeOffsetIndex(b, size)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		if again := encodeOffsetIndex(entries); !bytes.HasPrefix(b, again) || !allZero(b[len(again):]) {
			t.Fatalf("%x became %x", b, again)
		}
		for _, e := range entries {
			if got, ok := floorOffset(entries, int64(e.relative)); !ok || got != e {
				t.Fatalf("entry %v is not found", e)
			}
		}
	})
}

func FuzzTimeIndex(f *testing.F) {
	f.Add(encodeTimeIndex([]timeEntry{{1000, 0}, {2000, 7}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeTimeIndex(b)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		if again := encodeTimeIndex(entries); !bytes.HasPrefix(b, again) || !allZero(b[len(again):]) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	var ps producers
	h := record.Header{BaseOffset: 4, LastOffsetDelta: 2, ProducerID: 5, ProducerEpoch: 1, BaseSequence: 3, MaxTimestamp: 9}
	ps.apply(&h, 0)
	f.Add(encodeSnapshot(&ps))
	f.Add(encodeSnapshot(&producers{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeSnapshot(b, 0)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		again, err := decodeSnapshot(encodeSnapshot(&got), 0)
		if err != nil || !slices.Equal(again.states(), got.states()) {
			t.Fatalf("%+v became %+v, %v", got.states(), again.states(), err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(checkpoint{{"a", 0}: 5, {"b", 17}: 1 << 40}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCheckpoint(b)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		again, err := decodeCheckpoint(c.encode())
		if err != nil || len(again) != len(c) {
			t.Fatalf("%q became %q, %v", b, c.encode(), err)
		}
	})
}

func FuzzEpochs(f *testing.F) {
	f.Add(encodeEpochs([]epochEntry{{1, 0}, {4, 77}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeEpochs(b)
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		if again, err := decodeEpochs(encodeEpochs(entries)); err != nil || !slices.Equal(again, entries) {
			t.Fatalf("%v became %v, %v", entries, again, err)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(meta{clusterID: "c", nodeID: 3, directoryID: testID}.encode(time.UnixMilli(5)))
	f.Add(encodePartitionMeta(testID))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMeta(b); err != nil {
			refusedAs(t, err, ErrFormat)
		} else if again, err := decodeMeta(m.encode(time.UnixMilli(5))); err != nil || again != m {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
		if id, err := decodePartitionMeta(b); err != nil {
			refusedAs(t, err, ErrCorrupt)
		} else if again, err := decodePartitionMeta(encodePartitionMeta(id)); err != nil || again != id {
			t.Fatalf("%x became %x, %v", id, again, err)
		}
	})
}

func refusedAs(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("%v is not %v", err, class)
	}
}

// FuzzRecovery opens a folder with any bytes as its segment, its index and its snapshot. What is then read must be whole
// batches in order, and the same once more after a clean stop.
func FuzzRecovery(f *testing.F) {
	one := batch(2, 1000, &record.Producer{ID: 4})
	two := batch(3, 2000, nil)
	record.PatchOffsets(two, 2, 0)
	f.Add(slices.Concat(one, two), encodeOffsetIndex([]offsetEntry{{4, int32(len(one))}}), encodeSnapshot(&producers{}))
	f.Add(append(slices.Clone(one), two[:50]...), []byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, segment, index, snapshot []byte) {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		must(t, mem.MkdirAll("data/"+testTP.String()))
		folder := "data/" + testTP.String()
		must(t, vfs.WriteFileAtomic(mem, segmentFile(folder, 0, logSuffix), segment))
		must(t, vfs.WriteFileAtomic(mem, segmentFile(folder, 0, indexSuffix), index))
		must(t, vfs.WriteFileAtomic(mem, segmentFile(folder, 2, snapshotSuffix), snapshot))
		l, err := d.Open(testTP, testID, DefaultConfig(), Hooks{})
		if err != nil {
			refusedAs(t, err, ErrCorrupt)
			return
		}
		first := readAll(t, l)
		must(t, d.Close())
		d = openDir(t, mem)
		l = openLog(t, d, DefaultConfig())
		if again := readAll(t, l); !slices.Equal(again, first) {
			t.Fatalf("%v, then %v", first, again)
		}
		must(t, d.Close())
	})
}
