package vfs

import (
	"io"
	"io/fs"
	"sync/atomic"
)

// Severable passes calls on to another FS until it is severed. It is how a process ends for one of several nodes in it:
// nothing more is written, and what goes on is not the wiser.
type Severable struct {
	fs      FS
	severed atomic.Bool
}

// NewSeverable returns a wrapper around fsys.
func NewSeverable(fsys FS) *Severable { return &Severable{fs: fsys} }

// Sever fails all calls from now on with ErrCrashed, but for Close of files and locks: what the process had open is given
// back. A call that is under way may still come to pass.
func (s *Severable) Sever() { s.severed.Store(true) }

func (s *Severable) check(op Op, name string) error {
	if s.severed.Load() {
		return &fs.PathError{Op: op.String(), Path: name, Err: ErrCrashed}
	}
	return nil
}

func (s *Severable) OpenFile(name string, flag int) (File, error) {
	if err := s.check(OpOpen, name); err != nil {
		return nil, err
	}
	f, err := s.fs.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &severableFile{File: f, fs: s, name: name}, nil
}

func (s *Severable) Remove(name string) error {
	if err := s.check(OpRemove, name); err != nil {
		return err
	}
	return s.fs.Remove(name)
}

func (s *Severable) RemoveAll(name string) error {
	if err := s.check(OpRemoveAll, name); err != nil {
		return err
	}
	return s.fs.RemoveAll(name)
}

func (s *Severable) Rename(oldname, newname string) error {
	if err := s.check(OpRename, newname); err != nil {
		return err
	}
	return s.fs.Rename(oldname, newname)
}

func (s *Severable) MkdirAll(dir string) error {
	if err := s.check(OpMkdir, dir); err != nil {
		return err
	}
	return s.fs.MkdirAll(dir)
}

func (s *Severable) List(dir string) ([]string, error) {
	if err := s.check(OpList, dir); err != nil {
		return nil, err
	}
	return s.fs.List(dir)
}

func (s *Severable) Stat(name string) (Info, error) {
	if err := s.check(OpStat, name); err != nil {
		return Info{}, err
	}
	return s.fs.Stat(name)
}

func (s *Severable) SyncDir(dir string) error {
	if err := s.check(OpSyncDir, dir); err != nil {
		return err
	}
	return s.fs.SyncDir(dir)
}

func (s *Severable) Lock(name string) (io.Closer, error) {
	if err := s.check(OpLock, name); err != nil {
		return nil, err
	}
	return s.fs.Lock(name)
}

func (s *Severable) Free(dir string) (int64, error) {
	if err := s.check(OpFree, dir); err != nil {
		return 0, err
	}
	return s.fs.Free(dir)
}

// severableFile closes as the file below does.
type severableFile struct {
	File
	fs   *Severable
	name string
}

func (f *severableFile) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.fs.check(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, offset)
}

func (f *severableFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.fs.check(OpWrite, f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, offset)
}

func (f *severableFile) Truncate(size int64) error {
	if err := f.fs.check(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *severableFile) Allocate(offset, length int64) error {
	if err := f.fs.check(OpAllocate, f.name); err != nil {
		return err
	}
	return f.File.Allocate(offset, length)
}

func (f *severableFile) Sync() error {
	if err := f.fs.check(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *severableFile) Size() (int64, error) {
	if err := f.fs.check(OpStat, f.name); err != nil {
		return 0, err
	}
	return f.File.Size()
}
