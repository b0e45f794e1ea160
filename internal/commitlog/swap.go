package commitlog

import (
	"errors"
	"io/fs"

	"github.com/logbahn/logbahn/internal/record"
)

// Replacing segments by their compacted form, so that a crash leaves the old ones or the new one:
//
//	the new segment is written as .log.cleaned and synced;
//	it is renamed to .log.swap, durably: the point of no return;
//	the old segments but the first are removed, durably, with the indexes of the first;
//	.log.swap is renamed to .log over the first one.
//
// After a crash a .cleaned file is removed, and a .swap file is taken through the last two steps. It tells which segments
// it replaces: those that begin within its offsets. Therefore the last batch of a segment always stays, empty if need be.
// It also keeps segments joined: recovery takes a segment that does not begin where the one before ends for the rest of a
// loss.

// finishSwap completes a replacement after a crash.
func (l *Log) finishSwap(base int64, names []string) error {
	name := segmentFile(l.path, base, logSuffix+swapSuffix)
	next, err := l.endOfFile(name, base)
	if err != nil {
		return err
	}
	for _, other := range names {
		at, suffix, ok := parseSegmentFile(other)
		if !ok || suffix != logSuffix || at <= base || at >= next {
			continue
		}
		if err := l.removeSegment(newSegment(l.fs, l.path, at, 0)); err != nil {
			return err
		}
	}
	return l.completeSwap(base)
}

// completeSwap is the end of a replacement: only the first of the old segments is still there.
func (l *Log) completeSwap(base int64) error {
	if err := l.removeIndex(base); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return err
	}
	if err := l.fs.Rename(segmentFile(l.path, base, logSuffix+swapSuffix), segmentFile(l.path, base, logSuffix)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.path)
}

// removeIndex removes the index files of a segment; whoever needs them builds them again.
func (l *Log) removeIndex(base int64) error {
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		err := l.fs.Remove(segmentFile(l.path, base, suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// endOfFile checks a whole segment file and returns the offset behind its last batch.
func (l *Log) endOfFile(name string, base int64) (int64, error) {
	info, err := l.fs.Stat(name)
	if err != nil {
		return 0, err
	}
	s := newSegment(l.fs, l.path, base, 0)
	s.file.name = name
	s.setBytes(info.Size)
	defer s.file.close()
	r := recovery{log: l, next: base, lastEpoch: noEpoch}
	x := newIndexer(base, unbounded)
	_, err = r.read(s, 0, unbounded, &x)
	return r.next, err
}

// isLast tells whether a batch is the last one of its producer, which must not be forgotten.
func isLast(last map[int64]int64, h *record.Header) bool {
	offset, ok := last[h.ProducerID]
	return ok && h.LastOffset() >= offset
}
