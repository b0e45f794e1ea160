package vfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func TestDisk(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return vfs.Disk(), filepath.ToSlash(t.TempDir()) })
}

func TestMem(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m := vfs.NewMem()
		if err := m.MkdirAll("data/1"); err != nil {
			t.Fatal(err)
		}
		return m, "/data/1"
	})
}

// A machine that went down before is as good as a new one.
func TestMemAfterCrash(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m := vfs.NewMem()
		vfstest.Write(t, m, "data/f", "x")
		m = m.Crash(1).Kill().Crash(2)
		if err := m.RemoveAll("data"); err != nil {
			t.Fatal(err)
		}
		if err := m.MkdirAll("data"); err != nil {
			t.Fatal(err)
		}
		return m, "data"
	})
}

func TestFaultsWithoutRules(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m := vfs.NewMem()
		if err := m.MkdirAll("data"); err != nil {
			t.Fatal(err)
		}
		return vfs.Inject(m), "data"
	})
}

const lockedEnv = "VFS_TEST_LOCKED"

// A lock excludes other processes, and ends with a process that is killed.
func TestDiskLockBetweenProcesses(t *testing.T) {
	if name := os.Getenv(lockedEnv); name != "" {
		if _, err := vfs.Disk().Lock(name); errors.Is(err, vfs.ErrLocked) {
			os.Exit(7)
		}
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		select {}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	name := filepath.ToSlash(t.TempDir()) + "/.lock"
	child := func() int {
		cmd := exec.Command(exe, "-test.run=^TestDiskLockBetweenProcesses$")
		cmd.Env = append(os.Environ(), lockedEnv+"="+name)
		cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	lock, err := vfs.Disk().Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if code := child(); code != 7 {
		t.Errorf("another process could take the lock (exit code %d)", code)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if code := child(); code == 7 {
		t.Error("a lock that was given back is held")
	}
	lock, err = vfs.Disk().Lock(name)
	if err != nil {
		t.Fatalf("the lock outlived its process: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}
