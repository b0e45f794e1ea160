package commitlog

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/vfs"
)

// reopened opens the log again on another directory object, as the next process does.
func reopened(t *testing.T, mem *vfs.Mem) (*Dir, *Log, error) {
	t.Helper()
	d := openDir(t, mem)
	l, err := d.Open(testTP, testID, smallSegments(300), Hooks{})
	return d, l, err
}

// TestMissingSegments removes one segment of a log after another, the first one too: nobody has deleted it, and a log that
// began later would look as if somebody had.
func TestMissingSegments(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for at := range 5 {
			mem, d, l := newLog(t, smallSegments(300))
			for range 5 {
				mustAppend(t, l, batch(3, 1, nil))
			}
			must(t, l.Flush())
			must(t, d.checkpoint(true))
			segment := (*l.segments.Load())[at]
			if clean {
				must(t, d.Close())
			}
			mem = mem.Kill()
			must(t, mem.Remove(segment.file.name))
			if _, l, err := reopened(t, mem); !errors.Is(err, ErrCorrupt) && !(err == nil && at > 0 && at < 4) {
				t.Errorf("clean %v: segment %d is missing: %v %v", clean, at, l, err)
			}
		}
	}
}

// TestDeletedHead lets retention delete the head of a log, and ends the process at each of its writes: the log must open.
func TestDeletedHead(t *testing.T) {
	for stop := 1; ; stop++ {
		mem := vfs.NewMem()
		faults := vfs.Inject(mem)
		now := time.UnixMilli(1000)
		d, err := OpenDir(DirConfig{FS: faults, Path: "data", NodeID: 1, manual: true, Now: func() time.Time { return now }})
		must(t, err)
		l := openLog(t, d, smallSegments(300))
		for range 5 {
			mustAppend(t, l, batch(3, 1, nil))
		}
		must(t, l.Flush())
		must(t, d.checkpoint(true))
		var left *vfs.Mem
		faults.Add(vfs.Rule{From: stop, Times: 1, Fault: vfs.Fault{Before: func() { left = mem.Crash(uint64(stop)) }}})
		err = errors.Join(l.SetStartOffset(9), d.retain(), d.removeDoomed(), d.checkpoint(true))
		if left == nil {
			must(t, err)
			return
		}
		for range 2 { // what the first one has written must do for the second
			next, l, err := reopened(t, left)
			if err != nil || l.EndOffset() != 15 || l.StartOffset() > 9 {
				t.Fatalf("stopped at call %d: %v", stop, err)
			}
			must(t, next.checkpoint(true))
			left = left.Kill()
		}
	}
}

// TestDamagedTopicID turns a bit of what a folder says of its topic: it must not be set aside as another topic's.
func TestDamagedTopicID(t *testing.T) {
	name := path.Join("data", testTP.String(), partitionMetaFile)
	for bit := range 8 * len(encodePartitionMeta(testID)) {
		mem, d, l := newLog(t, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		must(t, d.checkpoint(true))
		mem = mem.Kill()
		b := encodePartitionMeta(testID)
		b[bit/8] ^= 1 << (bit % 8)
		must(t, vfs.WriteFileAtomic(mem, name, b))
		if _, l, err := reopened(t, mem); !errors.Is(err, ErrCorrupt) && !(err == nil && l.EndOffset() == 3) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
}

// TestMissingFolder removes the folder of a log: it must not begin anew as if nothing had been there, unless it was set aside.
func TestMissingFolder(t *testing.T) {
	lost := func(t *testing.T, lose func(*vfs.Mem)) (*Dir, error) {
		mem, d, l := newLog(t, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		must(t, d.checkpoint(true))
		mem = mem.Kill()
		lose(mem)
		next, _, err := reopened(t, mem)
		return next, err
	}
	folder := path.Join("data", testTP.String())
	d, err := lost(t, func(mem *vfs.Mem) { must(t, mem.RemoveAll(folder)) })
	if !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if all := d.Lost(); len(all) != 1 || all[0] != testTP {
		t.Error(all)
	}
	must(t, d.SetAside(testTP))
	if l := openLog(t, d, DefaultConfig()); l.EndOffset() != 0 {
		t.Error("it ends at", l.EndOffset())
	}
	if _, err := lost(t, func(mem *vfs.Mem) {
		must(t, mem.Rename(folder, path.Join("data", asideName(testTP, doomedSuffix)))) // so far came who deleted it
	}); err != nil {
		t.Error(err)
	}
}

// TestMissingFolderBesideAStray: that an earlier log of the partition was set aside does not explain where the next one is.
func TestMissingFolderBesideAStray(t *testing.T) {
	mem, d, l := newLog(t, DefaultConfig())
	must(t, d.SetAsideLog(l))
	l = openLog(t, d, DefaultConfig())
	mustAppend(t, l, batch(3, 1, nil))
	must(t, l.Flush())
	must(t, d.checkpoint(true))
	mem = mem.Kill()
	must(t, mem.RemoveAll(path.Join("data", testTP.String())))
	if _, _, err := reopened(t, mem); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

// TestFolderOfAnotherTopic opens a topic where one of the same name has been, and ends the process at each of its writes: the
// next one must open it.
func TestFolderOfAnotherTopic(t *testing.T) {
	for stop := 1; ; stop++ {
		mem := vfs.NewMem()
		faults := vfs.Inject(mem)
		d := openDir(t, faults)
		l := openLog(t, d, DefaultConfig())
		mustAppend(t, l, batch(3, 1, nil))
		must(t, l.Flush())
		must(t, d.checkpoint(true))
		must(t, l.Close())
		var left *vfs.Mem
		faults.Add(vfs.Rule{From: stop, Times: 1, Fault: vfs.Fault{Before: func() { left = mem.Crash(uint64(stop)) }}})
		next := [16]byte{15: 99}
		_, err := d.Open(testTP, next, DefaultConfig(), Hooks{})
		if left == nil {
			must(t, err)
			return
		}
		l, err = openDir(t, left).Open(testTP, next, DefaultConfig(), Hooks{})
		if err != nil || l.EndOffset() != 0 {
			t.Fatalf("stopped at call %d: %v", stop, err)
		}
	}
}

// logRemovedAtOnce returns a log with three records, whose folder goes without a delay when it is deleted.
func logRemovedAtOnce(t *testing.T) (mem *vfs.Mem, faults *vfs.Faults, d *Dir, l *Log) {
	mem = vfs.NewMem()
	faults = vfs.Inject(mem)
	d = openDir(t, faults)
	c := DefaultConfig()
	c.FileDeleteDelayMs = 0
	l = openLog(t, d, c)
	mustAppend(t, l, batch(3, 1, nil))
	must(t, l.Flush())
	return mem, faults, d, l
}

// TestRemovedWhileItIsDeleted has maintenance look while a log is being deleted that has no delay, and ends the process
// before the checkpoints have forgotten it: the next topic of that name must open.
func TestRemovedWhileItIsDeleted(t *testing.T) {
	mem, faults, d, l := logRemovedAtOnce(t)
	must(t, d.checkpoint(true))
	var left *vfs.Mem
	forgets := func(op vfs.Op, name string) bool { return op == vfs.OpCreate && strings.Contains(name, recoveryFile) }
	faults.Add(vfs.Rule{Match: forgets, Times: 1, Fault: vfs.Fault{Before: func() {
		must(t, d.removeDoomed())
		left = mem.Kill()
	}}})
	if err := d.Delete(l); left == nil {
		t.Fatalf("the checkpoints have forgotten nothing: %v", err)
	}
	if _, err := openDir(t, left).Open(testTP, [16]byte{15: 99}, *l.config.Load(), Hooks{}); err != nil {
		t.Error(err)
	}
}
