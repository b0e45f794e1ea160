package commitlog

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/logbahn/logbahn/internal/record"
)

const (
	walkBlockBytes = 4096
	walkBatchKept  = 64 << 10
)

// walker reads the headers of the batches of one file, small ones many at a time.
type walker struct {
	segment *segment
	file    *handle
	name    string
	at      int64 // position of the block
	n       int   // valid bytes in it
	// behind is where the last batch ends that was looked at, next its next offset: those that follow must not fall.
	behind int64
	next   int64
	last   record.Header
	top    int64 // offsets must lie below
	// checked makes header compare checksums, at the price of reading everything.
	checked bool
	batch   []byte
	block   [walkBlockBytes]byte
}

var walkers = sync.Pool{New: func() any { return new(walker) }}

// walk opens a walker, which the caller closes.
func (s *segment) walk() (*walker, error) {
	h, err := s.file.acquire()
	if err != nil {
		return nil, err
	}
	w := walkers.Get().(*walker)
	w.segment = s
	w.file, w.name, w.at, w.n, w.checked = h, s.file.name, 0, 0, false
	w.behind, w.next, w.last = 0, s.base, record.Header{}
	return w, nil
}

func (w *walker) close() {
	w.file.release()
	w.file, w.segment = nil, nil
	if cap(w.batch) > walkBatchKept {
		w.batch = nil
	}
	walkers.Put(w)
}

// header reads the header of the batch at position. The whole batch must lie below end.
func (w *walker) header(position, end int64) (record.Header, error) {
	w.top = w.segment.bound.Load() // after the caller has loaded end
	if position+record.HeaderSize > end {
		return record.Header{}, w.corrupt(position, "the batch is cut off")
	}
	i := position - w.at
	if i < 0 || i+record.HeaderSize > int64(w.n) {
		n, err := w.file.ReadAt(w.block[:min(walkBlockBytes, end-position)], position)
		if err != nil && !(errors.Is(err, io.EOF) && n >= record.HeaderSize) {
			return record.Header{}, w.readError(position, err)
		}
		w.at, w.n, i = position, n, 0
	}
	h, err := record.ReadHeader(w.block[i : i+record.HeaderSize])
	if err != nil {
		return record.Header{}, w.corrupt(position, err.Error())
	}
	if position+int64(h.Size()) > end {
		return record.Header{}, w.corrupt(position, "the batch is longer than the file")
	}
	if h.LastOffsetDelta < 0 || h.BaseOffset < 0 || h.NextOffset() > w.top || position == w.behind && h.BaseOffset < w.next {
		return record.Header{}, w.corrupt(position, "impossible offsets")
	}
	if position == w.behind && h.BaseOffset > w.next && w.last.Length > 0 && !w.checked {
		// A gap: compaction left it, or the batch before is damaged and seems to end earlier than it does.
		if _, err := w.read(position-int64(w.last.Size()), &w.last); err != nil {
			return record.Header{}, err
		}
	}
	if w.checked {
		_, err = w.read(position, &h)
	}
	w.last = h
	w.behind, w.next = position+int64(h.Size()), h.NextOffset()
	return h, err
}

// read returns a whole batch, whose checksum is right, until the next call.
func (w *walker) read(position int64, h *record.Header) ([]byte, error) {
	w.batch = slices.Grow(w.batch[:0], h.Size())[:h.Size()]
	if _, err := w.file.ReadAt(w.batch, position); err != nil {
		return nil, w.readError(position, err)
	}
	if err := record.CheckCRC(w.batch); err != nil {
		return nil, w.corrupt(position, err.Error())
	}
	return w.batch, nil
}

// corrupt returns the error for bytes that are not a batch. Those of a segment that is being cut are no corruption.
func (w *walker) corrupt(position int64, reason string) error {
	if w.segment.rewritten.Load() {
		return errGone
	}
	return &CorruptionError{File: w.name, Position: position, Reason: reason}
}

func (w *walker) readError(position int64, err error) error {
	if errors.Is(err, io.EOF) {
		return w.corrupt(position, "the file ends too early")
	}
	return err
}

// readError makes a file that is shorter than it was a corruption. Other errors stay what they are.
func readError(name string, position int64, err error) error {
	if errors.Is(err, io.EOF) {
		return &CorruptionError{File: name, Position: position, Reason: "the file ends too early"}
	}
	return err
}
