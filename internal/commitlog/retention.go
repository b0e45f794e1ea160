package commitlog

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/logbahn/logbahn/internal/record"
)

// retain deletes the segments that are too old, too many, or below the start of their log.
func (d *Dir) retain() error {
	var errs []error
	for _, l := range d.openLogs() {
		if err := l.retain(); err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
			errs = append(errs, fmt.Errorf("%s: %w", l.tp, err))
		}
	}
	return errors.Join(errs...)
}

// retain deletes from the head of the log and never passes what could still be taken back. The new start offset is
// durable before the first file goes, so that a crash cannot leave a hole.
func (l *Log) retain() error {
	if l.Err() != nil {
		return nil
	}
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	n, err := l.expired()
	if err != nil || n == 0 {
		return l.readFailed(err)
	}
	if err := l.dropPrefix(n); err != nil {
		return err
	}
	if l.hooks.StartOffset != nil {
		l.hooks.StartOffset(l.start.Load())
	}
	return nil
}

// expired returns how many segments at the head are to be deleted. The last one is closed first if it is among them.
func (l *Log) expired() (int, error) {
	c, now, start := l.config.Load(), l.dir.nowMs(), l.start.Load()
	byTime := c.Delete && c.RetentionMs >= 0 && !l.dir.timeRetentionPaused()
	excess := l.Size() - c.RetentionBytes
	segments := *l.segments.Load()
	for i, s := range segments {
		last := i == len(segments)-1
		end := s.end()
		if last {
			end = l.end.Load()
		}
		size := s.bytes()
		if last && size == 0 {
			return i, nil
		}
		tooMuch := c.Delete && c.RetentionBytes >= 0 && excess >= size && !last
		below := end <= start && !last
		if !tooMuch && !below {
			if !byTime {
				return i, nil
			}
			old, err := s.olderThan(now - c.RetentionMs)
			if err != nil || !old {
				return i, err
			}
		}
		if stable, err := l.stableTo(end, last); !stable || err != nil {
			return i, err
		}
		if last && !l.rollAt(end) {
			return i, nil
		}
		excess -= size
	}
	return len(segments), nil
}

// stableTo tells whether nothing below end can be taken back. With FlushOS the last segment is synced for that: nobody else
// does it before the segment is closed, which without another append is never.
func (l *Log) stableTo(end int64, last bool) (bool, error) {
	if last && l.dir.cfg.Flush == FlushOS {
		if err := l.sync(); err != nil {
			return false, err
		}
	}
	return end <= l.stableOffset(), nil
}

// olderThan tells whether all records of the segment are older than a time. Without timestamps the file's counts.
func (s *segment) olderThan(ms int64) (bool, error) {
	youngest, err := s.youngest()
	if err != nil {
		return false, err
	}
	if youngest == record.NoTimestamp {
		info, err := s.file.fs.Stat(s.file.name)
		if err != nil {
			return false, err
		}
		youngest = info.ModTime.UnixMilli()
	}
	return youngest < ms, nil
}

// rollAt closes the active segment if the log still ends at end.
func (l *Log) rollAt(end int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writable() != nil || l.end.Load() != end || l.unnamed() {
		return false
	}
	l.roll(end, l.config.Load())
	return true
}

// dropPrefix removes the first n segments. The producers' snapshot at what is left must be on disk: it alone knows them. So
// must the first file that is left: without any, nobody would know where the log goes on.
func (l *Log) dropPrefix(n int) error {
	if err := l.persistHeld(); err != nil {
		return err
	}
	segments := *l.segments.Load()
	if n == len(segments)-1 {
		if err := l.makeActive(); err != nil {
			return err
		}
	}
	base := segments[n].base
	if base > l.start.Load() {
		if err := l.raiseStart(base); err != nil {
			return err
		}
	}
	if err := l.dir.saveStarts(); err != nil {
		return err
	}
	l.headUnsynced.Store(true)
	l.mu.Lock()
	rest := append([]*segment(nil), (*l.segments.Load())[n:]...)
	l.segments.Store(&rest)
	l.mu.Unlock()
	for _, s := range segments[:n] {
		if err := l.discard(s); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return err
	}
	l.headUnsynced.Store(false)
	l.dir.changed.Store(true)
	return l.removeSnapshotsBelow(base)
}

// makeActive makes the file of the active segment, durably, before there is anything to write to it.
func (l *Log) makeActive() error {
	l.mu.Lock()
	err := l.writable()
	if err == nil {
		var h *handle
		if h, err = l.openActive(); err == nil {
			h.release()
		}
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.syncName()
}

// discard renames the files of a segment that has left the log, and has them removed after the delay.
func (l *Log) discard(s *segment) error {
	s.file.retire()
	delay := l.config.Load().fileDeleteDelay()
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		name := segmentFile(l.path, s.base, suffix)
		err := l.fs.Rename(name, name+deletedSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		l.dir.doom(name+deletedSuffix, delay)
	}
	return nil
}

func (l *Log) removeSnapshotsBelow(base int64) error {
	files, err := l.listFolder()
	if err != nil {
		return err
	}
	for _, at := range files.snapshots {
		if at >= base {
			break
		}
		if err := l.fs.Remove(segmentFile(l.path, at, snapshotSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
