package commitlog

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/logbahn/logbahn/internal/record"
)

// Chunk is a range of whole batches in one file, which stays there until Release, whatever happens to the log. It is a
// value: copies share the one Release.
type Chunk struct {
	log      *Log
	segment  *segment
	file     *handle
	position int64
	size     int
	first    int64
	next     int64
}

// Size returns the bytes that AppendTo appends.
func (c *Chunk) Size() int { return c.size }

// FirstOffset returns the offset that was asked for. The first batch may begin before it, or behind it after
// compaction.
func (c *Chunk) FirstOffset() int64 { return c.first }

// NextOffset returns the offset to read next.
func (c *Chunk) NextOffset() int64 { return c.next }

// Release lets the file go. It must be called once, also for an empty chunk.
func (c *Chunk) Release() {
	if c.file != nil {
		c.file.release()
		c.file = nil
	}
}

// AppendTo reads the batches with one read behind dst and checks every one of them. On an error dst is returned as it
// was: ErrCorrupt when the bytes are not those that were written (the log fails), ErrTruncated when the range was
// truncated away since Read.
func (c *Chunk) AppendTo(dst []byte) ([]byte, error) {
	if c.size == 0 {
		return dst, nil
	}
	n := len(dst)
	dst = slices.Grow(dst, c.size)[:n+c.size]
	_, err := c.file.ReadAt(dst[n:], c.position)
	if err != nil {
		err = readError(c.segment.file.name, c.position, err)
	} else {
		err = c.check(dst[n:])
	}
	if c.segment.rewritten.Load() {
		return dst[:n], ErrTruncated
	}
	if err != nil {
		return dst[:n], c.log.readFailed(err)
	}
	return dst, nil
}

// check makes sure that b is the batches of the chunk. Base offset, length and leader epoch lie outside the checksum, so
// the order of the offsets and the epochs are checked as well.
func (c *Chunk) check(b []byte) error {
	next, epochs := c.segment.base, *c.log.epochs.Load()
	for position := c.position; len(b) > 0; {
		h, err := checkBatch(b, next, c.next)
		switch {
		case err != nil:
		case position == c.position && h.LastOffset() < c.first:
			err = errors.New("the batch is not the one of the index")
		case !epochFits(epochs, &h):
			err = fmt.Errorf("leader epoch %d", h.LeaderEpoch)
		}
		if err != nil {
			return &CorruptionError{File: c.segment.file.name, Position: position, Offset: next, Reason: err.Error()}
		}
		next, b, position = h.NextOffset(), b[h.Size():], position+int64(h.Size())
	}
	return nil
}

// checkBatch checks the batch at the start of b, whose offsets must lie in [from, to).
func checkBatch(b []byte, from, to int64) (record.Header, error) {
	h, err := record.ReadHeader(b)
	if err != nil {
		return h, err
	}
	if h.Size() > len(b) {
		return h, errors.New("the batch is cut off")
	}
	if h.BaseOffset < from || h.LastOffsetDelta < 0 || h.NextOffset() > to {
		return h, fmt.Errorf("offsets %d to %d outside of [%d, %d)", h.BaseOffset, h.LastOffset(), from, to)
	}
	return h, record.CheckCRC(b[:h.Size()])
}

// Read returns up to maxBytes of whole batches, the first one that reaches offset and what follows it below endOffset,
// which must be the end of a batch: high watermark, last stable offset or EndOffset. With minOne the first batch is
// returned however large it is. At the end of what may be read the chunk is empty. It fails with ErrOffsetOutOfRange
// below StartOffset and beyond EndOffset.
func (l *Log) Read(offset int64, maxBytes int, endOffset int64, minOne bool) (Chunk, error) {
	for {
		list := l.segments.Load()
		c, err := l.read(offset, maxBytes, endOffset, minOne)
		if !errors.Is(err, errGone) {
			return c, l.readFailed(err)
		}
		if err := l.goneFrom(list); err != nil {
			return Chunk{}, err
		}
	}
}

// goneFrom returns why a read that has met errGone in a list of segments, or a later one, is not tried again; nil: it is. It
// waits for a cut that is under way. One that has failed leaves the list as it was, and nobody will put another in its place.
func (l *Log) goneFrom(list *[]*segment) error {
	if l.isClosed() {
		return ErrClosed
	}
	if l.segments.Load() != list {
		return nil
	}
	return l.Err()
}

func (l *Log) read(offset int64, maxBytes int, endOffset int64, minOne bool) (Chunk, error) {
	logEnd := l.end.Load()
	if start := l.start.Load(); offset < start || offset > logEnd {
		return Chunk{}, fmt.Errorf("%w: %d is not in [%d, %d]", ErrOffsetOutOfRange, offset, start, logEnd)
	}
	end := min(endOffset, logEnd)
	c := Chunk{log: l, first: offset, next: offset}
	if offset >= end {
		return c, nil
	}
	segments := *l.segments.Load()
	for i := segmentAt(segments, offset); i < len(segments) && segments[i].base < end; i++ {
		found, err := segments[i].slice(&c, end, maxBytes, minOne)
		if found || err != nil {
			return c, err
		}
	}
	c.next = end
	return c, nil
}

// segmentAt returns the index of the segment that offset belongs to.
func segmentAt(segments []*segment, offset int64) int {
	return max(0, sort.Search(len(segments), func(i int) bool { return segments[i].base > offset })-1)
}

// slice makes c the range of this segment from c.first to end, and returns false when there is nothing of it here.
func (s *segment) slice(c *Chunk, end int64, maxBytes int, minOne bool) (bool, error) {
	limit, next := s.bounds()
	var err error
	if size := limit; end < next {
		if limit, err = s.position(end, size); err != nil {
			return false, err
		}
		next = end
	}
	position, err := s.position(c.first, limit)
	if err != nil || position >= limit {
		return false, err
	}
	if limit-position > int64(maxBytes) {
		if limit, next, err = s.cutAt(position, limit, maxBytes, minOne); err != nil {
			return false, err
		}
		if limit == position {
			return true, nil
		}
		s.remember(next, limit)
	}
	if c.file, err = s.file.acquire(); err != nil {
		return false, err
	}
	c.segment, c.position, c.size, c.next = s, position, int(limit-position), next
	return true, nil
}

// cutAt returns where the last whole batch ends of those from position that fit into maxBytes, and the offset there.
func (s *segment) cutAt(position, limit int64, maxBytes int, minOne bool) (end, next int64, err error) {
	w, err := s.walk()
	if err != nil {
		return 0, 0, err
	}
	defer w.close()
	table, err := s.offsetTable()
	if err != nil {
		return 0, 0, err
	}
	at := position
	if e, ok := floorPosition(table.view(), position+int64(maxBytes)); ok && int64(e.position) > position {
		h, err := w.header(int64(e.position), limit)
		if err == nil && h.LastOffset() == s.base+int64(e.relative) {
			at = int64(e.position)
		}
	}
	for {
		h, err := w.header(at, limit)
		if err != nil {
			return 0, 0, err
		}
		behind := at + int64(h.Size())
		if behind <= position+int64(maxBytes) {
			at = behind
			continue
		}
		if at > position || !minOne {
			return at, h.BaseOffset, nil
		}
		next = h.NextOffset()
		if behind < limit { // a base offset that has risen is not seen but by the next one
			h, err = w.header(behind, limit)
			next = h.BaseOffset
		}
		return behind, next, err
	}
}

// batchesBytesMax is how much Batches reads at a time, but for a larger batch.
const batchesBytesMax = 1 << 20

// Batches iterates over the batches from the one that reaches from to the end of the log as it is when the iteration
// begins. A batch is valid until the next one is asked for.
func (l *Log) Batches(from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var b []byte
		for end := l.end.Load(); from < end; {
			c, err := l.Read(from, batchesBytesMax, end, true)
			if err == nil {
				b, err = c.AppendTo(b[:0])
				c.Release()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for rest := b; len(rest) > 0; {
				h, _ := record.ReadHeader(rest) // checked by AppendTo
				if !yield(rest[:h.Size()], nil) {
					return
				}
				rest = rest[h.Size():]
			}
			from = c.NextOffset()
		}
	}
}
