package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// The suffixes of a segment's files, as Kafka's.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
	deletedSuffix   = ".deleted"
	cleanedSuffix   = ".cleaned"
	swapSuffix      = ".swap"
)

// indexFileBytesMax bounds what is read of an index file: segment.index.bytes cannot be more sensibly.
const indexFileBytesMax = 1 << 30

// unknownTimestamp stands for the age of a closed segment that nobody has asked for yet.
const unknownTimestamp = math.MinInt64

// segment is one file of batches with its indexes. The last one of a log grows, by one writer at a time; others read it
// at once, up to size. All others do not change. A segment that is cut leaves the log and another one with the same
// name takes its place.
type segment struct {
	base         int64
	dir          string
	interval     int64
	file         lazyFile
	extent       atomic.Uint64 // bytes of whole batches, and where they end: one number, so that nobody sees one without the other
	bound        atomic.Int64  // no batch ends beyond this offset
	maxTimestamp atomic.Int64
	rewritten    atomic.Bool // cut in place: what was read of the file may be other bytes

	offsets   atomic.Pointer[growing[offsetEntry]] // nil: on disk, not loaded
	times     atomic.Pointer[growing[timeEntry]]
	pinned    atomic.Bool // the index in memory is to be written
	stale     atomic.Bool // what is on disk of an index may be of an earlier stop: see Log.recoveryPoint
	indexUsed atomic.Bool // since the last sweep
	loading   sync.Mutex

	// hints remember where batches begin: relative offset in the upper half, position in the lower.
	hints [16]atomic.Uint64
}

func newSegment(fsys vfs.FS, dir string, base, interval int64) *segment {
	s := &segment{base: base, dir: dir, interval: interval}
	s.file.fs, s.file.name = fsys, segmentFile(dir, base, logSuffix)
	s.bound.Store(unbounded)
	s.maxTimestamp.Store(record.NoTimestamp)
	return s
}

// segmentFile returns the name of one file of the segment that begins at base.
func segmentFile(dir string, base int64, suffix string) string {
	return path.Join(dir, fmt.Sprintf("%020d", base)+suffix)
}

// parseSegmentFile splits the base name of a segment's file.
func parseSegmentFile(name string) (base int64, suffix string, ok bool) {
	digits, rest, found := strings.Cut(name, ".")
	if !found || len(digits) != 20 {
		return 0, "", false
	}
	base, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || base < 0 {
		return 0, "", false
	}
	return base, "." + rest, true
}

// close says that the segment has all its batches; the next one begins at next.
func (s *segment) close(next int64) {
	s.setExtent(s.bytes(), next)
	s.bound.Store(next)
}

// bounds returns the bytes of whole batches, and the offset after the last one; of a closed segment, the base of the one
// behind. It may be less where that one is more than 2^32 offsets away.
func (s *segment) bounds() (size, next int64) {
	e := s.extent.Load()
	return int64(e >> 32), s.base + int64(e&math.MaxUint32)
}

func (s *segment) bytes() int64 {
	size, _ := s.bounds()
	return size
}

func (s *segment) end() int64 {
	_, next := s.bounds()
	return next
}

func (s *segment) setBytes(size int64) { s.setExtent(size, s.end()) }

func (s *segment) setExtent(size, next int64) {
	s.extent.Store(uint64(size)<<32 | uint64(min(next-s.base, math.MaxUint32)))
}

func (s *segment) hint(offset int64) *atomic.Uint64 {
	return &s.hints[uint32(offset-s.base)*2654435761>>28]
}

func (s *segment) remember(offset, position int64) {
	s.hint(offset).Store(uint64(offset-s.base)<<32 | uint64(position))
}

// position returns where the first batch begins whose last offset is at least offset, size when there is none below it.
func (s *segment) position(offset, size int64) (int64, error) {
	if offset <= s.base {
		return 0, nil
	}
	if hint := s.hint(offset).Load(); hint>>32 == uint64(offset-s.base) && hint != 0 {
		return min(int64(hint&math.MaxUint32), size), nil
	}
	w, err := s.walk()
	if err != nil {
		return 0, err
	}
	defer w.close()
	position, _, err := s.find(w, offset, size)
	if err == nil && position < size {
		s.remember(offset, position)
	}
	return position, err
}

// find is position by way of the index, and returns the header found there too.
func (s *segment) find(w *walker, offset, size int64) (int64, record.Header, error) {
	position, err := s.indexed(w, offset, size)
	if err != nil {
		return 0, record.Header{}, err
	}
	return scan(w, offset, position, size)
}

// scan walks from position to the first batch whose last offset is at least offset.
func scan(w *walker, offset, position, size int64) (int64, record.Header, error) {
	for position < size {
		h, err := w.header(position, size)
		if err != nil {
			return 0, h, err
		}
		if h.LastOffset() >= offset {
			return position, h, nil
		}
		position += int64(h.Size())
	}
	return size, record.Header{}, nil
}

// indexed returns the position of a batch from which a walk reaches offset soon. The index is not trusted: the entry
// must name the batch that lies there, otherwise the index is built again.
func (s *segment) indexed(w *walker, offset, size int64) (int64, error) {
	for range 2 {
		table, err := s.offsetTable()
		if err != nil {
			return 0, err
		}
		e, ok := floorOffset(table.view(), offset-s.base)
		if !ok {
			return 0, nil
		}
		if h, err := w.header(int64(e.position), size); err == nil && h.LastOffset() == s.base+int64(e.relative) {
			return int64(e.position), nil
		}
		if err := s.rebuildIndex(table); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// offsetTable returns the offset index, loaded from its file if need be.
func (s *segment) offsetTable() (*growing[offsetEntry], error) {
	if t := s.offsets.Load(); t != nil {
		if !s.indexUsed.Load() {
			s.indexUsed.Store(true)
		}
		return t, nil
	}
	if err := s.loadIndex(); err != nil {
		return nil, err
	}
	if t := s.offsets.Load(); t != nil {
		return t, nil
	}
	return s.offsetTable()
}

func (s *segment) timeTable() (*growing[timeEntry], error) {
	if t := s.times.Load(); t != nil {
		return t, nil
	}
	if err := s.loadIndex(); err != nil {
		return nil, err
	}
	if t := s.times.Load(); t != nil {
		return t, nil
	}
	return s.timeTable()
}

func (s *segment) loadIndex() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.offsets.Load() != nil && s.times.Load() != nil {
		return nil
	}
	x, err := s.readIndex()
	if err == nil {
		s.indexUsed.Store(true)
		s.offsets.Store(x.offsets)
		s.times.Store(x.times)
		return nil
	}
	if !errors.Is(err, ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.buildIndex()
}

func (s *segment) readIndex() (indexer, error) {
	x := newIndexer(s.base, s.interval)
	b, err := vfs.ReadFile(s.file.fs, segmentFile(s.dir, s.base, indexSuffix), indexFileBytesMax)
	if err != nil {
		return x, err
	}
	offsets, err := decodeOffsetIndex(b, s.bytes())
	if err != nil {
		return x, err
	}
	if b, err = vfs.ReadFile(s.file.fs, segmentFile(s.dir, s.base, timeIndexSuffix), indexFileBytesMax); err != nil {
		return x, err
	}
	if s.file.gone.Load() {
		return x, errGone // what was read may be another segment's of the same name
	}
	times, err := decodeTimeIndex(b)
	if err != nil {
		return x, err
	}
	for _, e := range offsets {
		x.offsets.append(e)
	}
	for _, e := range times {
		x.times.append(e)
	}
	return x, nil
}

// rebuildIndex replaces the indexes if they are still those in which the caller found a fault.
func (s *segment) rebuildIndex(bad *growing[offsetEntry]) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.offsets.Load() != bad {
		return nil
	}
	return s.buildIndex()
}

// buildIndex reads the headers of the whole segment. Maintenance writes the result to disk.
func (s *segment) buildIndex() error {
	w, err := s.walk()
	if err != nil {
		return err
	}
	defer w.close()
	w.checked = true
	x, err := indexOf(w, s.base, s.interval, s.bytes())
	if err != nil {
		return err
	}
	x.closeTimes()
	s.pinned.Store(true)
	s.offsets.Store(x.offsets)
	s.times.Store(x.times)
	return nil
}

func indexOf(w *walker, base, interval, size int64) (indexer, error) {
	x := newIndexer(base, interval)
	for position := int64(0); position < size; {
		h, err := w.header(position, size)
		if err != nil {
			return x, err
		}
		x.add(&h, position)
		position += int64(h.Size())
	}
	return x, nil
}

// youngest returns the largest timestamp of the segment, record.NoTimestamp when it has none.
func (s *segment) youngest() (int64, error) {
	if ts := s.maxTimestamp.Load(); ts != unknownTimestamp {
		return ts, nil
	}
	w, err := s.walk()
	if err != nil {
		return 0, err
	}
	defer w.close()
	e, err := s.timeEntryBefore(w, math.MaxInt64, s.bytes())
	if err != nil {
		return 0, err
	}
	s.maxTimestamp.Store(e.timestamp)
	return e.timestamp, nil
}

// timeEntryBefore returns the last entry of the time index below timestamp, checked against the batch that it names.
// Without one it returns the base offset with record.NoTimestamp.
func (s *segment) timeEntryBefore(w *walker, timestamp, size int64) (timeEntry, error) {
	for range 2 {
		offsets, err := s.offsetTable()
		if err != nil {
			return timeEntry{}, err
		}
		times, err := s.timeTable()
		if err != nil {
			return timeEntry{}, err
		}
		e, ok := floorTime(times.view(), timestamp)
		if !ok {
			return timeEntry{timestamp: record.NoTimestamp}, nil
		}
		position, h, err := s.find(w, s.base+int64(e.relative), size)
		if err == nil && position < size {
			_, err = w.read(position, &h)
		}
		if err != nil && isCorruption(err) {
			return timeEntry{}, err
		}
		if err == nil && h.LastOffset() == s.base+int64(e.relative) && h.MaxTimestamp == e.timestamp {
			return e, nil
		}
		if err := s.rebuildIndex(offsets); err != nil {
			return timeEntry{}, err
		}
	}
	return timeEntry{timestamp: record.NoTimestamp}, nil
}

// sweep frees what has not been used since the last sweep.
func (s *segment) sweep(sealed bool) {
	s.file.sweep()
	if sealed && !s.pinned.Load() && !s.indexUsed.Swap(false) {
		s.offsets.Store(nil)
		s.times.Store(nil)
	}
}
