package vfs

import (
	"io"
	"syscall"
	"time"
)

const (
	pageSize   = 4096
	sectorSize = 512
	// pendingOpsMax and pendingBytesMax bound what one file or directory may hold unsynced. Beyond, it is written back
	// without having been asked, as a kernel does.
	pendingOpsMax   = 1 << 16
	pendingBytesMax = 64 << 20
	// fileBytesMax bounds the page table of a file.
	fileBytesMax = 1 << 36
	unlimited    = 1 << 50
)

type page [pageSize]byte

// space is the disk below all files: how much of it is taken, and a few pages for reuse.
type space struct {
	limit, used int64
	spare       []*page
}

const sparePagesMax = 256

func (s *space) page() *page {
	if n := len(s.spare); n > 0 {
		p := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return p
	}
	return new(page)
}

func (s *space) recycle(p *page) {
	if p != nil && len(s.spare) < sparePagesMax {
		s.spare = append(s.spare, p)
	}
}

// data is the bytes of a file: pages as readers see them, pages as they are on disk, and the calls that lead from one
// to the other. A sync costs as much as there are dirty pages.
type data struct {
	size        int64
	durableSize int64
	slots       []slot
	unsynced    []int // slots whose live page differs from the durable one, each once
	ops         []op  // since the last sync; what a crash keeps some of
	opBytes     []byte
}

// slot is one page. A nil page is zeros.
type slot struct {
	live, durable *page
	state         slotState
	reserved      bool // takes space
}

type slotState uint8

const (
	slotClean slotState = iota
	slotDirty
	slotLost // a failed sync marked it clean: no later sync writes it unless it is written again
)

type op struct {
	truncate   bool
	offset     int64 // of the write, or the new size
	start, end int   // of the bytes in opBytes
}

func (d *data) readAt(b []byte, offset int64) (int, error) {
	if offset >= d.size {
		if len(b) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), d.size-offset))
	for done := 0; done < n; {
		i, at := int((offset+int64(done))/pageSize), int((offset+int64(done))%pageSize)
		part := b[done:min(n, done+pageSize-at)]
		if i < len(d.slots) && d.slots[i].live != nil {
			copy(part, d.slots[i].live[at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// writeAt writes as much as there is room for and remembers it for the crash.
func (d *node) writeAt(b []byte, offset int64, s *space) (int, error) {
	if offset > fileBytesMax-int64(len(b)) {
		return 0, syscall.EFBIG
	}
	n, err := d.put(b, offset, s)
	if n > 0 {
		d.modTime = time.Now()
		d.remember(op{offset: offset}, b[:n], s)
	}
	return n, err
}

func (d *data) put(b []byte, offset int64, s *space) (int, error) {
	done := 0
	for done < len(b) {
		i, at := int((offset+int64(done))/pageSize), int((offset+int64(done))%pageSize)
		d.grow(i + 1)
		if err := d.reserve(i, s); err != nil {
			return done, err
		}
		done += copy(d.dirty(i, s)[at:], b[done:])
		d.size = max(d.size, offset+int64(done))
	}
	return done, nil
}

func (d *data) grow(slots int) {
	for len(d.slots) < slots {
		d.slots = append(d.slots, slot{})
	}
}

func (d *data) reserve(i int, s *space) error {
	if d.slots[i].reserved {
		return nil
	}
	if s.used+pageSize > s.limit {
		return syscall.ENOSPC
	}
	s.used += pageSize
	d.slots[i].reserved = true
	return nil
}

// dirty returns the page of slot i for writing, apart from the durable one.
func (d *data) dirty(i int, s *space) *page {
	sl := &d.slots[i]
	if sl.state == slotClean {
		d.unsynced = append(d.unsynced, i)
		sl.live = s.page()
		if sl.durable != nil {
			*sl.live = *sl.durable
		} else {
			clear(sl.live[:])
		}
	} else if sl.live == nil {
		sl.live = s.page()
		clear(sl.live[:])
	}
	sl.state = slotDirty
	return sl.live
}

// drop makes slot i a hole.
func (d *data) drop(i int, s *space) {
	sl := &d.slots[i]
	if sl.reserved {
		sl.reserved = false
		s.used -= pageSize
	}
	switch {
	case sl.state != slotClean:
		s.recycle(sl.live)
	case sl.durable != nil:
		d.unsynced = append(d.unsynced, i)
	default:
		return
	}
	sl.live, sl.state = nil, slotDirty
}

func (d *node) truncate(size int64, s *space) {
	d.cut(size, s)
	d.modTime = time.Now()
	d.remember(op{truncate: true, offset: size}, nil, s)
}

// cut sets the size. Space beyond it is given back, reserved one included; bytes beyond it are zeros when it grows
// again.
func (d *data) cut(size int64, s *space) {
	d.size = size
	first := int((size + pageSize - 1) / pageSize)
	for i := first; i < len(d.slots); i++ {
		d.drop(i, s)
	}
	if at := size % pageSize; at != 0 && first <= len(d.slots) && d.slots[first-1].live != nil {
		clear(d.dirty(first-1, s)[at:])
	}
	d.trim()
}

// trim forgets the holes at the end of the table.
func (d *data) trim() {
	n := len(d.slots)
	for n > 0 && d.slots[n-1] == (slot{}) {
		n--
	}
	d.slots = d.slots[:n]
}

func (d *data) allocate(offset, length int64, s *space) error {
	if offset < 0 || length <= 0 {
		return syscall.EINVAL
	}
	if length > fileBytesMax || offset > fileBytesMax-length {
		return syscall.EFBIG
	}
	first, end := int(offset/pageSize), int((offset+length+pageSize-1)/pageSize)
	var missing int64
	for i := first; i < end; i++ {
		if i >= len(d.slots) || !d.slots[i].reserved {
			missing += pageSize
		}
	}
	if s.used+missing > s.limit {
		return syscall.ENOSPC
	}
	d.grow(end)
	for i := first; i < end; i++ {
		d.slots[i].reserved = true
	}
	s.used += missing
	return nil
}

func (d *data) remember(o op, b []byte, s *space) {
	o.start = len(d.opBytes)
	d.opBytes = append(d.opBytes, b...)
	o.end = len(d.opBytes)
	d.ops = append(d.ops, o)
	if len(d.ops) >= pendingOpsMax || len(d.opBytes) >= pendingBytesMax {
		d.sync(s)
	}
}

// sync makes what is seen durable, but for what a failed sync lost.
func (d *data) sync(s *space) {
	lost := d.unsynced[:0]
	for _, i := range d.unsynced {
		sl := &d.slots[i]
		if sl.state == slotLost {
			lost = append(lost, i)
			continue
		}
		s.recycle(sl.durable)
		sl.durable, sl.state = sl.live, slotClean
	}
	d.unsynced = lost
	d.durableSize = d.size
	d.forgetOps()
	d.trim()
}

// loseDirty is what Linux does when a write-back fails: the pages count as clean and are not on disk.
func (d *data) loseDirty() {
	for _, i := range d.unsynced {
		d.slots[i].state = slotLost
	}
	d.forgetOps()
}

// opBytesKept is how large a buffer a file keeps between syncs.
const opBytesKept = 64 << 10

func (d *data) forgetOps() {
	d.ops, d.opBytes = d.ops[:0], d.opBytes[:0]
	if cap(d.opBytes) > opBytesKept {
		d.opBytes = nil
	}
}

// revert goes back to what is durable.
func (d *data) revert(s *space) {
	for _, i := range d.unsynced {
		sl := &d.slots[i]
		s.recycle(sl.live)
		sl.live, sl.state = sl.durable, slotClean
	}
	d.unsynced = d.unsynced[:0]
	d.cut(d.durableSize, s) // a page that a failed sync lost may reach beyond the end
}

// recharge counts the space of a file as a disk check does: its pages, without what was reserved.
func (d *data) recharge() {
	for i := range d.slots {
		d.slots[i].reserved = d.slots[i].live != nil
	}
	d.trim()
}

func (d *data) charged() int64 {
	var used int64
	for i := range d.slots {
		if d.slots[i].reserved {
			used += pageSize
		}
	}
	return used
}

func (d *data) release(s *space) {
	s.used -= d.charged()
	for i := range d.slots {
		d.slots[i].reserved = false
	}
}
