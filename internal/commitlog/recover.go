package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Recovery.
//
// After a clean stop the log ends where the recovery point says; only the bytes behind the last index entry are read.
// If anything does not fit, the log is recovered as after a crash.
//
// After a crash every batch from the segment of the recovery point on is read and checked, and its indexes, producers
// and epochs are built again. What lies below the recovery point was synced before the point was written: if it is bad
// or missing, that is corruption, and nothing is touched. Above it, the log ends at the first batch that is bad, and
// later ones are cut off even where they are good: the writes between them are lost.
//
// What is kept above the recovery point is written once more and synced. If a sync had failed before the crash of the
// process, the kernel holds pages that look clean and are not on disk; a sync alone would not write them.

// recoverReadBytes is how much recovery reads at a time, but for a larger batch.
const recoverReadBytes = 1 << 20

// unbounded is a recovery point that does not bind.
const unbounded = int64(1) << 62

// recovery collects the state of a log while its segments are read.
type recovery struct {
	log       *Log
	segments  []*segment
	snapshots []int64
	start     int64 // of the log
	told      int64 // the start, as its checkpoint has it
	point     int64 // below it everything must be good
	doubt     bool  // nobody knows how far that was: nothing may be cut off

	known []epochEntry // what leader-epoch-checkpoint says of the offsets below point

	clean          bool
	base, next     int64 // offsets of the last good batch, and behind it
	epochs         []epochEntry
	producers      producers
	indexer        indexer // of the last segment that was read
	firstTimestamp int64
	lastEpoch      int32
	buffer         []byte
}

func (r *recovery) run(wasClean bool) error {
	if wasClean {
		err := r.openClean()
		if err == nil {
			r.clean = true
			return nil
		}
		r.log.log.Warn("a log is not as it was left and is recovered", "partition", r.log.tp.String(), "err", err)
	}
	return r.recover()
}

// openClean takes the log as the clean stop has left it.
func (r *recovery) openClean() (err error) {
	last := r.segments[len(r.segments)-1]
	if err = r.openLast(last); err != nil {
		return err
	}
	if r.next != r.point {
		return r.log.missing(r.next, r.point)
	}
	if r.producers, err = r.log.loadProducers(r.segments, r.snapshots, r.next, false); err != nil {
		return err
	}
	return r.loadEpochs(r.next + 1)
}

// openLast loads the indexes of the last segment and checks the batches behind the last entry.
func (r *recovery) openLast(s *segment) error {
	r.next, r.firstTimestamp, r.indexer = s.base, record.NoTimestamp, newIndexer(s.base, s.interval)
	x, size := &r.indexer, s.bytes()
	if size == 0 {
		s.maxTimestamp.Store(record.NoTimestamp)
		s.offsets.Store(x.offsets)
		s.times.Store(x.times)
		return nil
	}
	w, err := s.walk()
	if err != nil {
		return err
	}
	defer w.close()
	first, err := w.header(0, size)
	if err != nil {
		return err
	}
	r.firstTimestamp, r.next = first.MaxTimestamp, first.BaseOffset
	var position int64
	if position, err = s.indexed(w, s.base+int64(1)<<31, size); err != nil {
		return err
	}
	times, err := s.timeEntryBefore(w, math.MaxInt64, size)
	if err != nil {
		return err
	}
	if x.offsets, err = s.offsetTable(); err == nil {
		x.times, err = s.timeTable()
	}
	if err != nil {
		return err
	}
	x.maxTimestamp, x.maxOffset = times.timestamp, s.base+int64(times.relative)
	r.lastEpoch = noEpoch
	if position > 0 {
		h, err := w.header(position, size)
		if err != nil {
			return err
		}
		r.next = h.BaseOffset
	}
	x.since = 0
	good, err := r.read(s, position, unbounded, x)
	s.maxTimestamp.Store(x.maxTimestamp)
	if err == nil && good < size {
		err = errors.New("the last segment has more bytes than batches")
	}
	return err
}

// recover reads everything from the segment of the recovery point on.
func (r *recovery) recover() error {
	i := segmentAt(r.segments, r.point)
	if i > 0 && r.point == r.segments[i].base {
		i-- // was perhaps closed after the point was written: its end is not settled, its index files of an earlier stop
	}
	from := r.segments[i].base
	if err := r.loadEpochs(from); err != nil {
		return err
	}
	ps, err := r.log.loadProducers(r.segments, r.snapshots, from, true)
	if err != nil {
		return err
	}
	r.producers, r.next, r.lastEpoch = ps, from, noEpoch
	if n := len(r.epochs); n > 0 {
		r.lastEpoch = r.epochs[n-1].epoch
	}
	for first := i; i < len(r.segments); i++ {
		if base := r.segments[i].base; base <= r.start && r.next < base {
			// Retention was at work below: of its segments any may be left, with holes between. Its snapshot knows the producers.
			r.next = base
			if r.producers, err = r.log.loadProducers(r.segments, r.snapshots, base, true); err != nil {
				return err
			}
		}
		good, bad := r.recoverSegment(r.segments[i], i > first)
		if bad == nil {
			continue
		}
		var c *CorruptionError
		if !errors.As(bad, &c) || c.Offset < r.point {
			return bad
		}
		if i+1 < len(r.segments) && r.segments[i+1].base <= r.start { // nobody may read it
			continue
		}
		if i+1 < len(r.segments) && r.next == r.segments[i+1].base { // it is whole; a write that was refused comes behind
			if err := r.shorten(r.segments[i], good); err != nil {
				return err
			}
			continue
		}
		if r.doubt {
			c.Reason += "; the recovery point is lost, so that nobody knows whether this was on disk before"
			return c
		}
		if err := r.cut(i, good, bad); err != nil {
			return err
		}
	}
	if r.next < r.point {
		return r.log.missing(r.next, r.point)
	}
	return r.settle(from)
}

// notFollowing is where the good batches of a segment end that does not begin where the one before ends. Compaction
// leaves such gaps, but only below the recovery point.
const notFollowing = -1

// recoverSegment checks a whole segment and builds its indexes. It returns where the good batches end, and why.
func (r *recovery) recoverSegment(s *segment, following bool) (good int64, err error) {
	if s.base < r.next || s.base > max(r.next, r.point) {
		return notFollowing, &CorruptionError{File: s.file.name, Offset: min(r.next, s.base), Reason: "the segment does not follow"}
	}
	if following {
		r.indexer.closeTimes()
	}
	r.base, r.next = s.base, s.base
	r.indexer = newIndexer(s.base, s.interval)
	r.firstTimestamp = record.NoTimestamp
	s.offsets.Store(r.indexer.offsets)
	s.times.Store(r.indexer.times)
	s.pinned.Store(true)
	s.stale.Store(true)
	good, err = r.read(s, 0, r.point, &r.indexer)
	s.maxTimestamp.Store(r.indexer.maxTimestamp)
	return good, err
}

// read checks the batches of a segment from position on and enters them everywhere. Those at or above rewriteFrom are
// written again. It returns the position behind the last good one, with the reason if that is not the end.
func (r *recovery) read(s *segment, position, rewriteFrom int64, x *indexer) (good int64, err error) {
	size := s.bytes()
	if position >= size {
		return position, nil
	}
	h, err := s.file.acquire()
	if err != nil {
		return position, err
	}
	defer h.release()
	for position < size {
		b, err := r.fill(h, position, size)
		if err != nil {
			return position, readError(s.file.name, position, err)
		}
		good, bad := r.enter(b, position, s, x, rewriteFrom, h)
		position += good
		if bad != nil {
			return position, bad
		}
	}
	return position, nil
}

// fill reads the next bytes, at least one batch if it fits into the file.
func (r *recovery) fill(h *handle, position, size int64) ([]byte, error) {
	want := min(recoverReadBytes, size-position)
	for {
		if int64(cap(r.buffer)) < want {
			r.buffer = make([]byte, want)
		}
		b := r.buffer[:want]
		if _, err := h.ReadAt(b, position); err != nil {
			return nil, err
		}
		head, err := record.ReadHeader(b)
		if err != nil || int64(head.Size()) <= want || int64(head.Size()) > size-position {
			return b, nil
		}
		want = int64(head.Size())
	}
}

// enter checks the whole batches in b, which begins at position. A batch that is cut off by the end of b, but not by
// the end of the segment, is left for the next read.
func (r *recovery) enter(b []byte, position int64, s *segment, x *indexer, rewriteFrom int64, h *handle) (good int64, bad error) {
	rewrite := int64(-1)
	now := r.log.dir.nowMs()
	for rest := b; len(rest) > 0; rest = b[good:] {
		head, err := checkBatch(rest, r.next, s.base+1<<31)
		if err != nil && seeded.Is(seeded.KeepCorruptTail) && head.Size() <= len(rest) {
			err = nil
		}
		if err == nil && head.LeaderEpoch < r.lastEpoch {
			err = fmt.Errorf("leader epoch %d after %d", head.LeaderEpoch, r.lastEpoch)
		}
		if err == nil && r.next < r.point && head.NextOffset() > r.point {
			err = errors.New("the batch reaches over the recovery point")
		}
		if err == nil && head.BaseOffset < r.point && !epochFits(r.known, &head) {
			err = r.log.contradiction(&head)
		}
		if err != nil {
			if good > 0 && position+int64(len(b)) < s.bytes() {
				break // perhaps only cut off by the read
			}
			offset := r.next
			if head.Size() <= len(rest) && head.BaseOffset > r.base && record.CheckCRC(rest[:head.Size()]) == nil {
				offset = min(offset, head.BaseOffset) // it is good: the base offset of the one before has risen
			}
			bad = &CorruptionError{File: s.file.name, Position: position + good, Offset: offset, Reason: err.Error()}
			break
		}
		if head.BaseOffset >= rewriteFrom && rewrite < 0 {
			rewrite = good
		}
		if position+good == 0 {
			r.firstTimestamp = head.MaxTimestamp
		}
		x.add(&head, position+good)
		r.producers.apply(&head, now)
		if head.LeaderEpoch != r.lastEpoch {
			r.epochs = withEpoch(r.epochs, head.LeaderEpoch, head.BaseOffset)
			r.lastEpoch = head.LeaderEpoch
		}
		r.base, r.next = head.BaseOffset, head.NextOffset()
		good += int64(head.Size())
	}
	if rewrite >= 0 && rewrite < good && !seeded.Is(seeded.TrustRecovered) {
		if _, err := h.WriteAt(b[rewrite:good], position+rewrite); err != nil {
			return good, err
		}
	}
	return good, bad
}

// cut ends the log in segment i at position good. What comes behind is removed first, from the end, each name durably:
// a crash in between leaves a log that is cut later.
func (r *recovery) cut(i int, good int64, why error) error {
	lost := r.segments[i].bytes() - max(good, 0)
	for n := len(r.segments) - 1; n > i; n-- {
		lost += r.segments[n].bytes()
		if err := r.remove(n); err != nil {
			return err
		}
	}
	r.log.log.Warn("recovery has cut off the end of a log", "partition", r.log.tp.String(),
		"bytes", lost, "end offset", r.next, "reason", why)
	if good == notFollowing {
		return r.remove(i)
	}
	return r.shorten(r.segments[i], good)
}

func (r *recovery) shorten(s *segment, size int64) error {
	h, err := s.file.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	s.setBytes(size)
	return h.Truncate(size)
}

func (r *recovery) remove(i int) error {
	if err := r.log.removeSegment(r.segments[i]); err != nil {
		return err
	}
	r.segments = r.segments[:i]
	return r.log.fs.SyncDir(r.log.path)
}

// settle makes what recovery has kept and cut durable.
func (r *recovery) settle(from int64) error {
	written := r.segments[segmentAt(r.segments, from):]
	last := r.segments[len(r.segments)-1]
	last.pinned.Store(false)                              // its writer owns the index
	last.bound.Store(unbounded)                           // it is the last one now, if others were cut off
	if err := r.shorten(last, last.bytes()); err != nil { // gives back what was reserved behind it
		return err
	}
	if err := r.log.removeSnapshots(r.snapshots, r.next); err != nil {
		return err
	}
	fresh := unsyncedNew{segment: true, partition: r.next > 0}
	if err := r.log.syncFiles(written, fresh); err != nil {
		return err
	}
	r.log.mu.unsyncedNew = unsyncedNew{partition: !fresh.partition}
	return nil
}

// checkHead returns an error when segments are missing at the head of the log. Who deletes them has said before, durably, where
// the log begins, in the checkpoint of the starts until leader-epoch-checkpoint says it too.
func (r *recovery) checkHead() error {
	base := r.segments[0].base
	if len(r.epochs) == 0 || r.epochs[0].start >= base || r.told >= base || r.log.dir.takenOver {
		return nil
	}
	return &CorruptionError{File: r.log.path, Offset: r.epochs[0].start,
		Reason: fmt.Sprintf("the log begins at offset %d, and has begun at %d", base, r.epochs[0].start)}
}

// loadEpochs reads leader-epoch-checkpoint up to offset to. Without one it is built from the batches. One that
// contradicts the batches is corruption: nobody can tell which of the two is.
func (r *recovery) loadEpochs(to int64) error {
	l := r.log
	b, err := vfs.ReadFile(l.fs, path.Join(l.path, epochFile), checkpointBytesMax)
	if err == nil {
		if r.epochs, err = decodeEpochs(b); err == nil {
			if err := r.checkHead(); err != nil {
				return err
			}
			r.known = epochsBelow(r.epochs, r.point)
			r.epochs = epochsBelow(r.epochs, to)
			return r.verifyEpochs(to)
		}
	}
	if !isCorruption(err) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.epochs = nil
	falls := false
	err = walkHeaders(r.segments, r.segments[0].base, to, false, func(h *record.Header) {
		n := len(r.epochs)
		falls = falls || n > 0 && r.epochs[n-1].epoch > h.LeaderEpoch
		if n == 0 || r.epochs[n-1].epoch != h.LeaderEpoch {
			r.epochs = withEpoch(r.epochs, h.LeaderEpoch, h.BaseOffset)
		}
	})
	if err == nil && falls {
		err = &CorruptionError{File: l.path, Reason: "leader epochs fall"}
	}
	return err
}

// verifyEpochs compares the entries with the batches around the offsets that they name, and with the first and the last
// batch.
func (r *recovery) verifyEpochs(to int64) error {
	first, err := headerAt(r.segments, r.start, to)
	if err != nil {
		return err
	}
	if first != nil && epochAt(r.epochs, max(first.BaseOffset, r.start)) != first.LeaderEpoch {
		return r.log.contradiction(first)
	}
	offsets := []int64{to - 1}
	for _, e := range r.epochs {
		offsets = append(offsets, e.start-1, e.start)
	}
	for _, offset := range offsets {
		h, err := headerAt(r.segments, offset, to)
		if err != nil {
			return err
		}
		if h != nil && !epochFits(r.epochs, h) {
			return r.log.contradiction(h)
		}
	}
	return nil
}

func (l *Log) contradiction(h *record.Header) error {
	return &CorruptionError{File: l.path, Offset: h.BaseOffset,
		Reason: fmt.Sprintf("a batch of leader epoch %d contradicts %s", h.LeaderEpoch, epochFile)}
}

// epochFits tells whether a batch has the leader epoch that the entries say. They may begin in the middle of a batch,
// and nothing is known of what lies before.
func epochFits(entries []epochEntry, h *record.Header) bool {
	if len(entries) == 0 || h.LastOffset() < entries[0].start {
		return true
	}
	return epochAt(entries, max(h.BaseOffset, entries[0].start)) == h.LeaderEpoch
}

// headerAt returns the first batch that reaches offset and begins below to, nil when there is none.
func headerAt(segments []*segment, offset, to int64) (found *record.Header, err error) {
	for i := segmentAt(segments, offset); i < len(segments) && found == nil && segments[i].base < to; i++ {
		s := segments[i]
		size := s.bytes()
		if size == 0 {
			continue
		}
		w, err := s.walk()
		if err != nil {
			return nil, err
		}
		position, h, err := s.find(w, offset, size)
		w.close()
		if err != nil {
			return nil, err
		}
		if position < size && h.BaseOffset < to {
			found = &h
		}
	}
	return found, nil
}
