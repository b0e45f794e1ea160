package commitlog

import (
	"errors"

	"github.com/logbahn/logbahn/internal/record"
)

// inflatedBytesMax bounds the decompression of one batch when a single record of it is searched.
const inflatedBytesMax = 256 << 20

// OffsetForTimestamp returns the first record below end, in the order of the log, that is at least as young as ts.
func (l *Log) OffsetForTimestamp(ts, end int64) (offset, timestamp int64, leaderEpoch int32, found bool, err error) {
	for {
		list := l.segments.Load()
		r, epoch, found, err := l.findRecord(ts, end)
		if errors.Is(err, errGone) {
			if err = l.goneFrom(list); err == nil {
				continue
			}
		}
		return r.Offset, r.Timestamp, epoch, found, l.readFailed(err)
	}
}

// MaxTimestampOffset returns the first record below end that has the largest timestamp.
func (l *Log) MaxTimestampOffset(end int64) (offset, timestamp int64, leaderEpoch int32, found bool, err error) {
	for {
		list := l.segments.Load()
		largest, err := l.youngestBelow(end)
		if errors.Is(err, errGone) {
			if err = l.goneFrom(list); err == nil {
				continue
			}
		}
		if err != nil || largest == record.NoTimestamp {
			return 0, 0, 0, false, l.readFailed(err)
		}
		return l.OffsetForTimestamp(largest, end)
	}
}

// TimestampAt returns the timestamp in milliseconds of the batch that holds the record at offset, or of the next one
// when compaction has removed it: that of its first record, or with LogAppendTime that of all. The batch's header alone
// is read. It is record.NoTimestamp at the end of the log and for batches that have none. Errors are those of Read.
func (l *Log) TimestampAt(offset int64) (int64, error) {
	c, err := l.Read(offset, 1, l.EndOffset(), true)
	defer c.Release()
	if err != nil || c.Size() == 0 {
		return record.NoTimestamp, err
	}
	var header [record.HeaderSize]byte
	if _, err := c.file.ReadAt(header[:], c.position); err != nil {
		if c.segment.rewritten.Load() {
			return record.NoTimestamp, ErrTruncated
		}
		return record.NoTimestamp, l.readFailed(readError(c.segment.file.name, c.position, err))
	}
	h, err := record.ReadHeader(header[:])
	switch {
	case c.segment.rewritten.Load():
		return record.NoTimestamp, ErrTruncated
	case err != nil: // Read's checks say what is wrong with a batch
		return record.NoTimestamp, err
	case h.Attributes.LogAppendTime():
		return h.MaxTimestamp, nil
	}
	return h.BaseTimestamp, nil
}

func (l *Log) youngestBelow(end int64) (int64, error) {
	largest := int64(record.NoTimestamp)
	for _, s := range *l.segments.Load() {
		youngest, err := s.youngestBelow(end)
		if err != nil {
			return 0, err
		}
		largest = max(largest, youngest)
	}
	return largest, nil
}

// youngestBelow is youngest for the batches below end.
func (s *segment) youngestBelow(end int64) (int64, error) {
	if s.base >= end || s.bytes() == 0 {
		return record.NoTimestamp, nil
	}
	if s.end() <= end {
		return s.youngest()
	}
	largest := int64(record.NoTimestamp)
	err := s.walkHeaders(s.base, end, false, func(h *record.Header) { largest = max(largest, h.MaxTimestamp) })
	return largest, err
}

func (l *Log) findRecord(ts, end int64) (r record.Record, epoch int32, found bool, err error) {
	start := l.start.Load()
	end = min(end, l.end.Load())
	segments := *l.segments.Load()
	for _, s := range segments[segmentAt(segments, start):] {
		if s.base >= end || s.bytes() == 0 {
			continue
		}
		youngest, err := s.youngest()
		if err != nil {
			return r, 0, false, err
		}
		if youngest < ts {
			continue
		}
		if r, epoch, found, err = s.findRecord(ts, start, end); found || err != nil {
			return r, epoch, found, err
		}
	}
	return r, 0, false, nil
}

// findRecord searches from the last entry of the time index before which all records are older.
func (s *segment) findRecord(ts, start, end int64) (found record.Record, epoch int32, ok bool, err error) {
	size := s.bytes()
	w, err := s.walk()
	if err != nil {
		return found, 0, false, err
	}
	defer w.close()
	e, err := s.timeEntryBefore(w, ts, size)
	if err != nil {
		return found, 0, false, err
	}
	w.checked = true
	position, h, err := s.find(w, max(s.base+int64(e.relative), start), size)
	for err == nil && position < size && h.BaseOffset < end {
		if h.MaxTimestamp >= ts && h.LastOffset() >= start {
			if found, ok, err = findInBatch(w, position, &h, ts, start, end); ok || err != nil {
				return found, h.LeaderEpoch, ok, err
			}
		}
		if position += int64(h.Size()); position < size {
			h, err = w.header(position, size)
		}
	}
	return found, 0, false, err
}

func findInBatch(w *walker, position int64, h *record.Header, ts, start, end int64) (record.Record, bool, error) {
	batch, err := w.read(position, h)
	if err != nil {
		return record.Record{}, false, err
	}
	for r, err := range record.Records(batch, inflatedBytesMax) {
		if err != nil {
			return record.Record{}, false, w.corrupt(position, err.Error())
		}
		if r.Timestamp >= ts && r.Offset >= start && r.Offset < end {
			return record.Record{Offset: r.Offset, Timestamp: r.Timestamp}, true, nil
		}
	}
	return record.Record{}, false, nil
}
