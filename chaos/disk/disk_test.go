package disk

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/chaos/sandbox"
	"github.com/logbahn/logbahn/chaos/sandbox/sandboxtest"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, "ip@iproute2") }

// mount mounts an empty disk and returns where.
func mount(t *testing.T) (*Disk, string) {
	t.Helper()
	sandboxtest.Need(t)
	dir, err := os.MkdirTemp(sandbox.Dir, "disk")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Mount(dir, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return d, dir
}

// TestIsAFileSystem runs what every vfs.FS passes against the operating system's calls on the mount.
func TestIsAFileSystem(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		_, dir := mount(t)
		return vfs.Disk(), dir
	})
}

// TestKeepsWhatWasSynced loses power with many seeds: what fsync has returned for is there, what was written after it
// may be.
func TestKeepsWhatWasSynced(t *testing.T) {
	d, dir := mount(t)
	fsys := vfs.Disk()
	lost := 0
	for seed := range uint64(40) {
		d.Wipe()
		file := write(t, filepath.Join(dir, "synced"), "synced")
		must(t, file.Sync())
		must(t, fsys.SyncDir(dir))
		if _, err := file.WriteAt([]byte("unsynced"), 6); err != nil {
			t.Fatal(err)
		}
		must(t, file.Close())
		d.PowerLoss(seed)
		got, err := os.ReadFile(filepath.Join(dir, "synced"))
		if err != nil || !bytes.HasPrefix(got, []byte("synced")) {
			t.Fatalf("seed %d: the file holds %q, %v", seed, got, err)
		}
		if string(got) != "syncedunsynced" {
			lost++
		}
	}
	if lost < 10 || lost > 39 {
		t.Errorf("of 40 unsynced writes %d were lost or torn", lost)
	}
}

// TestNamesNeedASyncOfTheirDirectory creates and renames with the bytes synced and the directory not.
func TestNamesNeedASyncOfTheirDirectory(t *testing.T) {
	d, dir := mount(t)
	fsys := vfs.Disk()
	var created, renamed, names int
	for seed := range uint64(40) {
		d.Wipe()
		for _, name := range []string{"old", "both"} {
			file := write(t, filepath.Join(dir, name), name)
			must(t, file.Sync())
			must(t, file.Close())
		}
		must(t, fsys.SyncDir(dir))
		must(t, fsys.Rename(filepath.Join(dir, "both"), filepath.Join(dir, "durable")))
		must(t, fsys.SyncDir(dir))
		must(t, fsys.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new")))
		file := write(t, filepath.Join(dir, "created"), "x")
		must(t, file.Sync())
		must(t, file.Close())
		d.PowerLoss(seed)
		found, err := fsys.List(dir)
		must(t, err)
		has := map[string]bool{}
		for _, name := range found {
			has[name] = true
		}
		if !has["durable"] || has["both"] {
			t.Fatalf("seed %d: a rename that was synced is undone: %v", seed, found)
		}
		if has["old"] == has["new"] {
			t.Fatalf("seed %d: a file has both or none of its names: %v", seed, found)
		}
		names++
		if has["created"] {
			created++
		}
		if has["new"] {
			renamed++
		}
	}
	if created == names || created == 0 || renamed == names || renamed == 0 {
		t.Errorf("of %d power losses %d kept the new file, %d the rename: some should and some should not", names, created, renamed)
	}
}

// TestFailedSyncLosesThePages follows Linux: the second fsync succeeds and the bytes are not on disk.
func TestFailedSyncLosesThePages(t *testing.T) {
	d, dir := mount(t)
	name := filepath.Join(dir, "f")
	file := write(t, name, "good")
	must(t, file.Sync())
	must(t, vfs.Disk().SyncDir(dir))
	if _, err := file.WriteAt([]byte("lost"), 4); err != nil {
		t.Fatal(err)
	}
	d.FailSyncs(1)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("fsync = %v, want EIO", err)
	}
	must(t, file.Sync())
	if d.Fired() != 1 {
		t.Errorf("%d faults fired, want 1", d.Fired())
	}
	wantFile(t, name, "goodlost")
	must(t, file.Close())
	d.PowerLoss(1)
	// The end of the file may have moved; the bytes are gone.
	if got, err := os.ReadFile(name); err != nil || string(bytes.TrimRight(got, "\x00")) != "good" {
		t.Errorf("after the power loss: %q, %v", got, err)
	}
}

func TestFullDisk(t *testing.T) {
	d, dir := mount(t)
	file := write(t, filepath.Join(dir, "f"), "x")
	must(t, d.Fill())
	if free, err := vfs.Disk().Free(dir); err != nil || free != 0 {
		t.Errorf("a full disk has %d bytes free, %v", free, err)
	}
	if _, err := file.WriteAt(make([]byte, 10_000), 1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write to a full disk: %v", err)
	}
	must(t, file.Sync())
	d.Heal()
	if _, err := file.WriteAt(make([]byte, 10_000), 1); err != nil {
		t.Errorf("a write when there is room again: %v", err)
	}
	must(t, file.Close())
}

func TestSlowSyncs(t *testing.T) {
	d, dir := mount(t)
	file := write(t, filepath.Join(dir, "f"), "x")
	const delay = 200 * time.Millisecond
	d.SlowSyncs(delay)
	begin := time.Now()
	must(t, file.Sync())
	must(t, vfs.Disk().SyncDir(dir))
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("two slow syncs took %v", took)
	}
	d.Heal()
	must(t, file.Close())
}

func TestFailAll(t *testing.T) {
	d, dir := mount(t)
	file := write(t, filepath.Join(dir, "f"), "x")
	d.FailAll()
	if _, err := file.WriteAt([]byte("y"), 1); !errors.Is(err, syscall.EIO) {
		t.Errorf("write = %v", err)
	}
	if _, err := file.ReadAt(make([]byte, 1), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("read = %v", err)
	}
	if _, err := os.Create(filepath.Join(dir, "g")); !errors.Is(err, syscall.EIO) {
		t.Errorf("create = %v", err)
	}
	d.Heal()
	must(t, file.Close())
	wantFile(t, filepath.Join(dir, "f"), "x")
}

// TestOpenFilesEndWithThePower leaves handles open over a power loss, as requests in flight may.
func TestOpenFilesEndWithThePower(t *testing.T) {
	d, dir := mount(t)
	file := write(t, filepath.Join(dir, "f"), "x")
	must(t, file.Sync())
	must(t, vfs.Disk().SyncDir(dir))
	d.PowerLoss(1)
	if _, err := file.WriteAt([]byte("y"), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("write through a handle of before = %v", err)
	}
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync through a handle of before = %v", err)
	}
	must(t, file.Close())
	wantFile(t, filepath.Join(dir, "f"), "x")
}

func write(t *testing.T, name, content string) vfs.File {
	t.Helper()
	file, err := vfs.Disk().OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	return file
}

func wantFile(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDescriptorsStayHere starts a program and looks at what it holds open.
func TestDescriptorsStayHere(t *testing.T) {
	mount(t)
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if bytes.Contains(out, []byte("/dev/fuse")) {
		t.Errorf("a child holds the file system's other end:\n%s", out)
	}
}
