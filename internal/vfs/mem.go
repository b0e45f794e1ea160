package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that can lose power. The working directory is its root; "a" and "/a" are one file.
type Mem struct {
	mu    sync.Mutex
	dead  bool
	root  *node
	space *space
	locks map[string]*memLock
}

// NewMem returns an empty file system without a size limit.
func NewMem() *Mem {
	return newMem(newNode(true), &space{limit: unlimited})
}

func newMem(root *node, s *space) *Mem {
	return &Mem{root: root, space: s, locks: make(map[string]*memLock)}
}

// SetLimit sets the size of the disk. What would need more fails with ENOSPC, what is there already stays.
func (m *Mem) SetLimit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space.limit = bytes
}

// Kill ends this file system as kill -9 ends a process: its handles answer ErrCrashed, its locks are released, and the
// file system that it returns has everything that was written, synced or not.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.die()
	return m.next()
}

// next returns the file system that goes on with the tree of this one.
func (m *Mem) next() *Mem {
	return newMem(m.root, &space{limit: m.space.limit, used: m.root.recount(make(map[*node]bool))})
}

// die must be called once: a file system is crashed or killed through its last incarnation.
func (m *Mem) die() {
	if m.dead {
		panic("vfs: this Mem is dead already; crash the one that its Crash or Kill returned")
	}
	m.dead = true
}

// enter locks m for one call.
func (m *Mem) enter(op, name string) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return &fs.PathError{Op: op, Path: name, Err: ErrCrashed}
	}
	return nil
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// find returns the node of a name, or ENOENT, or ENOTDIR where a file stands in the way.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	rest := clean(name)
	for rest != "" {
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[elem]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// parent returns the directory that a name is in, and its last element. The root is in no directory.
func (m *Mem) parent(name string) (*node, string, error) {
	full := clean(name)
	if full == "" {
		return nil, "", syscall.EINVAL
	}
	dir, err := m.find(path.Dir("/" + full))
	if err == nil && !dir.dir {
		err = syscall.ENOTDIR
	}
	return dir, path.Base(full), err
}

func (m *Mem) OpenFile(name string, flag int) (File, error) {
	if err := m.enter("open", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	n, err := m.open(name, flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n.handles++
	return &memFile{fs: m, node: n, name: name, writable: flag&os.O_RDWR != 0}, nil
}

func (m *Mem) open(name string, flag int) (*node, error) {
	n, err := m.find(name)
	switch {
	case errors.Is(err, syscall.ENOENT) && flag&os.O_CREATE != 0:
		dir, base, err := m.parent(name)
		if err != nil {
			return nil, err
		}
		n = newNode(false)
		dir.setEntry(base, n, nil)
		return n, nil
	case err != nil:
		return nil, err
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, syscall.EEXIST
	case n.dir:
		return nil, syscall.EISDIR
	case flag&os.O_TRUNC != 0:
		n.truncate(0, m.space)
	}
	return n, nil
}

func (m *Mem) Remove(name string) error {
	if err := m.enter("remove", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.dir && len(n.entries) > 0 {
		err = syscall.ENOTEMPTY
	}
	if err == nil {
		err = m.unlink(name)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) unlink(name string) error {
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	dir.setEntry(base, nil, m.space)
	return nil
}

// RemoveAll removes file by file, so that a crash can leave a directory that is half empty.
func (m *Mem) RemoveAll(name string) error {
	if err := m.enter("removeall", name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n, err := m.find(name)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err == nil {
		n.removeEntries(m.space)
		err = m.unlink(name)
	}
	if err != nil {
		return &fs.PathError{Op: "removeall", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) Rename(oldname, newname string) error {
	if err := m.enter("rename", oldname); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := m.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldname, newname string) error {
	n, err := m.find(oldname)
	if err != nil {
		return err
	}
	from, oldbase, err := m.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.parent(newname)
	if err != nil {
		return err
	}
	old, target := clean(oldname), clean(newname)
	switch replaced := to.entries[newbase]; {
	case replaced == n:
		return nil
	case n.dir && strings.HasPrefix(target+"/", old+"/"):
		return syscall.EINVAL
	case replaced == nil:
	case replaced.dir && !n.dir:
		return syscall.EISDIR
	case !replaced.dir && n.dir:
		return syscall.ENOTDIR
	case len(replaced.entries) > 0:
		return syscall.ENOTEMPTY
	}
	moveEntry(from, oldbase, to, newbase, m.space)
	return nil
}

func (m *Mem) MkdirAll(dir string) error {
	if err := m.enter("mkdir", dir); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n := m.root
	for elem := range strings.SplitSeq(clean(dir), "/") {
		if elem == "" {
			continue
		}
		next := n.entries[elem]
		if next == nil {
			next = newNode(true)
			n.setEntry(elem, next, nil)
		}
		if n = next; !n.dir {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
	}
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	if err := m.enter("list", dir); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	n, err := m.findDir(dir)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: err}
	}
	return n.names(), nil
}

func (m *Mem) findDir(name string) (*node, error) {
	n, err := m.find(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	return n, err
}

func (m *Mem) Stat(name string) (Info, error) {
	if err := m.enter("stat", name); err != nil {
		return Info{}, err
	}
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return Info{Size: n.size, Dir: n.dir, ModTime: n.modTime}, nil
}

func (m *Mem) SyncDir(dir string) error {
	if err := m.enter("syncdir", dir); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n, err := m.findDir(dir)
	if err != nil {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: err}
	}
	n.syncEntries()
	return nil
}

func (m *Mem) Free(dir string) (int64, error) {
	if err := m.enter("statfs", dir); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if _, err := m.find(dir); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return max(0, m.space.limit-m.space.used), nil
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	if err := m.enter("lock", name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	full := clean(name)
	if m.locks[full] != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	if _, err := m.open(name, os.O_RDWR|os.O_CREATE); err != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	m.locks[full] = &memLock{fs: m, name: full}
	return m.locks[full], nil
}

type memLock struct {
	fs   *Mem
	name string
}

func (l *memLock) Close() error {
	if err := l.fs.enter("unlock", l.name); err != nil {
		return err
	}
	defer l.fs.mu.Unlock()
	if l.fs.locks[l.name] != l {
		return &fs.PathError{Op: "unlock", Path: l.name, Err: fs.ErrClosed}
	}
	delete(l.fs.locks, l.name)
	return nil
}

// names returns the base names in a directory, sorted.
func (n *node) names() []string {
	names := make([]string, 0, len(n.entries))
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// node is a file or a directory. A file's bytes are in memdata.go, a directory's entries in memdir.go.
type node struct {
	dir     bool
	modTime time.Time
	links   int // names that lead here
	handles int // open files
	data
	directory
}

func newNode(dir bool) *node {
	n := &node{dir: dir, modTime: time.Now()}
	if dir {
		n.entries = make(map[string]*node)
		n.durable = make(map[string]*node)
	}
	return n
}

// unref frees the space of a file that no name and no handle leads to any more.
func (n *node) unref(s *space) {
	if n.links == 0 && n.handles == 0 && !n.dir {
		n.release(s)
	}
}

// recount returns the space that the files below n take, and forgets the handles and the files that were held by them
// alone.
func (n *node) recount(seen map[*node]bool) int64 {
	var used int64
	for _, name := range n.names() {
		child := n.entries[name]
		if !seen[child] {
			seen[child] = true
			child.links, child.handles = 0, 0
			used += child.charged() + child.recount(seen)
		}
		child.links++
	}
	return used
}
