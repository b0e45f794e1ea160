package commitlog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Compaction, as Kafka's LogCleaner. The keys of the dirty part, which was not compacted yet, are entered with their last
// offsets into a table of bounded size; then all segments up to where the table reaches are copied without the records
// that the table supersedes. Records keep their offsets, batches their base and last offset, epoch and sequences.
//
// A record without a value, a tombstone, stays until readers have had time to see it (KIP-534): the first compaction
// that meets it writes now + delete.retention.ms into the batch as its delete horizon, one after that removes it.
//
// A batch that loses all its records is kept empty when it is the last one of its producer, whose sequence it tells.
// Small neighbours become one segment. The last segment is never compacted, nor what could still be taken back.

func (d *Dir) compact() error {
	var errs []error
	for _, l := range d.openLogs() {
		if !l.config.Load().Compact || l.Err() != nil || l.isClosed() || d.closing() {
			continue
		}
		if err := l.compact(); err != nil && !errors.Is(err, errGone) && !errors.Is(err, ErrStorage) {
			errs = append(errs, fmt.Errorf("%s: %w", l.tp, err))
		}
	}
	return errors.Join(errs...)
}

// compaction is one pass over one log.
type compaction struct {
	log      *Log
	config   *Config
	nowMs    int64
	segments []*segment // that may be compacted, rising
	dirty    int64      // first offset that no pass has seen
	end      int64      // where the table ends
	table    *keyTable
	last     map[int64]int64 // from where on each producer's batches must be kept
	horizon  int64           // earliest delete horizon that was written or kept
	builder  record.Builder
	removed  int
}

// compact runs one pass if the log is dirty enough.
func (l *Log) compact() error {
	c, ok, err := l.planCompaction()
	if err != nil || !ok {
		return l.readFailed(err)
	}
	// What is compacted must lie below the recovery point on disk: recovery takes gaps above it for losses.
	if err := l.dir.checkpoint(false); err != nil {
		return err
	}
	if l.dir.marksOf(l.tp).recoveryPoint < c.segments[len(c.segments)-1].end() {
		return nil
	}
	if err := c.buildTable(); err != nil {
		return l.readFailed(err)
	}
	if c.end <= c.dirty && c.dirty < c.segments[len(c.segments)-1].end() {
		return fmt.Errorf("%w: one batch has more keys than the compaction's memory", ErrMessageTooLarge)
	}
	for _, group := range c.groups() {
		if err := c.compactGroup(group); err != nil {
			return l.readFailed(err)
		}
	}
	l.mu.Lock()
	l.mu.cleanerPoint, l.mu.deleteHorizon = c.end, c.horizon
	l.mu.Unlock()
	l.dir.changed.Store(true)
	return nil
}

// planCompaction decides what may be compacted and whether it is worth it.
func (l *Log) planCompaction() (*compaction, bool, error) {
	c := &compaction{log: l, config: l.config.Load(), nowMs: l.dir.nowMs(), horizon: math.MaxInt64}
	stable := l.stableOffset()
	l.mu.Lock()
	c.dirty = l.mu.cleanerPoint
	horizon := l.mu.deleteHorizon
	c.last = l.mu.producers.lastOffsets(stable)
	l.mu.Unlock()
	segments := *l.segments.Load()
	start := max(l.start.Load(), segments[0].base)
	if c.dirty < start || c.dirty > segments[len(segments)-1].base {
		c.dirty = start
	}
	var dirtyBytes, cleanBytes int64
	overdue := false
	for _, s := range segments[:len(segments)-1] {
		if s.end() > stable {
			break
		}
		if s.end() <= c.dirty {
			cleanBytes += s.bytes()
			c.segments = append(c.segments, s)
			continue
		}
		youngest, err := s.youngest()
		if err != nil {
			return nil, false, err
		}
		if c.config.MinCompactionLagMs > 0 && youngest > c.nowMs-c.config.MinCompactionLagMs {
			break
		}
		overdue = overdue || youngest < c.nowMs-c.config.MaxCompactionLagMs
		dirtyBytes += s.bytes()
		c.segments = append(c.segments, s)
	}
	if len(c.segments) == 0 {
		return nil, false, nil
	}
	dirtyEnough := dirtyBytes > 0 && float64(dirtyBytes) > c.config.MinCleanableRatio*float64(dirtyBytes+cleanBytes)
	tombstones := horizon > 0 && horizon <= c.nowMs
	return c, dirtyEnough || dirtyBytes > 0 && overdue || tombstones, nil
}

// buildTable enters the keys of the dirty segments until the table is full.
func (c *compaction) buildTable() error {
	c.table = newKeyTable(c.log.dir.cfg.CleanerBytesMax)
	c.end = c.dirty
	for _, s := range c.segments {
		if s.end() <= c.dirty {
			continue
		}
		full := false
		err := c.eachBatch(s, func(h *record.Header, batch []byte) error {
			if full || h.LastOffset() < c.dirty {
				return nil
			}
			if full = !c.table.room(int(h.Count)); full {
				return nil
			}
			c.end = h.NextOffset()
			return c.enter(h, batch)
		})
		if err != nil || full {
			return err
		}
		c.end = s.end()
	}
	return nil
}

func (c *compaction) enter(h *record.Header, batch []byte) error {
	if h.Attributes.Control() {
		return nil
	}
	for r, err := range record.Records(batch, inflatedBytesMax) {
		if err != nil {
			return err
		}
		if r.Key != nil && r.Offset >= c.dirty {
			c.table.put(r.Key, r.Offset)
		}
	}
	return nil
}

// eachBatch calls f with every batch of a segment, checked. The bytes are valid during the call. It fails with ErrClosed once
// the directory is being closed: Close waits for the pass.
func (c *compaction) eachBatch(s *segment, f func(*record.Header, []byte) error) error {
	size := s.bytes()
	if size == 0 {
		return nil
	}
	w, err := s.walk()
	if err != nil {
		return err
	}
	defer w.close()
	for position := int64(0); position < size; {
		h, err := w.header(position, size)
		if err != nil {
			return err
		}
		batch, err := w.read(position, &h)
		if err != nil {
			return err
		}
		if c.log.dir.closing() {
			return ErrClosed
		}
		if err := f(&h, batch); err != nil {
			return err
		}
		position += int64(h.Size())
	}
	return nil
}

// groups puts neighbours together that fit into one segment.
func (c *compaction) groups() [][]*segment {
	var groups [][]*segment
	var size int64
	for _, s := range c.segments {
		if s.base >= c.end {
			break
		}
		n := len(groups) - 1
		if n >= 0 && size+s.bytes() <= c.config.SegmentBytes && s.end()-groups[n][0].base <= math.MaxInt32 {
			groups[n], size = append(groups[n], s), size+s.bytes()
			continue
		}
		groups, size = append(groups, []*segment{s}), s.bytes()
	}
	return groups
}

// compactGroup writes the compacted form of some segments and puts it in their place. Nothing is written if nothing
// would change.
func (c *compaction) compactGroup(group []*segment) error {
	l, first := c.log, group[0]
	name := segmentFile(l.path, first.base, logSuffix+cleanedSuffix)
	f, err := l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	h := &handle{File: f}
	h.refs.Store(1)
	out := &segmentWriter{file: f, indexer: newIndexer(first.base, c.config.IndexIntervalBytes)}
	c.removed = 0
	for _, s := range group {
		if err = c.copySegment(out, s); err != nil {
			break
		}
	}
	if err == nil {
		err = out.finish()
	}
	if err != nil || c.removed == 0 && len(group) == 1 {
		h.release()
		return errors.Join(err, l.fs.Remove(name))
	}
	s := newSegment(l.fs, l.path, first.base, c.config.IndexIntervalBytes)
	s.file.handle.Store(h)
	s.setBytes(out.size)
	s.maxTimestamp.Store(out.maxTimestamp)
	s.offsets.Store(out.offsets)
	s.times.Store(out.times)
	s.pinned.Store(true)
	s.close(group[len(group)-1].end())
	return l.swap(group, s)
}

// copySegment copies what stays of one segment. Its last batch stays, empty if need be: see swap.go.
func (c *compaction) copySegment(out *segmentWriter, s *segment) error {
	last := int64(-1)
	if err := s.walkHeaders(s.base, unbounded, false, func(h *record.Header) { last = h.LastOffset() }); err != nil {
		return err
	}
	return c.eachBatch(s, func(h *record.Header, batch []byte) error {
		kept, err := c.filter(h, batch, h.LastOffset() == last || isLast(c.last, h))
		if err != nil || len(kept) == 0 {
			return err
		}
		return out.append(kept)
	})
}

// filter returns what stays of a batch: the batch itself, a smaller one, an empty one, or nothing.
func (c *compaction) filter(h *record.Header, batch []byte, keepEmpty bool) ([]byte, error) {
	if h.Attributes.Control() {
		return batch, nil
	}
	horizon := int64(0)
	if h.Attributes.DeleteHorizon() {
		horizon = h.BaseTimestamp
	}
	var kept []record.Record
	tombstones := false
	for r, err := range record.Records(batch, inflatedBytesMax) {
		if err != nil {
			return nil, err
		}
		if !c.keeps(&r, horizon) {
			continue
		}
		tombstones = tombstones || r.Value == nil
		kept = append(kept, r)
	}
	c.removed += int(h.Count) - len(kept)
	if len(kept) == 0 {
		return c.emptied(h, keepEmpty), nil
	}
	if tombstones && horizon == 0 {
		horizon = c.config.deleteHorizonMs(c.nowMs)
		c.removed++ // the batch changes
	} else if len(kept) == int(h.Count) {
		if tombstones {
			c.horizon = min(c.horizon, horizon)
		}
		return batch, nil
	}
	if tombstones {
		c.horizon = min(c.horizon, horizon)
	}
	return c.rebuild(h, kept, horizon), nil
}

// keeps decides about one record. Without a key it cannot be in a compacted log. Behind the end of the table all stay:
// what a tombstone there deletes may still be in the log.
func (c *compaction) keeps(r *record.Record, horizon int64) bool {
	if r.Offset >= c.end {
		return true
	}
	if r.Key == nil || c.table.superseded(r.Key, r.Offset) {
		return false
	}
	return r.Value != nil || horizon == 0 || c.nowMs < horizon
}

func (c *compaction) rebuild(h *record.Header, records []record.Record, horizon int64) []byte {
	o := record.BuilderOptions{
		BaseOffset: h.BaseOffset, LeaderEpoch: h.LeaderEpoch, Codec: h.Attributes.Codec(),
		Transactional: h.Attributes.Transactional(), KeepOffsets: true, LastOffset: h.LastOffset(), DeleteHorizonMs: horizon,
	}
	if h.HasProducer() {
		o.Producer = &record.Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch, Sequence: h.BaseSequence}
	}
	c.builder.Reset(o)
	for _, r := range records {
		c.builder.Append(r)
	}
	batch := c.builder.Bytes()
	if h.Attributes.LogAppendTime() {
		record.SetLogAppendTime(batch, h.MaxTimestamp)
	}
	return batch
}

// Attributes that an empty batch keeps: timestamp type, transactional, control.
const emptyAttributes = 1<<3 | 1<<4 | 1<<5

func (c *compaction) emptied(h *record.Header, keep bool) []byte {
	if !keep {
		c.removed++
		return nil
	}
	if h.Count > 0 {
		c.removed++
	}
	empty := *h
	empty.Count, empty.BaseTimestamp, empty.Attributes = 0, h.MaxTimestamp, h.Attributes&emptyAttributes
	batch := make([]byte, record.HeaderSize)
	record.PutHeader(batch, empty)
	return batch
}

// segmentWriteBytes is how much of a compacted segment is written at a time.
const segmentWriteBytes = 1 << 20

// segmentWriter writes a compacted segment.
type segmentWriter struct {
	indexer
	file    vfs.File
	size    int64 // with what is buffered
	written int64
	buffer  []byte
}

func (w *segmentWriter) append(batch []byte) error {
	h, err := record.ReadHeader(batch)
	if err != nil {
		return err
	}
	w.add(&h, w.size)
	w.buffer = append(w.buffer, batch...)
	w.size += int64(len(batch))
	if len(w.buffer) < segmentWriteBytes {
		return nil
	}
	return w.flush()
}

func (w *segmentWriter) flush() error {
	if _, err := w.file.WriteAt(w.buffer, w.written); err != nil {
		return err
	}
	w.written += int64(len(w.buffer))
	w.buffer = w.buffer[:0]
	return nil
}

func (w *segmentWriter) finish() error {
	w.closeTimes()
	if err := w.flush(); err != nil {
		return err
	}
	return w.file.Sync()
}

// swap puts s, which is open as .log.cleaned, in the place of its group. See swap.go for the order of the steps.
func (l *Log) swap(group []*segment, s *segment) error {
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	cleaned := segmentFile(l.path, s.base, logSuffix+cleanedSuffix)
	if !l.has(group) {
		s.file.close()
		return errors.Join(errGone, l.fs.Remove(cleaned))
	}
	if err := l.fs.Rename(cleaned, segmentFile(l.path, s.base, logSuffix+swapSuffix)); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return l.fail(err)
	}
	l.replace(group, s)
	group[0].file.retire()
	for _, old := range group[1:] {
		if err := l.removeSegment(old); err != nil {
			return l.fail(err)
		}
		if err := l.removeSnapshot(old.base); err != nil {
			return l.fail(err)
		}
	}
	if err := l.completeSwap(s.base); err != nil {
		return l.fail(err)
	}
	return nil
}

// has tells whether all of the group are still in the log.
func (l *Log) has(group []*segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(*l.segments.Load(), group[0])
	return !l.mu.closed && i >= 0 && i+len(group) < len(*l.segments.Load()) &&
		slices.Equal((*l.segments.Load())[i:i+len(group)], group)
}

func (l *Log) replace(group []*segment, s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := *l.segments.Load()
	i := slices.Index(old, group[0])
	list := append(append(slices.Clone(old[:i]), s), old[i+len(group):]...)
	l.segments.Store(&list)
}
