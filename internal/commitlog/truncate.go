package commitlog

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/logbahn/logbahn/internal/record"
)

// Cutting a log. In the order of the steps below a crash at any moment leaves a log that is a prefix of the old one, or
// what was asked for:
//
//	the recovery point is lowered, durably: otherwise the shorter log would look damaged;
//	segments behind the cut are removed, the last one first, each name durably;
//	the segment with the cut is truncated and synced.
//
// These calls keep the log's lock while they sync: followers and raft make them, and nobody appends meanwhile. Who looks at
// the log for another reason waits for the disk, as lock.go does it.

// TruncateSuffix drops the batches that reach end or beyond, and the leader epochs that begin there. It is durable when
// it returns. Chunks that were read before answer ErrTruncated.
func (l *Log) TruncateSuffix(end int64) error {
	if start := l.start.Load(); end < start {
		return fmt.Errorf("%w: %d is below the start %d", ErrOffsetOutOfRange, end, start)
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	h, err := headerAt(*l.segments.Load(), end, l.end.Load())
	if err != nil {
		return l.readFailed(err)
	}
	if h != nil {
		end = min(end, h.BaseOffset)
	}
	segments := *l.segments.Load()
	lower := min(end, segments[segmentAt(segments, end)].base) // the last batch may end before end, after compaction
	err = l.cutting(lower, end, func() error {
		if err := l.truncate(end); err != nil {
			return err
		}
		if start := l.start.Load(); l.end.Load() < start { // the batch that the log starts in the middle of is gone
			return l.restartAt(start)
		}
		return nil
	})
	if last := l.end.Load(); err == nil && last < end {
		return l.dir.lowerPoints(l.tp, lower, last)
	}
	return err
}

// cutting calls cut with mu kept, after everything is synced, the recovery point is at most point, and no checkpoint speaks
// of what lies behind end.
func (l *Log) cutting(point, end int64, cut func() error) error {
	if err := l.syncHeld(); err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.recoverFrom = point
	l.mu.Unlock()
	err := l.dir.lowerPoints(l.tp, point, end)
	l.mu.Keep()
	defer l.mu.LetGo()
	defer func() { l.mu.recoverFrom = unbounded }()
	if err != nil {
		return err
	}
	if err := l.writable(); err != nil {
		return err
	}
	l.lowerMark(end)
	if err := cut(); err != nil {
		return l.fail(err)
	}
	return nil
}

// truncate cuts at the end of a batch. It must be called with all locks held.
func (l *Log) truncate(end int64) error {
	below := epochsBelow(*l.epochs.Load(), end)
	if end >= l.end.Load() {
		l.setEpochs(below)
		return l.saveEpochs()
	}
	segments := *l.segments.Load()
	i := segmentAt(segments, end)
	size := segments[i].bytes()
	position := size
	if size > 0 {
		w, err := segments[i].walk()
		if err != nil {
			return err
		}
		position, _, err = segments[i].find(w, end, size)
		w.close()
		if err != nil {
			return err
		}
	}
	for _, s := range segments[i:] {
		s.rewritten.Store(true) // before the epochs change: readers that do not find them do not take it for corruption
	}
	l.setEpochs(below)
	l.mu.changed = true
	l.end.Store(end)
	l.flushed.Store(end)
	l.synced.Store(end)
	for n := len(segments) - 1; n > i; n-- {
		kept := segments[:n:n]
		l.segments.Store(&kept)
		if err := l.removeDurably(segments[n]); err != nil {
			return err
		}
	}
	last, err := l.cutSegment(i, position)
	if err != nil {
		return err
	}
	l.setEnds(l.start.Load(), last)
	l.lowerMark(last)
	return l.reload(last)
}

func (l *Log) removeDurably(s *segment) error {
	if err := l.removeSegment(s); err != nil {
		return err
	}
	return l.fs.SyncDir(l.path)
}

// cutSegment puts a shorter segment in the place of the last one. Readers of the old one get errGone and wait for mu
// before they look for the new one.
func (l *Log) cutSegment(i int, position int64) (end int64, err error) {
	old := (*l.segments.Load())[i]
	s := newSegment(l.fs, l.path, old.base, l.config.Load().IndexIntervalBytes)
	s.setBytes(position)
	old.file.retire()
	h, err := s.file.create()
	if err != nil {
		return 0, err
	}
	defer h.release()
	if err := h.Truncate(position); err != nil {
		return 0, err
	}
	if err := h.Sync(); err != nil {
		return 0, err
	}
	if end, err = l.takeOver(s); err != nil {
		return 0, err
	}
	list := append((*l.segments.Load())[:i:i], s)
	l.segments.Store(&list)
	return end, nil
}

// takeOver makes s, of which only the file is there, the segment that is written to, and returns where it ends.
func (l *Log) takeOver(s *segment) (end int64, err error) {
	w, err := s.walk()
	if err != nil {
		return 0, err
	}
	defer w.close()
	size := s.bytes()
	x, err := indexOf(w, s.base, s.interval, size)
	if err != nil {
		return 0, err
	}
	s.offsets.Store(x.offsets)
	s.times.Store(x.times)
	s.maxTimestamp.Store(x.maxTimestamp)
	l.mu.active = activeSegment{indexer: x, segment: s, created: true, firstTimestamp: record.NoTimestamp,
		createdMs: l.dir.nowMs(), lastAppendMs: l.dir.nowMs()}
	end = s.base
	if size > 0 {
		h, err := w.header(0, size)
		if err != nil {
			return 0, err
		}
		l.mu.active.firstTimestamp = h.MaxTimestamp
		end = x.next
	}
	s.close(end)
	return end, nil
}

// reload brings producers, snapshots, epochs and compaction back to end.
func (l *Log) reload(end int64) error {
	for i, f := range l.mu.snapshots {
		if f.offset > end {
			l.mu.snapshots = l.mu.snapshots[:i]
			break
		}
	}
	files, err := l.listFolder()
	if err != nil {
		return err
	}
	if err := l.removeSnapshots(files.snapshots, end); err != nil {
		return err
	}
	l.mu.cleanerPoint = min(l.mu.cleanerPoint, end)
	if l.mu.producers, err = l.loadProducers(*l.segments.Load(), files.snapshots, end, false); err != nil {
		return err
	}
	return l.saveEpochs()
}

// removeSnapshots removes the snapshots above offset, durably: one that came back would be taken for the state of other
// batches, and a retry for a new one.
func (l *Log) removeSnapshots(snapshots []int64, offset int64) error {
	removed := false
	for _, at := range snapshots {
		if at <= offset {
			continue
		}
		if err := l.removeSnapshot(at); err != nil {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return l.fs.SyncDir(l.path)
}

func (l *Log) removeSnapshot(at int64) error {
	err := l.fs.Remove(segmentFile(l.path, at, snapshotSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l *Log) setEpochs(entries []epochEntry) { l.epochs.Store(&entries) }

// saveEpochs writes the leader epochs now. It must be called with mu held.
func (l *Log) saveEpochs() error {
	entries := l.epochs.Load()
	if err := l.writeEpochs(*entries); err != nil {
		return err
	}
	l.mu.epochsOnDisk = entries
	return nil
}

// ResetTo drops everything, producers and epochs included, and begins again at offset, as a follower does whose leader
// has no longer, or not yet, what would come next. It is durable when it returns; a crash during it leaves a prefix of
// the old log or nothing.
func (l *Log) ResetTo(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("%w: %d", ErrOffsetOutOfRange, offset)
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	base := (*l.segments.Load())[0].base
	point := min(base, offset)
	if err := l.cutting(point, point, func() error { return l.truncate(base) }); err != nil {
		return err
	}
	l.mu.Lock()
	l.setEnds(max(base, offset), max(base, offset))
	l.mu.recoverFrom = point
	l.mu.Unlock()
	err := l.dir.saveStarts() // from here on, what is left below is on its way out
	l.mu.Keep()
	defer l.mu.LetGo()
	l.mu.recoverFrom = unbounded
	if err == nil {
		err = l.restartAt(offset)
	}
	if err != nil {
		return l.fail(err)
	}
	return nil
}

// restartAt replaces the segments, of which only those below offset may have records, by an empty one at offset.
func (l *Log) restartAt(offset int64) error {
	old := *l.segments.Load()
	l.begin(offset, l.config.Load(), nil)
	l.setEnds(offset, offset)
	l.mu.producers, l.mu.snapshots, l.mu.unsynced = producers{}, nil, nil
	l.mu.cleanerPoint = 0
	l.mu.changed = true
	h, err := l.openActive()
	if err != nil {
		return err
	}
	h.release()
	if len(old) == 1 && old[0].base == offset {
		old[0].file.retire()
		old = nil
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return err
	}
	for i := len(old) - 1; i >= 0; i-- {
		if err := l.removeDurably(old[i]); err != nil {
			return err
		}
	}
	if err := l.removeAllSnapshots(); err != nil {
		return err
	}
	l.setEpochs(nil)
	if err := l.saveEpochs(); err != nil {
		return err
	}
	l.mu.unsyncedNew.segment = false
	if !l.mu.unsyncedNew.partition {
		return nil
	}
	if err := l.syncPartition(); err != nil {
		return err
	}
	l.mu.unsyncedNew.partition = false
	return nil
}

func (l *Log) removeAllSnapshots() error {
	files, err := l.listFolder()
	if err != nil {
		return err
	}
	return l.removeSnapshots(files.snapshots, -1)
}

// SetStartOffset makes offset the first one that may be read; what lies below it is deleted some time. It is durable
// when it returns. An offset that is not above the start changes nothing; one beyond the end is ErrOffsetOutOfRange.
func (l *Log) SetStartOffset(offset int64) error {
	if err := l.RaiseStartOffset(offset); err != nil {
		return err
	}
	return l.dir.saveStarts()
}

// RaiseStartOffset is SetStartOffset for a start that will be told again, as a follower is told its leader's with every
// fetch: it is durable with the next checkpoint only.
func (l *Log) RaiseStartOffset(offset int64) error {
	if offset > l.synced.Load() && offset <= l.end.Load() { // else a power cut could leave an end below the start
		if err := l.sync(); err != nil {
			return err
		}
	}
	return l.raiseStart(offset)
}

func (l *Log) raiseStart(offset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if offset > l.end.Load() {
		return fmt.Errorf("%w: %d is beyond the end %d", ErrOffsetOutOfRange, offset, l.end.Load())
	}
	if offset > l.start.Load() {
		l.start.Store(offset)
		l.setEpochs(epochsFrom(*l.epochs.Load(), offset))
		l.mu.changed = true
		l.dir.changed.Store(true)
	}
	return nil
}
