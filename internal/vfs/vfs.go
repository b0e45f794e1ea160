package vfs

import (
	"errors"
	"io"
	"time"
)

// Errors of every FS. A missing file satisfies errors.Is(err, io/fs.ErrNotExist), an existing one under
// O_EXCL io/fs.ErrExist, a full disk syscall.ENOSPC, a failed device syscall.EIO.
var (
	// ErrLocked means that the lock file is held by another process, or by another owner in this one.
	ErrLocked = errors.New("locked by another process")
	// ErrUnsupported means that the file system cannot do what was asked; the caller goes on without it.
	ErrUnsupported = errors.New("not supported by this file system")
	// ErrCrashed is the answer of every handle and file system of before a Crash or Kill of a Mem.
	ErrCrashed = errors.New("the machine of this file system is down")
	// ErrTooLarge means that a file is larger than its reader is ready to take.
	ErrTooLarge = errors.New("file too large")
)

// FS is a file system. All methods may be called by many goroutines at once. Names are joined with "/".
//
// Nothing is durable until it is synced: the bytes of a file by File.Sync, and the entry of a created, renamed or
// removed file by SyncDir of its directory.
type FS interface {
	// OpenFile opens a file with os.O_RDONLY or os.O_RDWR, and os.O_CREATE, os.O_EXCL, os.O_TRUNC.
	OpenFile(name string, flag int) (File, error)
	Remove(name string) error
	RemoveAll(name string) error
	// Rename replaces newname atomically.
	Rename(oldname, newname string) error
	MkdirAll(dir string) error
	// List returns the base names in dir, sorted.
	List(dir string) ([]string, error)
	Stat(name string) (Info, error)
	SyncDir(dir string) error
	// Lock takes an exclusive lock, made if absent, or returns an error that wraps ErrLocked. Close releases it.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that can still be written in dir.
	Free(dir string) (int64, error)
}

// File is an open file. Reads and writes at different offsets may run at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Allocate reserves blocks without changing the size, or returns ErrUnsupported.
	Allocate(offset, length int64) error
	// Sync makes the bytes and the size durable (fdatasync).
	Sync() error
	Size() (int64, error)
}

// Info describes a file or a directory.
type Info struct {
	Size    int64
	Dir     bool
	ModTime time.Time
}
