package vfs

import (
	"io/fs"
	"syscall"
)

// memFile is a handle on a file of a Mem.
type memFile struct {
	fs       *Mem
	node     *node
	name     string
	writable bool
	closed   bool // under fs.mu
}

func (f *memFile) enter(op string) error {
	if err := f.fs.enter(op, f.name); err != nil {
		return err
	}
	if f.closed {
		f.fs.mu.Unlock()
		return f.fail(op, fs.ErrClosed)
	}
	return nil
}

func (f *memFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *memFile) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.enter("read"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if offset < 0 {
		return 0, f.fail("read", syscall.EINVAL)
	}
	return f.node.readAt(b, offset)
}

func (f *memFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.enterWrite("write", offset); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	n, err := f.node.writeAt(b, offset, f.fs.space)
	if err != nil {
		return n, f.fail("write", err)
	}
	return n, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.enterWrite("truncate", size); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	if size > fileBytesMax {
		return f.fail("truncate", syscall.EFBIG)
	}
	f.node.truncate(size, f.fs.space)
	return nil
}

func (f *memFile) Allocate(offset, length int64) error {
	if err := f.enterWrite("allocate", offset); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	if err := f.node.allocate(offset, length, f.fs.space); err != nil {
		return f.fail("allocate", err)
	}
	return nil
}

func (f *memFile) enterWrite(op string, offset int64) error {
	if err := f.enter(op); err != nil {
		return err
	}
	var err error
	switch {
	case !f.writable:
		err = syscall.EBADF
	case offset < 0:
		err = syscall.EINVAL
	default:
		return nil
	}
	f.fs.mu.Unlock()
	return f.fail(op, err)
}

func (f *memFile) Sync() error {
	if err := f.enter("sync"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.node.sync(f.fs.space)
	return nil
}

// loseDirty lets Faults fail a Sync the way Linux does.
func (f *memFile) loseDirty() {
	if f.enter("sync") != nil {
		return
	}
	defer f.fs.mu.Unlock()
	f.node.loseDirty()
}

func (f *memFile) Size() (int64, error) {
	if err := f.enter("stat"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	return f.node.size, nil
}

func (f *memFile) Close() error {
	if err := f.enter("close"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.closed = true
	f.node.handles--
	f.node.unref(f.fs.space)
	return nil
}
