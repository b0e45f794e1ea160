package commitlog

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Intervals that nobody sets.
const (
	sweepInterval       = 10 * time.Second
	replicationInterval = 5 * time.Second
	producerInterval    = 10 * time.Minute
)

// A checkpoint looks at every log of the directory and writes of each, whichever has changed. It takes a checkpointShare-th of the
// time at most, where that does not hold it up for longer than checkpointPauseMax.
const (
	checkpointShare    = 20
	checkpointPauseMax = 10 * time.Second
)

// A wall clock that moves against the monotonic one by more than clockJumpMin was set: retention by time waits for
// clockJumpPause, so that whoever set it wrongly can set it right before old records are gone.
const (
	clockJumpMin   = 30 * time.Second
	clockJumpPause = time.Hour
)

// maintenance is the state of the goroutine that checkpoints, deletes and compacts.
type maintenance struct {
	retention, cleaner, sweep, replication, expiry time.Duration // when each was done last, monotonic

	checkpoint time.Duration // not before, monotonic

	wall        time.Time
	monotonic   time.Duration
	pausedUntil time.Duration
}

func (d *Dir) runMaintenance() {
	timer := time.NewTicker(d.cfg.CheckpointInterval)
	defer timer.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-timer.C:
		case <-d.kicked: // a roll: its recovery point is wanted now
		}
		d.maintain()
	}
}

// kick wakes maintenance.
func (d *Dir) kick() { signal(d.kicked) }

// maintain does what is due. Whatever fails is tried again the next time.
func (d *Dir) maintain() {
	now := d.cfg.Monotonic()
	d.watchClock(now)
	if d.changed.Load() && now >= d.maintenance.checkpoint {
		d.report("checkpoint", d.checkpoint(false))
		took := d.cfg.Monotonic() - now
		d.maintenance.checkpoint = now + took + min(checkpointShare*took, checkpointPauseMax)
	}
	if due(&d.maintenance.retention, now, d.cfg.RetentionInterval) {
		d.report("retention", d.retain())
	}
	if due(&d.maintenance.cleaner, now, d.cfg.CleanerInterval) {
		d.report("compaction", d.compact())
	}
	if due(&d.maintenance.expiry, now, producerInterval) {
		d.expireProducers()
	}
	if due(&d.maintenance.sweep, now, sweepInterval) {
		d.sweepLogs()
	}
	d.report("deletion of a log", d.deleteAgain())
	d.report("removal of deleted files", d.removeDoomed())
}

func (d *Dir) report(what string, err error) {
	if err != nil && !errors.Is(err, ErrClosed) {
		d.log.Warn(what+" did not succeed and is tried again", "err", err)
	}
}

func due(last *time.Duration, now, interval time.Duration) bool {
	if now-*last < interval {
		return false
	}
	*last = now
	return true
}

// watchClock notices when the wall clock was set.
func (d *Dir) watchClock(now time.Duration) {
	m := &d.maintenance
	wall := d.cfg.Now().Round(0)
	if !m.wall.IsZero() {
		if jump := wall.Sub(m.wall) - (now - m.monotonic); jump.Abs() > clockJumpMin {
			m.pausedUntil = now + clockJumpPause
			d.log.Warn("the wall clock has jumped: retention by time pauses", "by", jump, "for", clockJumpPause)
		}
	}
	m.wall, m.monotonic = wall, now
}

func (d *Dir) timeRetentionPaused() bool { return d.cfg.Monotonic() < d.maintenance.pausedUntil }

func (d *Dir) expireProducers() {
	now := d.nowMs()
	for _, l := range d.openLogs() {
		l.mu.Lock()
		l.mu.producers.expire(now, l.config.Load().ProducerExpirationMs)
		l.mu.Unlock()
	}
}

// sweepLogs frees files and indexes that nobody reads, and what idle logs have reserved.
func (d *Dir) sweepLogs() {
	now := d.nowMs()
	for _, l := range d.openLogs() {
		segments := *l.segments.Load()
		for i, s := range segments {
			s.sweep(i < len(segments)-1)
		}
		l.mu.Lock()
		if !l.mu.closed && now-l.mu.active.lastAppendMs > sweepInterval.Milliseconds() {
			l.trim()
		}
		l.mu.Unlock()
	}
}

// checkpoint writes what the directory knows of its logs. What was opened earlier and is not now keeps its entries.
func (d *Dir) checkpoint(last bool) error {
	d.changed.Store(false)
	logs := d.openLogs()
	var errs []error
	for _, l := range logs {
		if err := l.persist(); err != nil {
			errs = append(errs, err)
		}
	}
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	logs = d.stillOpen(logs)
	recovery, cleaned := copyOf(d.recovery.on), copyOf(d.cleaned.on)
	for _, l := range logs {
		l.mu.Lock()
		if !l.mu.deleted {
			recovery[l.tp] = l.recoveryPoint(recovery[l.tp])
			if l.mu.cleanerPoint > 0 {
				cleaned[l.tp] = l.mu.cleanerPoint
			} else {
				delete(cleaned, l.tp)
			}
		}
		l.mu.Unlock()
	}
	errs = append(errs, d.recovery.put(d, recovery), d.putStarts(logs), d.cleaned.put(d, cleaned))
	if last || due(&d.maintenance.replication, d.cfg.Monotonic(), replicationInterval) {
		errs = append(errs, d.putHighWatermarks(logs))
	} else {
		d.changed.Store(true)
	}
	err := errors.Join(errs...)
	if err != nil {
		d.changed.Store(true)
	}
	return err
}

func copyOf(c checkpoint) checkpoint {
	same := make(checkpoint, len(c))
	for tp, offset := range c {
		same[tp] = offset
	}
	return same
}

func (d *Dir) putHighWatermarks(logs []*Log) error {
	marks := copyOf(d.replication.on)
	for _, l := range logs {
		if l.mark.Load() >= 0 && !l.isDeleted() {
			marks[l.tp] = l.HighWatermark()
		}
	}
	return d.replication.put(d, marks)
}

// saveStarts makes the start offsets of all logs durable.
func (d *Dir) saveStarts() error {
	logs := d.openLogs()
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.putStarts(d.stillOpen(logs))
}

// stillOpen drops the logs that were closed since they were listed: another one of the same name may have the entries of
// the checkpoints now, which does not change them while the caller holds checkpointMu.
func (d *Dir) stillOpen(logs []*Log) []*Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(logs, func(l *Log) bool { return d.mu.logs[l.tp] != l })
}

// putStarts must be called with checkpointMu held. As in Kafka only those are written that their segments do not tell, and
// those that leader-epoch-checkpoint does not tell yet: see checkHead.
func (d *Dir) putStarts(logs []*Log) error {
	starts := copyOf(d.starts.on)
	for _, l := range logs {
		if l.isDeleted() {
			continue
		}
		l.mu.Lock()
		behind := l.epochs.Load() != l.mu.epochsOnDisk
		l.mu.Unlock()
		if start := l.start.Load(); start > (*l.segments.Load())[0].base || l.headUnsynced.Load() || behind && start > 0 {
			starts[l.tp] = start
		} else {
			delete(starts, l.tp)
		}
	}
	return d.starts.put(d, starts)
}

func (l *Log) isDeleted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.deleted
}

// recoveryPoint returns up to where the log needs no recovery: synced, with indexes and epochs on disk too. An index that
// is missing does no harm, one from before the segment grew does. It must be
// called with mu held.
func (l *Log) recoveryPoint(before int64) int64 {
	point := min(l.synced.Load(), l.mu.recoverFrom)
	segments := *l.segments.Load()
	for _, s := range segments[:len(segments)-1] {
		if s.stale.Load() {
			point = min(point, s.base)
			break
		}
	}
	if l.epochs.Load() != l.mu.epochsOnDisk {
		point = min(point, before)
	}
	return point
}

// persist writes what recovery would have to build again: the indexes of closed segments, producer snapshots, epochs.
func (l *Log) persist() error {
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	return l.persistHeld()
}

// persistHeld is persist for holders of filesMu.
func (l *Log) persistHeld() error {
	l.mu.Lock()
	if l.mu.deleted || l.Err() != nil {
		l.mu.Unlock()
		return nil
	}
	segments, snapshots, epochs, onDisk := *l.segments.Load(), l.mu.snapshots, l.epochs.Load(), l.mu.epochsOnDisk
	l.mu.Unlock()
	if err := l.persistIndexes(segments[:len(segments)-1]); err != nil {
		return err
	}
	for _, f := range snapshots {
		if f.offset < segments[0].base {
			continue // retention was faster
		}
		if err := f.write(l.fs, l.path); err != nil {
			return err
		}
	}
	if epochs != onDisk {
		if err := l.writeEpochs(*epochs); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.snapshots = slices.Clone(l.mu.snapshots[len(snapshots):])
	l.mu.epochsOnDisk = epochs
	return nil
}

func (l *Log) persistIndexes(sealed []*segment) error {
	var written []*segment
	for _, s := range sealed {
		if !s.pinned.Load() {
			continue
		}
		if err := s.writeIndex(); err != nil {
			return err
		}
		written = append(written, s)
	}
	if len(written) == 0 {
		return nil
	}
	if l.dir.cfg.Flush == FlushOS {
		if err := l.sync(); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		return err
	}
	for _, s := range written {
		s.pinned.Store(false)
		s.stale.Store(false)
	}
	return nil
}

func sortLogs(logs []*Log) {
	slices.SortFunc(logs, func(a, b *Log) int {
		return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
}
