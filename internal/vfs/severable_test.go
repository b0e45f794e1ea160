package vfs_test

import (
	"errors"
	"os"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/vfs/vfstest"
)

func TestSeverableBeforeItIsSevered(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m := vfs.NewMem()
		if err := m.MkdirAll("data"); err != nil {
			t.Fatal(err)
		}
		return vfs.NewSeverable(m), "data"
	})
}

// TestSeveredTakesNothing calls everything: nothing gets through but the end of what was open.
func TestSeveredTakesNothing(t *testing.T) {
	below := vfs.NewMem()
	if err := below.MkdirAll("data"); err != nil {
		t.Fatal(err)
	}
	s := vfs.NewSeverable(below)
	vfstest.Write(t, s, "data/f", "before")
	f, err := s.OpenFile("data/f", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := s.Lock("data/lock")
	if err != nil {
		t.Fatal(err)
	}
	s.Sever()
	for name, call := range map[string]func() error{
		"open":      func() error { _, err := s.OpenFile("data/g", os.O_RDWR|os.O_CREATE); return err },
		"remove":    func() error { return s.Remove("data/f") },
		"removeall": func() error { return s.RemoveAll("data") },
		"rename":    func() error { return s.Rename("data/f", "data/g") },
		"mkdir":     func() error { return s.MkdirAll("other") },
		"list":      func() error { _, err := s.List("data"); return err },
		"stat":      func() error { _, err := s.Stat("data/f"); return err },
		"syncdir":   func() error { return s.SyncDir("data") },
		"lock":      func() error { _, err := s.Lock("data/other"); return err },
		"free":      func() error { _, err := s.Free("data"); return err },
		"read":      func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"write":     func() error { _, err := f.WriteAt([]byte("after"), 0); return err },
		"truncate":  func() error { return f.Truncate(0) },
		"allocate":  func() error { return f.Allocate(0, 10) },
		"sync":      f.Sync,
		"size":      func() error { _, err := f.Size(); return err },
	} {
		if err := call(); !errors.Is(err, vfs.ErrCrashed) {
			t.Errorf("%s: %v, want ErrCrashed", name, err)
		}
	}
	if err := errors.Join(f.Close(), lock.Close()); err != nil {
		t.Error(err)
	}
	if b, err := vfs.ReadFile(below, "data/f", 100); err != nil || string(b) != "before" {
		t.Errorf("below stands %q, %v", b, err)
	}
	if lock, err := below.Lock("data/lock"); err != nil {
		t.Errorf("the lock was not given back: %v", err)
	} else if err := lock.Close(); err != nil {
		t.Error(err)
	}
}
