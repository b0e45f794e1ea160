//go:build linux

package main

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/sim/check"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func batch(base int64, values ...string) string {
	b := record.NewBuilder(record.BuilderOptions{BaseOffset: base})
	for i, v := range values {
		b.Append(record.Record{Offset: base + int64(i), Value: []byte(v)})
	}
	return string(b.Bytes())
}

func TestReadLog(t *testing.T) {
	fsys := vfs.NewMem()
	vfstest.Write(t, fsys, "p/00000000000000000000.log", batch(0, "a", "b")+batch(2, "c"))
	vfstest.Write(t, fsys, "p/00000000000000000003.log", batch(3, "d"))
	vfstest.Write(t, fsys, "p/00000000000000000003.index", "no records")
	log, err := readLog(fsys, "p")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readRecords(log)
	want := []check.Record{{Offset: 0, Value: "a"}, {Offset: 1, Value: "b"}, {Offset: 2, Value: "c"}, {Offset: 3, Value: "d"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %v, %v", got, err)
	}
	log[len(log)-1] ^= 1
	if _, err := readRecords(log); err == nil {
		t.Error("a batch with a wrong checksum was read")
	}
	if got, err := readRecords(log[:len(log)-3]); err == nil || len(got) != 3 {
		t.Errorf("of a log that ends within a batch %d records were read, %v", len(got), err)
	}
}

func TestReadReplicas(t *testing.T) {
	node := func(name string, logs ...string) replica {
		n := replica{name, vfs.NewMem(), "p"}
		for _, log := range logs {
			vfstest.Write(t, n.fsys, "p/00000000000000000000.log", log)
		}
		return n
	}
	whole, short := batch(0, "a")+batch(1, "b"), batch(0, "a")
	for _, c := range []struct {
		name          string
		on            []replica
		want          int
		finals, wrong int
	}{
		{"three", []replica{node("1", whole), node("2", whole), node("3", whole)}, 3, 3, 0},
		{"three of four", []replica{node("1", whole), node("2"), node("3", whole), node("4", whole)}, 3, 3, 0},
		{"one is missing", []replica{node("1", whole), node("2"), node("3"), node("4", whole)}, 3, 2, 1},
		{"none is there", []replica{node("1"), node("2"), node("3"), node("4")}, 3, 0, 1},
		{"one is short", []replica{node("1", whole), node("2", whole), node("3", short)}, 3, 3, 1},
	} {
		finals, failed := readReplicas(0, c.on, c.want)
		if len(finals) != c.finals || len(failed) != c.wrong {
			t.Errorf("%s: %d replicas, %v", c.name, len(finals), failed)
		}
	}
}

func TestDiffer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"abc", "abd", 2}, {"abc", "ab", 2}, {"", "x", 0}} {
		if got := differ([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("differ(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
