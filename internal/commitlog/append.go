package commitlog

import (
	"errors"
	"fmt"
	"math"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// batchInfo is one batch of an append.
type batchInfo struct {
	record.Header
	at int // where it begins in the bytes that are appended
}

// Append writes one or more whole batches, which the caller has checked with record.Check, behind the end of the log.
// It patches offsets, leader epoch and, if configured, LogAppendTime into batches. It returns as soon as the bytes are
// written; they are durable once FlushedOffset has passed LastOffset. Either all batches are appended or none.
func (l *Log) Append(batches []byte, o AppendOptions) (Appended, error) {
	for {
		a, err := l.append(batches, &o)
		if !errors.Is(err, errUnnamed) {
			return a, err
		}
		if err := l.syncName(); err != nil {
			return Appended{}, err
		}
	}
}

func (l *Log) append(batches []byte, o *AppendOptions) (Appended, error) {
	c := l.config.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return Appended{}, err
	}
	infos, err := l.parse(batches, c.MaxMessageBytes)
	if err != nil {
		return Appended{}, err
	}
	if epoch := l.lastWrittenEpoch(); o.LeaderEpoch < epoch {
		return Appended{}, fmt.Errorf("%w: leader epoch %d after %d", ErrInvalidBatch, o.LeaderEpoch, epoch)
	}
	appended := Appended{FirstOffset: l.end.Load(), LogAppendTime: record.NoTimestamp, LogStartOffset: l.start.Load()}
	if !o.NoProducerCheck {
		earlier, err := l.mu.producers.check(infos, o.Origin)
		if errors.Is(err, ErrOutOfOrderSequence) && l.Full() {
			// It was sent behind a batch for which there was no room, and is sent again behind it. A producer that was told
			// of a gap would take a new epoch and write again, to other partitions too, what it has not been answered yet.
			return Appended{}, fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		if err != nil {
			return Appended{}, err
		}
		if earlier != nil {
			return l.answerDuplicate(appended, earlier, c), nil
		}
	}
	next := appended.FirstOffset
	for i := range infos {
		next = assign(batches, &infos[i], next, o, c.LogAppendTime)
	}
	if c.LogAppendTime {
		appended.LogAppendTime = o.Now
	}
	appended.LastOffset = next - 1
	return appended, l.write(batches, infos, o.Now, c)
}

func (l *Log) answerDuplicate(a Appended, o *original, c *Config) Appended {
	a.Duplicate, a.Forgotten = true, o.forgotten
	a.FirstOffset, a.LastOffset = o.firstOffset(), o.lastOffset
	if o.forgotten {
		a.FirstOffset = -1
	}
	if c.LogAppendTime {
		a.LogAppendTime = o.timestamp
	}
	return a
}

// assign gives one batch its place in the log and returns the offset behind it.
func assign(batches []byte, info *batchInfo, offset int64, o *AppendOptions, logAppendTime bool) int64 {
	batch := batches[info.at : info.at+info.Size()]
	if logAppendTime {
		record.SetLogAppendTime(batch, o.Now)
		info.MaxTimestamp = o.Now
	}
	record.PatchOffsets(batch, offset, o.LeaderEpoch)
	info.BaseOffset, info.LeaderEpoch = offset, o.LeaderEpoch
	return info.NextOffset()
}

// AppendReplica writes batches that have their offsets and leader epochs already, as a follower has fetched them. The
// first one must not begin before EndOffset; a gap is what compaction left at the leader.
func (l *Log) AppendReplica(batches []byte) (Appended, error) {
	for {
		a, err := l.appendReplica(batches)
		if !errors.Is(err, errUnnamed) {
			return a, err
		}
		if err := l.syncName(); err != nil {
			return Appended{}, err
		}
	}
}

func (l *Log) appendReplica(batches []byte) (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return Appended{}, err
	}
	infos, err := l.parse(batches, math.MaxInt32)
	if err != nil {
		return Appended{}, err
	}
	next, epoch := l.end.Load(), l.lastWrittenEpoch()
	for i := range infos {
		h := &infos[i].Header
		if h.BaseOffset < next || h.LeaderEpoch < epoch {
			return Appended{}, fmt.Errorf("%w: offset %d of epoch %d does not follow offset %d of epoch %d",
				ErrInvalidBatch, h.BaseOffset, h.LeaderEpoch, next-1, epoch)
		}
		next, epoch = h.NextOffset(), h.LeaderEpoch
	}
	appended := Appended{FirstOffset: infos[0].BaseOffset, LastOffset: next - 1, LogAppendTime: record.NoTimestamp,
		LogStartOffset: l.start.Load()}
	return appended, l.write(batches, infos, l.dir.nowMs(), l.config.Load())
}

// parse splits batches into the scratch of the log.
func (l *Log) parse(batches []byte, sizeMax int64) ([]batchInfo, error) {
	infos := l.mu.infos[:0]
	for at := 0; at < len(batches); {
		h, err := record.ReadHeader(batches[at:])
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrInvalidBatch, err)
		case h.Size() > len(batches)-at:
			return nil, fmt.Errorf("%w: cut off", ErrInvalidBatch)
		case h.LastOffsetDelta < 0:
			return nil, fmt.Errorf("%w: last offset delta %d", ErrInvalidBatch, h.LastOffsetDelta)
		case int64(h.Size()) > sizeMax:
			return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMessageTooLarge, h.Size(), sizeMax)
		}
		infos = append(infos, batchInfo{h, at})
		at += h.Size()
	}
	l.mu.infos = infos
	if len(infos) == 0 {
		return nil, fmt.Errorf("%w: none", ErrInvalidBatch)
	}
	return infos, nil
}

// write appends placed batches to the active segment and makes them visible.
func (l *Log) write(batches []byte, infos []batchInfo, nowMs int64, c *Config) error {
	if l.mustRoll(infos, int64(len(batches)), nowMs, c) {
		if l.unnamed() {
			return errUnnamed
		}
		l.roll(infos[0].BaseOffset, c)
	}
	a := &l.mu.active
	if int64(len(batches)) > math.MaxInt32-a.segment.bytes() {
		return fmt.Errorf("%w: %d bytes do not fit a segment", ErrMessageTooLarge, len(batches))
	}
	if err := l.writeFile(batches, nowMs, c); err != nil {
		return err
	}
	l.index(infos, nowMs)
	l.publish(int64(len(batches)), infos[len(infos)-1].NextOffset())
	return nil
}

// writeFile writes behind the active segment. What is written in part is cut off again.
func (l *Log) writeFile(b []byte, nowMs int64, c *Config) error {
	s := l.mu.active.segment
	h, err := l.openActive()
	if err != nil {
		return l.writeFailed(err)
	}
	defer h.release()
	size := s.bytes()
	l.mu.active.reserved.ahead(h, l.dir, size+int64(len(b)), nowMs, min(c.PreallocateBytes, c.SegmentBytes))
	if _, err = h.WriteAt(b, size); err == nil {
		l.refusedAt.Store(0)
		return nil
	}
	l.mu.active.reserved = reservation{}
	if cut := h.Truncate(size); cut != nil {
		return l.fail(errors.Join(err, cut))
	}
	l.markUnsynced(s) // what was cut off may come back
	return l.writeFailed(err)
}

func (l *Log) writeFailed(err error) error {
	if noSpace(err) {
		l.refusedAt.Store(1 + int64(l.dir.cfg.Monotonic()))
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return l.fail(err)
}

// unnamed tells whether the active segment was made since the last sync. No other may be made then: after a power cut a
// log must not begin with the second one. It must be called with mu held.
func (l *Log) unnamed() bool {
	return l.mu.active.created && (l.mu.unsyncedNew.segment || l.mu.naming)
}

// errUnnamed asks for syncName, without mu, and for another try.
var errUnnamed = errors.New("the last segment's name is not durable")

// syncName makes the names of the segments durable.
func (l *Log) syncName() error {
	l.syncMu.Lock() // a sync that is under way does it
	defer l.syncMu.Unlock()
	l.mu.Lock()
	err, unsynced := l.writable(), l.mu.unsyncedNew.segment
	l.mu.Unlock()
	if err != nil || !unsynced {
		return err
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.unsyncedNew.segment = false // no other was made meanwhile
	return nil
}

// openActive opens the last segment's file, and makes it when this is the first write to it.
func (l *Log) openActive() (*handle, error) {
	a := &l.mu.active
	if a.created {
		return a.segment.file.acquire()
	}
	h, err := a.segment.file.create()
	if err == nil {
		a.created = true
		l.mu.unsyncedNew.segment = true
	}
	return h, err
}

// index enters the batches into the indexes, the producers and the epochs, before anyone can see them.
func (l *Log) index(infos []batchInfo, nowMs int64) {
	a := &l.mu.active
	s := a.segment
	position := s.bytes()
	if position == 0 {
		a.firstTimestamp, a.createdMs = infos[0].MaxTimestamp, nowMs
	}
	a.lastAppendMs = nowMs
	a.offsets, a.times = s.offsets.Load(), s.times.Load() // a reader may have had to build them again
	for i := range infos {
		h := &infos[i].Header
		a.add(h, position+int64(infos[i].at))
		l.mu.producers.apply(h, nowMs)
		if h.LeaderEpoch != l.LatestEpoch() {
			l.assignEpoch(h.LeaderEpoch, h.BaseOffset)
		}
	}
	s.maxTimestamp.Store(a.maxTimestamp)
}

func (l *Log) publish(bytes, end int64) {
	s := l.mu.active.segment
	size := s.bytes() + bytes
	s.remember(end, size)
	s.bound.Store(end) // first: what a reader finds fits the bound
	s.setExtent(size, end)
	l.end.Store(end)
	l.mu.changed = true
	l.markUnsynced(s)
	if l.dir.cfg.Flush == FlushOS {
		l.flushed.Store(end) // the system has it, and nobody need be woken for that
		l.dir.noteChange()
	} else {
		l.dir.wake(l)
	}
}

// markUnsynced must be called with mu held.
func (l *Log) markUnsynced(s *segment) {
	if n := len(l.mu.unsynced); n == 0 || l.mu.unsynced[n-1] != s {
		l.mu.unsynced = append(l.mu.unsynced, s)
	}
}

// mustRoll follows Kafka's LogSegment.shouldRoll.
func (l *Log) mustRoll(infos []batchInfo, bytes, nowMs int64, c *Config) bool {
	a := &l.mu.active
	size := a.segment.bytes()
	if size == 0 {
		return infos[0].BaseOffset > a.segment.base && infos[len(infos)-1].LastOffset()-a.segment.base > math.MaxInt32
	}
	if size > c.SegmentBytes-bytes || a.full(c.IndexBytes) {
		return true
	}
	if infos[len(infos)-1].LastOffset()-a.segment.base > math.MaxInt32 {
		return true
	}
	age := nowMs - a.createdMs
	if a.firstTimestamp != record.NoTimestamp {
		youngest := int64(record.NoTimestamp)
		for i := range infos {
			youngest = max(youngest, infos[i].MaxTimestamp)
		}
		age = youngest - a.firstTimestamp
	}
	return age > c.rollMs()
}

// roll closes the active segment and begins one at offset, which is at least the end of the log.
func (l *Log) roll(offset int64, c *Config) {
	a := &l.mu.active
	old := a.segment
	if old.bytes() == 0 { // nothing in it, but its base is too far from offset
		old.file.retire()
		before := *l.segments.Load()
		l.begin(offset, c, before[:len(before)-1])
		return
	}
	l.trim()
	a.closeTimes()
	old.pinned.Store(true)
	old.stale.Store(true)
	old.close(l.end.Load())
	l.mu.snapshots = append(l.mu.snapshots, l.takeSnapshot())
	l.begin(l.end.Load(), c, *l.segments.Load())
	l.dir.kick()
}

// trim gives back what was reserved ahead. It matters to nobody else if that fails.
func (l *Log) trim() {
	a := &l.mu.active
	if a.reserved.end <= a.segment.bytes() {
		return
	}
	if h, err := a.segment.file.acquire(); err == nil {
		if err := h.Truncate(a.segment.bytes()); err != nil {
			_ = l.fail(err)
		}
		h.release()
	}
	a.reserved = reservation{}
}

// begin adds an empty segment behind those given. Its file is made with the first write.
func (l *Log) begin(base int64, c *Config, before []*segment) {
	s := newSegment(l.fs, l.path, base, c.IndexIntervalBytes)
	x := newIndexer(base, c.IndexIntervalBytes)
	s.offsets.Store(x.offsets)
	s.times.Store(x.times)
	l.mu.active = activeSegment{indexer: x, segment: s}
	list := append(make([]*segment, 0, len(before)+1), before...)
	list = append(list, s)
	l.segments.Store(&list)
}

// Preallocation. A log is busy when it writes busyBytes within busyMs; then the next chunk is twice the last one.
const (
	busyBytes = 1 << 20
	busyMs    = 1000
	// reserveFreeFactor is how many chunks must be free on the disk.
	reserveFreeFactor = 16
)

// reservation is what a file has reserved behind its end.
type reservation struct {
	end     int64 // reserved up to here
	chunk   int64
	measure int64 // position at which the rate is looked at again
	sinceMs int64
}

// ahead reserves space when a busy log writes up to end. It is a favour: whatever fails, the write goes on.
func (r *reservation) ahead(f vfs.File, d *Dir, end, nowMs, chunkMax int64) {
	if end > r.measure {
		if nowMs-r.sinceMs <= busyMs && r.measure > 0 {
			r.chunk = min(max(2*r.chunk, busyBytes), chunkMax)
		} else {
			r.chunk = 0
		}
		r.measure, r.sinceMs = end+max(busyBytes, r.chunk/2), nowMs
	}
	if r.chunk == 0 || end <= r.end || d.noReserve.Load() {
		return
	}
	if free, err := d.fs.Free(d.path); err != nil || free < reserveFreeFactor*r.chunk {
		return
	}
	if err := f.Allocate(max(r.end, end), r.chunk); err != nil {
		if errors.Is(err, vfs.ErrUnsupported) {
			d.noReserve.Store(true)
		}
		r.chunk = 0
		return
	}
	r.end = max(r.end, end) + r.chunk
}
