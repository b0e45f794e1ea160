package commitlog

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/logbahn/logbahn/internal/vfs"
)

// lazyFile is a file that is opened when it is needed and closed when it has not been used for a while, so that a log
// of thousands of cold segments holds no handles. Holders of a handle keep it open over close and over retire.
type lazyFile struct {
	fs     vfs.FS
	name   string
	handle atomic.Pointer[handle]
	gone   atomic.Bool // retired: the name may lead to something else now
	used   atomic.Bool // since the last sweep
	mu     sync.Mutex  // opening and retiring
}

// handle is an open file with the number of its holders; the lazyFile itself is one.
type handle struct {
	vfs.File
	refs atomic.Int64
}

func (h *handle) tryAcquire() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *handle) release() {
	if h.refs.Add(-1) == 0 {
		_ = h.File.Close() // nothing is written through a handle that its log has let go unsynced
	}
}

// acquire returns an open handle that the caller releases. It fails with errGone after retire.
func (f *lazyFile) acquire() (*handle, error) { return f.open(os.O_RDWR) }

// create is acquire for a file that may not be there yet.
func (f *lazyFile) create() (*handle, error) { return f.open(os.O_RDWR | os.O_CREATE) }

func (f *lazyFile) open(flag int) (*handle, error) {
	if h := f.handle.Load(); h != nil && h.tryAcquire() {
		if f.gone.Load() {
			h.release()
			return nil, errGone
		}
		if !f.used.Load() {
			f.used.Store(true)
		}
		return h, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone.Load() {
		return nil, errGone
	}
	if h := f.handle.Load(); h != nil && h.tryAcquire() {
		return h, nil
	}
	file, err := f.fs.OpenFile(f.name, flag)
	if err != nil {
		return nil, err
	}
	h := &handle{File: file}
	h.refs.Store(2)
	f.handle.Store(h)
	f.used.Store(true)
	return h, nil
}

// close gives the handle back; the file is opened again when it is needed.
func (f *lazyFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.handle.Swap(nil); h != nil {
		h.release()
	}
}

// sweep closes a file that was not used since the last sweep.
func (f *lazyFile) sweep() {
	if f.handle.Load() != nil && !f.used.Swap(false) {
		f.close()
	}
}

// retire makes every later acquire fail. What it returns means that the name may now be renamed, removed or replaced.
func (f *lazyFile) retire() {
	f.mu.Lock()
	f.gone.Store(true)
	h := f.handle.Swap(nil)
	f.mu.Unlock()
	if h != nil {
		h.release()
	}
}
