package vfs

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// Permissions of what is created, before the umask.
const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// Disk returns the operating system's file system. Relative names start in the working directory.
func Disk() FS { return disk{} }

type disk struct{}

func (disk) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), flag, filePerm)
	if err != nil {
		return nil, err
	}
	return &diskFile{f}, nil
}

func (disk) Remove(name string) error    { return os.Remove(filepath.FromSlash(name)) }
func (disk) RemoveAll(name string) error { return os.RemoveAll(filepath.FromSlash(name)) }
func (disk) MkdirAll(dir string) error   { return os.MkdirAll(filepath.FromSlash(dir), dirPerm) }

func (disk) Rename(oldname, newname string) error {
	return os.Rename(filepath.FromSlash(oldname), filepath.FromSlash(newname))
}

func (disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.FromSlash(dir)) // sorted
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (disk) Stat(name string) (Info, error) {
	st, err := os.Stat(filepath.FromSlash(name))
	if err != nil {
		return Info{}, err
	}
	return Info{Size: st.Size(), Dir: st.IsDir(), ModTime: st.ModTime()}, nil
}

func (disk) SyncDir(dir string) error { return syncDir(filepath.FromSlash(dir)) }

func (disk) Free(dir string) (int64, error) {
	free, err := freeBytes(filepath.FromSlash(dir))
	if err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return free, nil
}

// held names the locks of this process. Not every system's file locks exclude their own process, and some systems
// have none at all.
var held struct {
	sync.Mutex
	names map[string]bool
}

func (disk) Lock(name string) (io.Closer, error) {
	full, err := filepath.Abs(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
		full = filepath.Join(real, path.Base(filepath.ToSlash(full)))
	}
	held.Lock()
	defer held.Unlock()
	if held.names[full] {
		return nil, &os.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	f, err := os.OpenFile(full, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if held.names == nil {
		held.names = make(map[string]bool)
	}
	held.names[full] = true
	return &diskLock{file: f, name: full}, nil
}

type diskLock struct {
	file *os.File
	name string
}

// Close releases the lock. The file stays, so that everybody who waits for it waits for the same one.
func (l *diskLock) Close() error {
	held.Lock()
	defer held.Unlock()
	if err := l.file.Close(); err != nil {
		return err // closed already: the name may be somebody else's by now
	}
	delete(held.names, l.name)
	return nil
}

type diskFile struct{ *os.File }

func (f *diskFile) Sync() error { return syncData(f.File) }

func (f *diskFile) Allocate(offset, length int64) error { return allocate(f.File, offset, length) }

func (f *diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
