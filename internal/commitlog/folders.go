package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Folders that are set aside keep their name in front: "<topic>-<partition>.<uuid>-delete" goes after the file delete
// delay, "-stray", whose topic id nobody knows here, much later: an id that one flipped bit has changed is found out
// before.
const (
	doomedSuffix = "-delete"
	straySuffix  = "-stray"
	strayDelay   = 7 * 24 * time.Hour
)

// doomed is a folder or file that is removed when the monotonic clock has come to at.
type doomed struct {
	path string
	at   time.Duration
	of   TopicPartition // whose log was set aside in this life; none for others
}

// doom must not be called with Dir.mu held.
func (d *Dir) doom(name string, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.doomed = append(d.mu.doomed, doomed{path: name, at: d.cfg.Monotonic() + delay})
}

// findDoomed takes over the folders that were set aside before.
func (d *Dir) findDoomed() error {
	names, err := d.fs.List(d.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		full := path.Join(d.path, name)
		switch {
		case strings.HasSuffix(name, doomedSuffix) && strings.Contains(name, "."):
			d.doom(full, 0)
		case strings.HasSuffix(name, straySuffix) && strings.Contains(name, "."):
			info, err := d.fs.Stat(full)
			if err != nil {
				return err
			}
			d.doom(full, strayDelay-d.cfg.Now().Sub(info.ModTime))
		}
	}
	return nil
}

// findLost looks for logs that were on disk and have no folder any more. Who deletes a log sets its folder aside first and makes
// the checkpoints forget it then: where a crash came in between, they forget it now. A stray says nothing of that: it is kept
// long after another log has taken its name.
func (d *Dir) findLost() error {
	d.lost = make(map[TopicPartition]int64)
	if d.takenOver {
		return nil
	}
	names, err := d.fs.List(d.path)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(names))
	for _, name := range names {
		if strings.HasSuffix(name, doomedSuffix) {
			there[name[:max(0, strings.LastIndexByte(name, '.'))]] = true
		} else {
			there[name] = true
		}
	}
	var deleted []TopicPartition
	for tp, point := range d.recovery.on {
		aside := asideName(tp, doomedSuffix)
		switch {
		case point <= 0 || there[tp.String()]:
		case there[aside[:strings.LastIndexByte(aside, '.')]]:
			deleted = append(deleted, tp)
		case !seeded.Is(seeded.TrustMissingFolder):
			d.lost[tp] = point
		}
	}
	if len(deleted) == 0 {
		return nil
	}
	return d.forget(deleted...)
}

// Lost returns the partitions that were on disk and had no folder when the directory was opened, in no order. They open as
// corrupt; SetAside makes room for them too.
func (d *Dir) Lost() []TopicPartition {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return slices.Collect(maps.Keys(d.lost))
}

// lostUpTo returns up to where a log was on disk whose folder was gone when the directory was opened, 0 for any other.
func (d *Dir) lostUpTo(tp TopicPartition) int64 {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.lost[tp]
}

// removeDoomed removes what is due, but not before the checkpoints have forgotten what it was: it would be missed.
func (d *Dir) removeDoomed() error {
	if err := d.forgetAgain(); err != nil {
		return err
	}
	now := d.cfg.Monotonic()
	var due []doomed
	d.mu.Lock()
	d.mu.doomed = slices.DeleteFunc(d.mu.doomed, func(x doomed) bool {
		if x.at > now {
			return false
		}
		due = append(due, x)
		return true
	})
	d.mu.Unlock()
	var errs []error
	for _, x := range due {
		if err := d.fs.RemoveAll(x.path); err != nil {
			errs = append(errs, err)
			d.doom(x.path, 0)
		}
	}
	return errors.Join(errs...)
}

// setAside renames the folder of a partition that is not open. Of says what hasten knows it by.
func (d *Dir) setAside(tp TopicPartition, suffix string, of TopicPartition) error {
	name := path.Join(d.path, asideName(tp, suffix))
	if err := d.fs.Rename(path.Join(d.path, tp.String()), name); err != nil {
		return err
	}
	aside := doomed{path: name, at: d.cfg.Monotonic(), of: of}
	if suffix == straySuffix {
		aside.at += strayDelay
	}
	d.mu.Lock()
	d.mu.doomed = append(d.mu.doomed, aside)
	d.mu.Unlock()
	return d.fs.SyncDir(d.path)
}

// SetAsideLog closes a log for ever, and makes room for another one of the partition: its folder is kept for a week under a
// name of its own, and one of the same partition that was set aside in this life before goes in its place. A log that is
// closed already may be set aside as well, when that has failed before.
func (d *Dir) SetAsideLog(l *Log) error {
	l.filesMu.Lock() // what maintenance or the flusher are doing still finds its files
	defer l.filesMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	wasOpen := l.shut()
	l.mu.Lock()
	l.mu.deleted = true
	l.mu.Unlock()
	l.closeHandles()
	if wasOpen {
		d.release(l.tp)
	}
	d.hasten(l.tp)
	return d.makeRoom(l.tp, l.tp)
}

// hasten lets what was set aside of a partition in this life go now.
func (d *Dir) hasten(tp TopicPartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.mu.doomed {
		if x := &d.mu.doomed[i]; x.of == tp {
			x.at = 0
		}
	}
}

// SetAside makes room for a partition that cannot be opened: its folder is kept for a week under a name of its own.
func (d *Dir) SetAside(tp TopicPartition) error { return d.makeRoom(tp, TopicPartition{}) }

func (d *Dir) makeRoom(tp, of TopicPartition) error {
	if err := d.reserve(tp); err != nil {
		return err
	}
	defer d.release(tp)
	if err := d.forget(tp); err != nil { // first: a crash in between would leave what looks like a loss
		return err
	}
	if err := d.setAside(tp, straySuffix, of); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Dir) release(tp TopicPartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.mu.logs, tp)
}

// Delete closes logs for ever, at the cost of one write of each checkpoint, however many they are. Their folders are
// renamed at once, so that the partitions can be made again, and removed in the background. A folder that cannot be
// renamed is tried again in the background.
func (d *Dir) Delete(logs ...*Log) error {
	var errs []error
	gone, aside := make([]TopicPartition, 0, len(logs)), make([]doomed, 0, len(logs))
	for _, l := range logs {
		x, closed, err := d.shutAside(l)
		if closed {
			defer d.release(l.tp)
		}
		if err == nil {
			gone, aside = append(gone, l.tp), append(aside, x)
		} else {
			errs = append(errs, fmt.Errorf("%s: %w", l.tp, err))
		}
	}
	if len(gone) > 0 {
		err := d.fs.SyncDir(d.path)
		if err == nil {
			err = d.forget(gone...)
		}
		errs = append(errs, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.doomed = append(d.mu.doomed, aside...) // no earlier: maintenance could remove what the checkpoints still know
	return errors.Join(errs...)
}

// shutAside closes a log for ever and renames its folder, which is to be doomed. It tells whether the log was open.
func (d *Dir) shutAside(l *Log) (x doomed, wasOpen bool, err error) {
	l.filesMu.Lock() // what maintenance or the flusher are doing still finds its files
	defer l.filesMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if !l.shut() {
		return x, false, ErrClosed
	}
	l.mu.Lock()
	l.mu.deleted = true
	l.mu.Unlock()
	for _, s := range *l.segments.Load() {
		s.file.retire()
	}
	name := path.Join(d.path, asideName(l.tp, doomedSuffix))
	if err := d.fs.Rename(l.path, name); err != nil {
		d.mu.Lock()
		d.mu.undeleted = append(d.mu.undeleted, OnDisk{l.tp, l.topicID})
		d.mu.Unlock()
		return x, true, err
	}
	return doomed{path: name, at: d.cfg.Monotonic() + l.config.Load().fileDeleteDelay()}, true, nil
}

// deleteAgain renames the folders that Delete could not.
func (d *Dir) deleteAgain() error {
	d.mu.Lock()
	undeleted := d.mu.undeleted
	d.mu.undeleted = nil
	d.mu.Unlock()
	var errs []error
	for _, x := range undeleted {
		if err := d.deleteFolder(x); err != nil {
			errs = append(errs, err)
			d.mu.Lock()
			d.mu.undeleted = append(d.mu.undeleted, x)
			d.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

// deleteFolder deletes the folder of a log that is closed, unless another one has taken the name: Open sets a folder of
// another topic aside.
func (d *Dir) deleteFolder(x OnDisk) error {
	if err := d.reserve(x.TopicPartition); err != nil {
		return nil
	}
	defer d.release(x.TopicPartition)
	id, err := d.folderTopicID(x.String())
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && id != x.TopicID:
		return nil
	case err != nil:
		return err
	}
	if err := d.setAside(x.TopicPartition, doomedSuffix, TopicPartition{}); err != nil {
		return err
	}
	return d.forget(x.TopicPartition)
}

// shut marks the log closed, and returns false when it was.
func (l *Log) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.mu.closed
	l.mu.closed = true
	return !was
}

// Close flushes and closes one log. It is not counted as cleanly stopped before the directory is.
func (l *Log) Close() error {
	if l.isClosed() {
		return ErrClosed
	}
	err := l.closeFiles()
	if err == nil {
		err = l.dir.checkpoint(false)
	} else {
		l.dir.distrust(l.tp)
	}
	l.dir.release(l.tp)
	return err
}

// distrust makes the next Open of a partition recover it, however the directory was left.
func (d *Dir) distrust(tp TopicPartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.distrusted[tp] = true
}

// trusts tells whether a partition is as a clean stop has left it.
func (d *Dir) trusts(tp TopicPartition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wasClean && !d.mu.distrusted[tp]
}

// closeFiles leaves the folder so that it can be opened without reading it.
func (l *Log) closeFiles() error {
	if err := l.sync(); err != nil && !errors.Is(err, ErrClosed) {
		l.shut()
		l.closeHandles()
		return err
	}
	l.mu.Lock()
	l.trim()
	dirty := l.mu.changed
	if dirty {
		l.mu.active.closeTimes()
		l.mu.snapshots = append(l.mu.snapshots, l.takeSnapshot())
	}
	l.mu.closed = true
	active := l.mu.active
	l.mu.Unlock()
	err := l.persist()
	if err == nil && dirty && active.created {
		err = active.segment.writeIndex()
	}
	if err == nil && dirty {
		err = l.fs.SyncDir(l.path)
	}
	l.closeHandles()
	return err
}

func (l *Log) closeHandles() {
	segments := l.segments.Load()
	if segments == nil {
		return
	}
	for _, s := range *segments {
		s.file.retire()
	}
}

// marksOf returns what the checkpoints say of a partition.
func (d *Dir) marksOf(tp TopicPartition) marks {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	m := marks{recoveryPoint: d.recovery.on[tp], start: d.starts.on[tp], highWatermark: -1, cleanerPoint: d.cleaned.on[tp],
		doubt: d.recovery.doubt[tp]}
	if hw, ok := d.replication.on[tp]; ok {
		m.highWatermark = hw
	}
	return m
}

// neverFlushed tells whether a folder, whose partition.metadata could not be read because of metaErr, was made by this program
// and never flushed: the first flush makes that file durable, and without one no record was acknowledged.
func (d *Dir) neverFlushed(tp TopicPartition, metaErr error) bool {
	m := d.marksOf(tp)
	torn := errors.Is(metaErr, fs.ErrNotExist) || errors.As(metaErr, new(tornError))
	return torn && m.recoveryPoint == 0 && !m.doubt && !d.takenOver
}

// forgetAgain makes the checkpoints forget what they could not before.
func (d *Dir) forgetAgain() error {
	d.mu.Lock()
	gone := d.mu.remembered
	d.mu.remembered = nil
	gone = slices.DeleteFunc(gone, func(tp TopicPartition) bool { // forgotten when the name was taken
		_, taken := d.mu.logs[tp]
		return taken
	})
	d.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	return d.forget(gone...)
}

// forget removes partitions from the checkpoints before their names are used for new logs, to which they do not apply.
func (d *Dir) forget(gone ...TopicPartition) (err error) {
	defer func() {
		if err != nil {
			d.mu.Lock()
			d.mu.remembered = append(d.mu.remembered, gone...)
			d.mu.Unlock()
		}
	}()
	d.mu.Lock()
	for _, tp := range gone {
		delete(d.mu.distrusted, tp)
	}
	d.mu.Unlock()
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	for _, tp := range gone {
		d.recovery.clear(tp)
		delete(d.lost, tp)
	}
	if rest, changed := without(d.recovery.on, gone); changed || d.recovery.unsure {
		if err := d.recovery.put(d, rest); err != nil {
			return err
		}
	}
	for _, c := range []*checkpointed{&d.starts, &d.replication, &d.cleaned} {
		if rest, changed := without(c.on, gone); changed || c.unsure {
			if err := c.put(d, rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// without returns c if none of gone is in it, and otherwise a copy that has all the rest.
func without(c checkpoint, gone []TopicPartition) (rest checkpoint, changed bool) {
	rest = c
	for _, tp := range gone {
		if _, ok := rest[tp]; !ok {
			continue
		}
		if !changed {
			rest, changed = copyOf(c), true
		}
		delete(rest, tp)
	}
	return rest, changed
}

// lowerPoints makes sure that the checkpoints on disk have at most point as a partition's recovery point, and at most end
// for how far it is compacted and committed: other records will have those offsets.
func (d *Dir) lowerPoints(tp TopicPartition, point, end int64) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if err := d.recovery.put(d, lowered(d.recovery.on, tp, point)); err != nil {
		return err
	}
	if err := d.cleaned.put(d, lowered(d.cleaned.on, tp, end)); err != nil {
		return err
	}
	return d.replication.put(d, lowered(d.replication.on, tp, end))
}

// lowered returns c if it has at most offset for tp, and otherwise a copy that has.
func lowered(c checkpoint, tp TopicPartition, offset int64) checkpoint {
	if c[tp] <= offset {
		return c
	}
	lower := copyOf(c)
	lower[tp] = offset
	return lower
}

// writeIndex replaces both index files. The caller makes their names durable; until then the old ones may come back, but
// never a part of the new ones.
func (s *segment) writeIndex() error {
	offsets, times := s.offsets.Load(), s.times.Load()
	if offsets == nil || times == nil {
		return nil // on disk already
	}
	if err := s.writeFile(indexSuffix, encodeOffsetIndex(offsets.view())); err != nil {
		return err
	}
	return s.writeFile(timeIndexSuffix, encodeTimeIndex(times.view()))
}

func (s *segment) writeFile(suffix string, data []byte) error {
	name := segmentFile(s.dir, s.base, suffix)
	if err := writeSynced(s.file.fs, name+tempSuffix, data); err != nil {
		return err
	}
	return s.file.fs.Rename(name+tempSuffix, name)
}

// tempSuffix marks files that are not finished; the next open removes them.
const tempSuffix = ".tmp"

func writeSynced(fsys vfs.FS, name string, data []byte) error {
	f := lazyFile{fs: fsys, name: name}
	defer f.close()
	h, err := f.open(os.O_RDWR | os.O_CREATE | os.O_TRUNC)
	if err != nil {
		return err
	}
	defer h.release()
	if _, err := h.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return h.Sync()
}
