//go:build !linux

package vfs

import "os"

func syncData(f *os.File) error { return f.Sync() }

func allocate(f *os.File, offset, length int64) error {
	return &os.PathError{Op: "allocate", Path: f.Name(), Err: ErrUnsupported}
}
