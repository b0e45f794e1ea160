package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func TestFaultsNthCall(t *testing.T) {
	m := vfs.NewMem()
	disk := vfs.Inject(m, vfs.Rule{
		Match: vfs.Exactly(vfs.OpWrite, "f"), From: 2, Times: 2, Fault: vfs.Fault{Err: syscall.ENOSPC},
	})
	f, other := open(t, disk, "f"), open(t, disk, "g")
	for i, want := range []error{nil, syscall.ENOSPC, syscall.ENOSPC, nil} {
		if _, err := f.WriteAt([]byte("x"), int64(i)); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i+1, err, want)
		}
		write(t, other, "x", int64(i))
	}
	if got := disk.Fired(); got != 2 {
		t.Errorf("%d faults fired", got)
	}
	if got := content(t, m, "f"); got != "x\x00\x00x" {
		t.Errorf("the file holds %q", got)
	}
}

func TestFaultsShort(t *testing.T) {
	disk := vfs.Inject(vfs.NewMem(), vfs.Rule{Match: vfs.Exactly(vfs.OpWrite, ""), Times: 1,
		Fault: vfs.Fault{Err: syscall.ENOSPC, Keep: 3}})
	f := open(t, disk, "f")
	if n, err := f.WriteAt([]byte("12345"), 0); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write = %d, %v", n, err)
	}
	if got := content(t, disk, "f"); got != "123" {
		t.Errorf("the file holds %q", got)
	}
	disk.Add(vfs.Rule{Match: vfs.Exactly(vfs.OpRead, ""), Times: 1, Fault: vfs.Fault{Err: syscall.EIO, Keep: 9}})
	b := make([]byte, 5)
	if n, err := f.ReadAt(b, 0); n != 3 || !errors.Is(err, syscall.EIO) || errors.Is(err, io.EOF) {
		t.Errorf("short read = %d, %v", n, err)
	}
}

func TestFaultsFlipBit(t *testing.T) {
	m := vfs.NewMem()
	vfstest.Write(t, m, "f", "aaaa")
	disk := vfs.Inject(m, vfs.Rule{Match: vfs.Exactly(vfs.OpRead, "f"), Fault: vfs.Fault{FlipBit: 8*2 + 1 + 1}})
	if got := content(t, disk, "f"); got != "aaca" {
		t.Errorf("read %q", got)
	}
	if got := content(t, m, "f"); got != "aaaa" {
		t.Errorf("the file itself holds %q", got)
	}
}

// After a failed fsync the pages count as clean: readers see them, the next Sync is content, and the bytes are gone.
func TestFaultsSyncAsLinuxFails(t *testing.T) {
	for seed := range uint64(200) {
		m := vfs.NewMem()
		disk := vfs.Inject(m)
		f := open(t, disk, "f")
		write(t, f, strings.Repeat("a", 10_000), 0)
		sync(t, f)
		syncDir(t, disk, ".")
		disk.Add(vfs.BadSync("f", 1))
		write(t, f, "lost", 0)
		write(t, f, "lost", 5000)
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("the sync did not fail: %v", err)
		}
		write(t, f, "kept", 5004) // its whole page is written
		sync(t, f)
		want := bytes.Repeat([]byte("a"), 10_000)
		copy(want[5000:], "lostkept")
		if got := content(t, m, "f"); got[:4] != "lost" {
			t.Fatalf("readers no longer see what the failed sync lost: %q", got[:4])
		}
		if got := content(t, m.Crash(seed), "f"); got != string(want) {
			t.Fatalf("seed %d: the file starts with %q and holds %q", seed, got[:4], got[5000:5008])
		}
	}
}

// Without LoseDirty a second Sync makes good.
func TestFaultsSyncOnce(t *testing.T) {
	m := vfs.NewMem()
	disk := vfs.Inject(m, vfs.Rule{Match: vfs.Exactly(vfs.OpSync, "f"), Times: 1, Fault: vfs.Fault{Err: syscall.EIO}})
	f := open(t, disk, "f")
	syncDir(t, disk, ".")
	write(t, f, "x", 0)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the sync did not fail: %v", err)
	}
	sync(t, f)
	if got := content(t, m.Crash(keepNothing(t)), "f"); got != "x" {
		t.Errorf("the file holds %q", got)
	}
}

// What a failed sync lost and a later one cut off must not come back as the file grows.
func TestLostBytesBeyondTheEndStayZero(t *testing.T) {
	m := vfs.NewMem()
	disk := vfs.Inject(m)
	f := open(t, disk, "f")
	write(t, f, strings.Repeat("a", 9000), 0)
	sync(t, f)
	syncDir(t, disk, ".")
	if err := f.Truncate(100); err != nil {
		t.Fatal(err)
	}
	disk.Add(vfs.BadSync("f", 1))
	if err := f.Sync(); err == nil {
		t.Fatal("the sync did not fail")
	}
	sync(t, f)
	m = m.Crash(3)
	f = open(t, m, "f")
	if err := f.Truncate(9000); err != nil {
		t.Fatal(err)
	}
	if got := content(t, m, "f"); got != strings.Repeat("a", 100)+strings.Repeat("\x00", 8900) {
		t.Errorf("%d bytes of before are back", strings.Count(got, "a")-100)
	}
}

func TestFaultsEveryCall(t *testing.T) {
	m := vfs.NewMem()
	vfstest.Write(t, m, "f", "x")
	disk := vfs.Inject(m)
	f := open(t, disk, "f")
	calls := map[vfs.Op]func() error{
		vfs.OpOpen:      func() error { _, err := disk.OpenFile("f", os.O_RDWR|os.O_CREATE); return err },
		vfs.OpCreate:    func() error { _, err := disk.OpenFile("new", os.O_RDWR|os.O_CREATE); return err },
		vfs.OpRead:      func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		vfs.OpWrite:     func() error { _, err := f.WriteAt(make([]byte, 1), 0); return err },
		vfs.OpTruncate:  func() error { return f.Truncate(0) },
		vfs.OpAllocate:  func() error { return f.Allocate(0, 1) },
		vfs.OpSync:      f.Sync,
		vfs.OpRemove:    func() error { return disk.Remove("f") },
		vfs.OpRemoveAll: func() error { return disk.RemoveAll("f") },
		vfs.OpRename:    func() error { return disk.Rename("f", "g") },
		vfs.OpMkdir:     func() error { return disk.MkdirAll("d") },
		vfs.OpList:      func() error { _, err := disk.List("."); return err },
		vfs.OpStat:      func() error { _, err := f.Size(); return err },
		vfs.OpSyncDir:   func() error { return disk.SyncDir(".") },
		vfs.OpLock:      func() error { _, err := disk.Lock("l"); return err },
		vfs.OpFree:      func() error { _, err := disk.Free("."); return err },
		vfs.OpClose:     f.Close,
	}
	for op := vfs.OpOpen; op <= vfs.OpFree; op++ {
		if op == vfs.OpClose {
			continue
		}
		disk.Clear()
		disk.Add(vfs.Rule{Match: vfs.Exactly(op, ""), Fault: vfs.Fault{Err: syscall.EIO}})
		if err := calls[op](); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op, err)
		}
		if disk.Fired() != 1 {
			t.Errorf("%s fired %d faults", op, disk.Fired())
		}
	}
	if got := content(t, m, "f"); got != "x" {
		t.Errorf("a failed call changed the file to %q", got)
	}
	disk.Add(vfs.Rule{Match: vfs.Exactly(vfs.OpClose, ""), Fault: vfs.Fault{Err: syscall.EIO}})
	if err := f.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("close: %v", err)
	}
}

// A hook may take the machine down in the middle of a call.
func TestFaultsCrashInACall(t *testing.T) {
	m := vfs.NewMem()
	var next *vfs.Mem
	disk := vfs.Inject(m, vfs.Rule{Match: vfs.Exactly(vfs.OpSync, "f"), From: 2, Times: 1,
		Fault: vfs.Fault{Before: func() { next = m.Crash(5) }}})
	f := open(t, disk, "f")
	syncDir(t, disk, ".")
	write(t, f, "one", 0)
	sync(t, f)
	write(t, f, "two", 3)
	if err := f.Sync(); !errors.Is(err, vfs.ErrCrashed) {
		t.Errorf("the sync after the crash: %v", err)
	}
	if got := content(t, next, "f"); !strings.HasPrefix(got, "one") {
		t.Errorf("the file holds %q", got)
	}
}

func TestFullDisk(t *testing.T) {
	disk := vfs.Inject(vfs.NewMem(), vfs.NoSpace(vfs.OpWrite, "f.tmp", 1))
	if err := vfs.WriteFileAtomic(disk, "f", []byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteFileAtomic on a full disk: %v", err)
	}
	if names, _ := disk.List("."); len(names) != 0 {
		t.Errorf("%q was left behind", names)
	}
}
