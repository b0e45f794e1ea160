package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// marks is what the checkpoints say of one partition.
type marks struct {
	recoveryPoint, start, highWatermark, cleanerPoint int64

	doubt bool // the recovery point is lost: see witness.go
}

// Open opens a partition, made empty when it has no folder, and recovers it unless the directory was closed cleanly.
// A folder of another topic id is set aside first. An error that wraps ErrCorrupt means that acknowledged records are
// damaged or missing: nothing was changed, and SetAside makes room to fetch them from another replica. One that wraps
// ErrNoSpace means that the disk is full: another try may do when it is not.
func (d *Dir) Open(tp TopicPartition, topicID [16]byte, cfg Config, hooks Hooks) (*Log, error) {
	if err := d.reserve(tp); err != nil {
		return nil, err
	}
	l := &Log{dir: d, fs: d.fs, tp: tp, topicID: topicID, path: path.Join(d.path, tp.String()), hooks: hooks, log: d.log}
	l.config.Store(&cfg)
	l.epochs.Store(new([]epochEntry))
	l.mark.Store(-1)
	err := l.open()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		delete(d.mu.logs, tp)
		l.closeHandles()
		if noSpace(err) {
			err = fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return nil, fmt.Errorf("open %s: %w", tp, err)
	}
	d.mu.logs[tp] = l
	delete(d.mu.distrusted, tp)
	return l, nil
}

// reserve takes the place of a log that is being opened: a nil in the map.
func (d *Dir) reserve(tp TopicPartition) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return ErrClosed
	}
	if _, ok := d.mu.logs[tp]; ok {
		return fmt.Errorf("%w: %s", ErrOpen, tp)
	}
	d.mu.logs[tp] = nil
	return nil
}

func (l *Log) open() error {
	found, err := l.adopt()
	if err != nil {
		return err
	}
	l.mu.unsyncedNew = unsyncedNew{partition: true}
	if !found {
		l.beginEmpty(0)
		return nil
	}
	m := l.dir.marksOf(l.tp)
	files, err := l.sortFolder()
	if err != nil {
		return err
	}
	l.mu.cleanerPoint = m.cleanerPoint
	l.mark.Store(m.highWatermark)
	if err := l.load(files, m); err != nil {
		return err
	}
	l.lowerMark(l.end.Load()) // what was behind is gone, and other records will be there
	return l.dir.opened(l.tp)
}

// beginEmpty makes the log one without records that begins at offset.
func (l *Log) beginEmpty(offset int64) {
	l.begin(offset, l.config.Load(), nil)
	l.setEnds(offset, offset)
	l.mu.epochsOnDisk = l.epochs.Load()
	l.mu.recoverFrom = unbounded
}

func (l *Log) setEnds(start, end int64) {
	l.start.Store(start)
	l.end.Store(end)
	l.synced.Store(end)
	l.flushed.Store(end)
}

// adopt finds or makes the folder, and returns false when it was made.
func (l *Log) adopt() (found bool, err error) {
	id, err := l.dir.folderTopicID(l.tp.String())
	switch {
	case err == nil && rotten(id, l.topicID):
		return false, &CorruptionError{File: path.Join(l.path, partitionMetaFile), Reason: fmt.Sprintf("topic id %s, nearly that of the topic, %s", formatID(id), formatID(l.topicID))}
	case err == nil && id != l.topicID && id != [16]byte{} && l.topicID != [16]byte{}:
		l.log.Warn("folder of another topic is set aside", "partition", l.tp.String(), "topic id", formatID(id))
		if err := l.dir.forget(l.tp); err != nil { // first: a crash in between would leave what looks like a loss
			return false, err
		}
		return false, errors.Join(l.dir.setAside(l.tp, straySuffix, TopicPartition{}), l.makeFolder())
	case err == nil && l.dir.marksOf(l.tp).recoveryPoint > 0:
		return true, nil
	case err == nil: // if its first sync has failed, it looks as if it were on disk
		return true, l.writePartitionMeta()
	case !errors.Is(err, fs.ErrNotExist) && !isCorruption(err):
		return false, err
	}
	if _, statErr := l.fs.Stat(l.path); errors.Is(statErr, fs.ErrNotExist) {
		if point := l.dir.lostUpTo(l.tp); point > 0 {
			return false, l.missing(0, point)
		}
		return false, l.makeFolder()
	} else if statErr != nil {
		return false, statErr
	}
	if l.dir.neverFlushed(l.tp, err) {
		// What it may have of records was never acknowledged, and is perhaps another topic's.
		l.log.Warn("folder that was never flushed is set aside", "partition", l.tp.String())
		return false, errors.Join(l.dir.setAside(l.tp, straySuffix, TopicPartition{}), l.makeFolder())
	}
	if err := l.writePartitionMeta(); err != nil { // a Kafka of before 2.8 has written no such file
		return false, err
	}
	return true, errors.Join(l.fs.SyncDir(l.path), l.syncPartition())
}

// idBitsDamaged is how many bits of a topic id a flipped bit can change: one of the characters that it is written with.
const idBitsDamaged = 6

// rotten tells whether an id is what damage has made of the other: two topics' differ in more.
func rotten(id, of [16]byte) bool {
	n := 0
	for i := range id {
		n += bits.OnesCount8(id[i] ^ of[i])
	}
	return n > 0 && n <= idBitsDamaged && of != [16]byte{}
}

// makeFolder makes an empty folder. The checkpoints forget the name first: a crash may leave the folder.
func (l *Log) makeFolder() error {
	if err := l.dir.forget(l.tp); err != nil {
		return err
	}
	if err := l.fs.MkdirAll(l.path); err != nil {
		return err
	}
	return l.writePartitionMeta()
}

// writePartitionMeta does not sync: the first flush of the log does.
func (l *Log) writePartitionMeta() error {
	f := lazyFile{fs: l.fs, name: path.Join(l.path, partitionMetaFile)}
	defer f.close()
	h, err := f.create()
	if err != nil {
		return err
	}
	defer h.release()
	b := encodePartitionMeta(l.topicID)
	if _, err := h.WriteAt(b, 0); err != nil {
		return err
	}
	return h.Truncate(int64(len(b)))
}

// folder is what is in a partition's folder after it was tidied up.
type folder struct {
	bases     []int64 // of segments, rising
	sizes     []int64
	snapshots []int64 // offsets, rising
}

// sortFolder removes what a crash left half done, finishes compactions that had come to their point of no return, and
// lists the rest.
func (l *Log) sortFolder() (folder, error) {
	names, err := l.fs.List(l.path)
	if err != nil {
		return folder{}, err
	}
	changed := false
	for _, name := range names {
		_, suffix, ok := parseSegmentFile(name)
		switch {
		case strings.HasSuffix(name, tempSuffix):
		case ok && (strings.HasSuffix(suffix, deletedSuffix) || strings.HasSuffix(suffix, cleanedSuffix)):
		case ok && suffix != logSuffix+swapSuffix && strings.HasSuffix(suffix, swapSuffix): // an index, built again
		default:
			continue
		}
		if err := l.fs.Remove(path.Join(l.path, name)); err != nil {
			return folder{}, err
		}
		changed = true
	}
	for _, name := range names {
		if base, suffix, ok := parseSegmentFile(name); ok && suffix == logSuffix+swapSuffix {
			if err := l.finishSwap(base, names); err != nil {
				return folder{}, err
			}
			changed = true
		}
	}
	if changed {
		if err := l.fs.SyncDir(l.path); err != nil {
			return folder{}, err
		}
	}
	return l.listFolder()
}

func (l *Log) listFolder() (folder, error) {
	names, err := l.fs.List(l.path)
	if err != nil {
		return folder{}, err
	}
	var f folder
	for _, name := range names {
		base, suffix, ok := parseSegmentFile(name)
		switch {
		case !ok:
		case suffix == logSuffix:
			info, err := l.fs.Stat(path.Join(l.path, name))
			if err != nil {
				return f, err
			}
			f.bases, f.sizes = append(f.bases, base), append(f.sizes, info.Size)
		case suffix == snapshotSuffix:
			f.snapshots = append(f.snapshots, base)
		}
	}
	return f, l.removeOrphans(names, f.bases)
}

// removeOrphans removes indexes without a segment.
func (l *Log) removeOrphans(names []string, bases []int64) error {
	for _, name := range names {
		base, suffix, ok := parseSegmentFile(name)
		if !ok || suffix != indexSuffix && suffix != timeIndexSuffix && suffix != txnIndexSuffix {
			continue
		}
		if _, found := slices.BinarySearch(bases, base); !found {
			if err := l.fs.Remove(path.Join(l.path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// load builds the log from its files.
func (l *Log) load(f folder, m marks) error {
	c := l.config.Load()
	segments := make([]*segment, len(f.bases))
	for i, base := range f.bases {
		s := newSegment(l.fs, l.path, base, c.IndexIntervalBytes)
		s.setBytes(f.sizes[i])
		s.maxTimestamp.Store(unknownTimestamp)
		if i > 0 {
			segments[i-1].close(base)
		}
		segments[i] = s
	}
	l.segments.Store(&segments) // for closeHandles, should the rest fail
	if len(segments) == 0 {
		if m.recoveryPoint > m.start {
			return l.missing(0, m.recoveryPoint)
		}
		l.beginEmpty(0)
		if m.start > 0 { // a reset that had come so far
			return l.restartAt(m.start)
		}
		return nil
	}
	start := max(m.start, segments[0].base)
	r := &recovery{log: l, segments: segments, start: start, told: m.start, point: m.recoveryPoint, doubt: m.doubt, snapshots: f.snapshots}
	if err := r.run(l.dir.trusts(l.tp)); err != nil {
		return err
	}
	if err := l.install(r, start); err != nil {
		return err
	}
	return l.removeHead()
}

// removeHead removes what retention was about to when the power went. It comes last: producers are replayed from it.
func (l *Log) removeHead() error {
	segments := *l.segments.Load()
	n := 0
	for n+1 < len(segments) && segments[n+1].base <= l.start.Load() {
		if err := l.removeSegment(segments[n]); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return nil
	}
	rest := slices.Clone(segments[n:])
	l.segments.Store(&rest)
	return l.fs.SyncDir(l.path)
}

// install makes what recovery found the log's state. A log that ends before its start was being reset when the power
// went.
func (l *Log) install(r *recovery, start int64) error {
	l.mu.recoverFrom = unbounded
	if start > r.next {
		l.segments.Store(&r.segments)
		l.setEnds(r.next, r.next)
		return l.restartAt(start)
	}
	last := r.segments[len(r.segments)-1]
	last.close(r.next) // until the next append
	l.segments.Store(&r.segments)
	l.mu.active = activeSegment{indexer: r.indexer, segment: last, created: true, firstTimestamp: r.firstTimestamp,
		createdMs: l.dir.nowMs(), lastAppendMs: l.dir.nowMs()}
	l.mu.producers = r.producers
	l.setEnds(start, r.next)
	epochs := epochsFrom(r.epochs, start)
	l.epochs.Store(&epochs)
	l.mu.changed = !r.clean
	if r.clean {
		if len(r.epochs) == 0 || r.epochs[0].start == epochs[0].start {
			l.mu.epochsOnDisk = l.epochs.Load()
		}
		// A failed log may have left names behind that were never synced, but only those of files without bytes.
		l.mu.unsyncedNew = unsyncedNew{segment: last.bytes() == 0, partition: r.next == 0}
	}
	return nil
}

func (l *Log) missing(end, point int64) error {
	return &CorruptionError{File: l.path, Offset: end,
		Reason: fmt.Sprintf("the log ends at offset %d, and was on disk up to %d", end, point)}
}

// removeSegment removes the files of a segment at once.
func (l *Log) removeSegment(s *segment) error {
	s.file.retire()
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		err := l.fs.Remove(segmentFile(l.path, s.base, suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// loadProducers returns the producer state at offset to: the newest usable snapshot below it, and the batches since, whose
// checksums are compared when checked is set.
func (l *Log) loadProducers(segments []*segment, snapshots []int64, to int64, checked bool) (producers, error) {
	for i := len(snapshots) - 1; i >= 0; i-- {
		if snapshots[i] > to || snapshots[i] < segments[0].base { // the batches since the latter are not all there
			continue
		}
		ps, err := l.readSnapshot(segments, snapshots[i])
		if errors.Is(err, ErrCorrupt) {
			l.log.Warn("producer snapshot is corrupt and ignored", "partition", l.tp.String(), "err", err)
			continue
		}
		if err != nil {
			return producers{}, err
		}
		return ps, l.replay(&ps, segments, snapshots[i], to, checked)
	}
	var ps producers
	return ps, l.replay(&ps, segments, 0, to, checked)
}

// backfillEntries is how far before a snapshot the batches are looked at that it does not have, in index entries.
const backfillEntries = 512

// readSnapshot reads a snapshot and adds the batches before the last one of each producer, which a snapshot does not
// hold: a client that lives through our restart may send any of its last five again.
func (l *Log) readSnapshot(segments []*segment, offset int64) (producers, error) {
	b, err := vfs.ReadFile(l.fs, segmentFile(l.path, offset, snapshotSuffix), snapshotBytesMax)
	if err != nil {
		return producers{}, err
	}
	ps, err := decodeSnapshot(b, l.dir.nowMs())
	if err != nil || len(ps.byID) == 0 || offset <= segments[0].base {
		return ps, err
	}
	from, err := backfillFrom(segments, offset)
	if err != nil {
		return ps, err
	}
	var recent producers
	if err := l.replay(&recent, segments, from, offset, false); err != nil {
		return ps, err
	}
	ps.fill(&recent)
	return ps, nil
}

// backfillFrom returns the offset that lies backfillEntries index entries before offset; a segment counts as one more.
func backfillFrom(segments []*segment, offset int64) (int64, error) {
	budget := backfillEntries
	for i := segmentAt(segments, offset-1); ; i-- {
		s := segments[i]
		table, err := s.offsetTable()
		if err != nil {
			return 0, err
		}
		entries := table.view()
		n := sort.Search(len(entries), func(i int) bool { return s.base+int64(entries[i].relative) >= offset })
		if n > budget {
			return s.base + int64(entries[n-budget].relative), nil
		}
		if budget -= n + 1; budget <= 0 || i == 0 {
			return s.base, nil
		}
	}
}

// replay applies the batches of [from, to).
func (l *Log) replay(ps *producers, segments []*segment, from, to int64, checked bool) error {
	now := l.dir.nowMs()
	return walkHeaders(segments, from, to, checked, func(h *record.Header) { ps.apply(h, now) })
}

// walkHeaders calls f for the header of every batch that begins in [from, to).
func walkHeaders(segments []*segment, from, to int64, checked bool, f func(*record.Header)) error {
	for i := segmentAt(segments, from); i < len(segments) && segments[i].base < to; i++ {
		if err := segments[i].walkHeaders(from, to, checked, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) walkHeaders(from, to int64, checked bool, f func(*record.Header)) error {
	size := s.bytes()
	if size == 0 {
		return nil
	}
	w, err := s.walk()
	if err != nil {
		return err
	}
	defer w.close()
	w.checked = checked
	position, h, err := s.find(w, from, size)
	for err == nil && position < size && h.BaseOffset < to {
		if h.BaseOffset >= from {
			f(&h)
		}
		if position += int64(h.Size()); position < size {
			h, err = w.header(position, size)
		}
	}
	return err
}
