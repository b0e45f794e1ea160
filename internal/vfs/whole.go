package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// ReadFile returns the content of a file of at most maxBytes; a larger one is ErrTooLarge and is not read.
func ReadFile(fsys FS, name string, maxBytes int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d expected", name, ErrTooLarge, size, maxBytes)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}

// tempSuffix marks a file that WriteFileAtomic has not finished. Left behind by a crash, it is overwritten by the next
// write of the same name.
const tempSuffix = ".tmp"

// WriteFileAtomic replaces a file so that after a crash at any moment name holds either the old or the new content,
// and the new one once WriteFileAtomic has returned nil. Two writers of one name must not run at once.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	temp := name + tempSuffix
	if err := writeSynced(fsys, temp, data); err != nil {
		return errors.Join(err, removeIfThere(fsys, temp))
	}
	if err := fsys.Rename(temp, name); err != nil {
		return errors.Join(err, removeIfThere(fsys, temp))
	}
	return fsys.SyncDir(path.Dir(name))
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeIfThere(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MkdirAllSync makes dir and the directories above it, and makes each that was not there durable, before anything is made
// in it. A call that is cut short can so leave one directory at most that is not durable, the deepest; the next call for
// the same dir sees to that one too.
func MkdirAllSync(fsys FS, dir string) error {
	var missing []string // deepest first
	d := path.Clean(dir)
	for ; ; d = path.Dir(d) {
		if _, err := fsys.Stat(d); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, d)
	}
	// Above what is there may be what we may not open, and have not made then.
	if err := fsys.SyncDir(path.Dir(d)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	for _, d := range slices.Backward(missing) {
		if err := fsys.MkdirAll(d); err != nil {
			return err
		}
		if err := fsys.SyncDir(path.Dir(d)); err != nil {
			return err
		}
	}
	return fsys.MkdirAll(dir) // fails if what is there is a file
}
