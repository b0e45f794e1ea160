package sim

import (
	"math/rand/v2"
	"path"
	"strings"
	"syscall"

	"github.com/logbahn/logbahn/internal/vfs"
)

// What a machine that is down finds wrong with its files when it is up again.

const metadataTopic = "__cluster_metadata"

// Which files; a name is that of a folder and a file in the data directory.
func ofTopic(name string) bool    { return strings.HasPrefix(path.Base(path.Dir(name)), topic+"-") }
func ofMetadata(name string) bool { return path.Base(path.Dir(name)) == metadataTopic+"-0" }
func ofGroups(name string) bool {
	return strings.HasPrefix(path.Base(path.Dir(name)), groupsTopic+"-") && strings.HasSuffix(name, ".log")
}

// FlipBit flips a bit of a file whose name the caller picks, and returns what it has hit, "" when there was nothing to hit.
func (m *Machine) FlipBit(r *rand.Rand, pick func(name string) bool) (string, error) {
	return m.damage(r, pick, func(fs vfs.FS, name string, size int64) error {
		bit := r.Int64N(size * 8)
		if err := change(fs, name, func(f vfs.File) error {
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, bit/8); err != nil {
				return err
			}
			b[0] ^= 1 << (bit % 8)
			_, err := f.WriteAt(b, bit/8)
			return err
		}); err != nil {
			return err
		}
		m.flipped = true
		m.trace.Logf("%s: bit %d of %s flipped", m.Name, bit, name)
		return nil
	})
}

// CutFile makes a file shorter.
func (m *Machine) CutFile(r *rand.Rand, pick func(name string) bool) (string, error) {
	return m.damage(r, pick, func(fs vfs.FS, name string, size int64) error {
		left := r.Int64N(size)
		m.trace.Logf("%s: %s cut from %d bytes to %d", m.Name, name, size, left)
		return change(fs, name, func(f vfs.File) error { return f.Truncate(left) })
	})
}

// LoseFile removes a file.
func (m *Machine) LoseFile(r *rand.Rand, pick func(name string) bool) (string, error) {
	return m.damage(r, pick, func(fs vfs.FS, name string, _ int64) error {
		m.trace.Logf("%s: %s removed", m.Name, name)
		if err := fs.Remove(name); err != nil {
			return err
		}
		return fs.SyncDir(path.Dir(name))
	})
}

// LoseFolder removes the folder that a file is in.
func (m *Machine) LoseFolder(r *rand.Rand, pick func(name string) bool) (string, error) {
	return m.damage(r, pick, func(fs vfs.FS, name string, _ int64) error {
		m.trace.Logf("%s: %s removed", m.Name, path.Dir(name))
		if err := fs.RemoveAll(path.Dir(name)); err != nil {
			return err
		}
		return fs.SyncDir(dataDir)
	})
}

// Empty gives the machine another disk, with nothing on it.
func (m *Machine) Empty() {
	m.trace.Logf("%s: an empty disk", m.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.mem = vfs.NewMem()
	m.insert()
}

// damage draws one of the files that pick takes, which are not empty, and does something to it.
func (m *Machine) damage(r *rand.Rand, pick func(name string) bool, do func(fs vfs.FS, name string, size int64) error) (string, error) {
	fs := m.Disk()
	names, err := files(fs, pick)
	if err != nil || len(names) == 0 {
		return "", err
	}
	name := names[r.IntN(len(names))]
	info, err := fs.Stat(name)
	if err != nil {
		return "", err
	}
	return name, do(fs, name, info.Size)
}

// files returns the files of the folders in the data directory that hold something and that pick takes.
func files(fs vfs.FS, pick func(name string) bool) ([]string, error) {
	folders, err := fs.List(dataDir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, folder := range folders {
		inside, err := fs.List(path.Join(dataDir, folder))
		if err != nil {
			continue // a file
		}
		for _, f := range inside {
			name := path.Join(dataDir, folder, f)
			if info, err := fs.Stat(name); err == nil && info.Size > 0 && pick(name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// change opens a file, changes it, and makes that durable.
func change(fs vfs.FS, name string, do func(vfs.File) error) error {
	f, err := fs.OpenFile(name, syscall.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := do(f); err != nil {
		return err
	}
	return f.Sync()
}
