package commitlog

import (
	"errors"
	"path"

	"github.com/logbahn/logbahn/internal/seeded"
)

// Group commit. Appends only write; the directory's flusher takes all logs that were written since it looked last,
// syncs each once, and tells their partitions how far. While it waits for the disk, the next appends gather. A log that
// has one write waiting costs one fdatasync, a thousand writes cost the same one.
//
// A sync also makes durable what the data depends on to be found again: the name of a new segment in the folder, and for
// a new partition the folder itself and partition.metadata. So creating a partition costs no sync at all.
//
// A sync that fails is not tried again: the kernel may have dropped the pages and forgotten about it. The log fails.

// wake puts l into the flusher's queue.
func (d *Dir) wake(l *Log) {
	if l.queued.Swap(true) {
		return
	}
	d.queue.Lock()
	d.queue.dirty = append(d.queue.dirty, l)
	d.queue.Unlock()
	signal(d.queued)
	d.noteChange()
}

// noteChange says that there is something to checkpoint.
func (d *Dir) noteChange() {
	if !d.changed.Load() {
		d.changed.Store(true)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (d *Dir) runFlusher() {
	for {
		select {
		case <-d.queued:
			d.flushQueue()
		case <-d.stop:
			return
		}
	}
}

func (d *Dir) flushQueue() {
	d.queue.Lock()
	dirty := d.queue.dirty
	d.queue.dirty = d.queue.spare[:0]
	d.queue.Unlock()
	d.parallel(dirty, d.flush)
	clear(dirty)
	d.queue.Lock()
	d.queue.spare = dirty[:0]
	d.queue.Unlock()
}

// flush syncs one log, if the mode asks for it, and tells its partition.
func (d *Dir) flush(l *Log) {
	l.queued.Store(false)
	if d.cfg.Flush == FlushSync {
		_ = l.sync() // the failure is told below
	}
	if l.Err() != nil {
		l.tellFailure()
	} else if l.hooks.Flushed != nil {
		l.hooks.Flushed(l.flushed.Load())
	}
}

// Flush makes everything durable that was appended before the call, whatever the mode. Concurrent calls share syncs.
func (l *Log) Flush() error {
	if err := l.sync(); err != nil {
		return err
	}
	l.dir.wake(l) // the partition hears of it too
	return nil
}

func (l *Log) sync() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	return l.syncHeld()
}

// syncHeld is sync for holders of syncMu.
func (l *Log) syncHeld() error {
	l.mu.Lock()
	if err := l.writable(); err != nil {
		l.mu.Unlock()
		return err
	}
	end, written, fresh := l.end.Load(), l.mu.unsynced, l.mu.unsyncedNew
	if len(written) == 0 && !fresh.segment {
		l.mu.Unlock() // the one that held syncMu before did it all; an empty partition need not be durable
		return nil
	}
	l.mu.unsynced, l.mu.spare = l.mu.spare[:0], nil
	l.mu.unsyncedNew, l.mu.naming = unsyncedNew{}, fresh.segment
	l.mu.Unlock()

	err := l.syncFiles(written, fresh)
	clear(written)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.spare, l.mu.naming = written[:0], false
	if err != nil {
		return l.fail(err)
	}
	l.synced.Store(end)
	l.flushed.Store(max(end, l.flushed.Load())) // with FlushOS appends move it too
	return nil
}

func (l *Log) syncFiles(written []*segment, fresh unsyncedNew) error {
	for _, s := range written {
		if seeded.Is(seeded.SkipSync) {
			break
		}
		if err := s.sync(); err != nil {
			return err
		}
	}
	if (fresh.segment || fresh.partition) && !seeded.Is(seeded.SkipDirSync) {
		if err := l.fs.SyncDir(l.path); err != nil {
			return err
		}
	}
	if fresh.partition && !seeded.Is(seeded.SkipNewSync) {
		return l.syncPartition()
	}
	return nil
}

// syncPartition makes the folder and its partition.metadata durable.
func (l *Log) syncPartition() error {
	f := lazyFile{fs: l.fs, name: path.Join(l.path, partitionMetaFile)}
	defer f.close()
	h, err := f.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	if err := h.Sync(); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir.path)
}

// sync syncs the segment's file, unless the segment was deleted meanwhile.
func (s *segment) sync() error {
	h, err := s.file.acquire()
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.release()
	return h.Sync()
}
