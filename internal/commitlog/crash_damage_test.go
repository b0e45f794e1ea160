package commitlog

import (
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// expendable are the files whose loss, one at a time, changes nothing that is promised.
var expendable = []string{recoveryFile, witnessFile, replicationFile, cleanerFile}

// harm loses or empties a file of the closed directory now and then, or tries what a worse damage does to a copy.
func (r *crashRun) harm() error {
	switch r.rng.IntN(8) {
	case 0:
		if r.harmed {
			return nil
		}
		r.harmed = true
		name := path.Join("data", expendable[r.rng.IntN(len(expendable))])
		if _, err := r.mem.Stat(name); err != nil {
			return nil
		}
		if r.rng.IntN(2) == 0 && path.Base(name) != witnessFile { // without a witness it could be Kafka's directory
			r.note("%s is lost", name)
			return errors.Join(r.mem.Remove(name), r.mem.SyncDir("data"))
		}
		r.note("%s is emptied", name)
		return vfs.WriteFileAtomic(r.mem, name, nil)
	case 1:
		return r.checkDoubleDamage()
	}
	return nil
}

// checkDoubleDamage damages the recovery points in a copy of the directory, and turns a bit below them in a log. What was
// acknowledged must be there, or be refused.
func (r *crashRun) checkDoubleDamage() error {
	mem := vfs.NewMem()
	if err := copyTree(mem, r.mem, "data", new([]string)); err != nil {
		return err
	}
	points, err := writtenPoints(mem)
	if err != nil {
		return err
	}
	lost := 1 + r.rng.IntN(3)
	for i, name := range []string{recoveryFile, witnessFile} {
		if name = path.Join("data", name); lost&(i+1) == 0 {
			continue
		}
		if err := mem.Remove(name); err != nil && lost == i+1 {
			return nil // was not there before
		}
	}
	if lost < 3 { // the last write may not have come to the one that is left
		if points, err = writtenPoints(mem); err != nil {
			return err
		}
	}
	rotten, err := r.rot(mem, points)
	if err != nil || rotten == nil {
		return err
	}
	rotten.note("lost recovery points (%d) and a bit below %d", lost, points[rotten.tp])
	d, err := openCrashed(mem, r)
	if err != nil {
		return err
	}
	return rotten.checkCopy(d, func(l *crashLog) {
		l.m.durable = min(l.m.durable, points[l.tp])
		l.m.written = l.m.durable
	})
}

// checkCopy opens a copy of the log's directory and compares as after a crash, with a model that adjust has changed.
func (r *crashLog) checkCopy(d *Dir, adjust func(*crashLog)) error {
	run := *r.crashRun
	run.dir, run.trace = d, nil
	l := *r
	l.crashRun, l.m.batches, l.producers = &run, slices.Clone(r.m.batches), slices.Clone(r.producers)
	adjust(&l)
	if err := l.openOn(); err != nil {
		return onlyRefused(err)
	}
	return onlyRefused(l.settle())
}

// rot turns one bit of a batch below the recovery point of some log, where its checksum sees it.
func (r *crashRun) rot(mem *vfs.Mem, points checkpoint) (*crashLog, error) {
	l := r.logs[r.rng.IntN(len(r.logs))]
	if points[l.tp] == 0 || l.m.resetTo >= 0 {
		return nil, nil
	}
	folder := path.Join("data", l.tp.String())
	names, err := mem.List(folder)
	if err != nil {
		return nil, nil // deleted
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, logSuffix) })
	if len(names) == 0 {
		return nil, nil
	}
	name := path.Join(folder, names[r.rng.IntN(len(names))])
	b, err := vfs.ReadFile(mem, name, 1<<30)
	if err != nil {
		return nil, err
	}
	at, ok := checkedByte(b, points[l.tp], r.rng)
	if !ok {
		return nil, nil
	}
	b[at] ^= 1 << r.rng.IntN(8)
	return l, vfs.WriteFileAtomic(mem, name, b)
}

// checkedByte picks a byte that the checksum of a batch below offset covers.
func checkedByte(b []byte, offset int64, rng *rand.Rand) (at int, ok bool) {
	const checked = 21 // where the attributes are
	var batches [][2]int
	for at < len(b) {
		h, err := record.ReadHeader(b[at:])
		if err != nil || h.NextOffset() > offset || at+h.Size() > len(b) {
			break
		}
		batches = append(batches, [2]int{at + checked, at + h.Size()})
		at += h.Size()
	}
	if len(batches) == 0 {
		return 0, false
	}
	x := batches[rng.IntN(len(batches))]
	return x[0] + rng.IntN(x[1]-x[0]), true
}

// writtenPoints returns the recovery points that are on disk.
func writtenPoints(mem *vfs.Mem) (checkpoint, error) {
	kafkas, err1 := loadCheckpoint(mem, "data", recoveryFile)
	witness, err2 := loadWitness(mem, "data")
	if err1 != nil && err2 != nil {
		return make(checkpoint), nil // before the first start came to it
	}
	points := copyOf(kafkas)
	for tp, point := range witness {
		points[tp] = max(points[tp], point)
	}
	return points, nil
}

// checkFlips turns one bit of one file of a copy of the cleanly stopped directory. The logs must then answer as before or
// refuse; they must not answer anything else.
func (r *crashRun) checkFlips(from *vfs.Mem) error {
	mem := vfs.NewMem()
	var files []string
	if err := copyTree(mem, from, "data", &files); err != nil {
		return err
	}
	name := files[r.rng.IntN(len(files))]
	l := r.logs[r.rng.IntN(len(r.logs))]
	for _, other := range r.logs {
		if path.Base(path.Dir(name)) == other.tp.String() {
			l = other
		}
	}
	if l.compacted >= 0 && strings.HasSuffix(name, logSuffix) {
		return nil // a base offset lies outside of all checksums, and may move into a gap that compaction left
	}
	if err := flipBit(mem, name, r.rng); err != nil {
		return err
	}
	l.note("one bit of %s", name)
	d, err := openCrashed(mem, r)
	if err != nil {
		return onlyRefused(err)
	}
	opened, err := d.Open(l.tp, l.id, l.config, Hooks{})
	if err != nil {
		return onlyRefused(err)
	}
	switch path.Base(name) {
	case partitionMetaFile: // a folder of another topic, for all that one can know
		return nil
	case logStartFile: // has no redundancy; what is shown must be right all the same
		return onlyRefused(l.checkIndexes(opened))
	}
	if err := onlyRefused(l.check(opened)); err != nil {
		return err
	}
	return onlyRefused(l.checkIndexes(opened))
}

func onlyRefused(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || errors.Is(err, ErrForeignCluster) {
		return nil
	}
	return err
}

func flipBit(mem *vfs.Mem, name string, rng *rand.Rand) error {
	b, err := vfs.ReadFile(mem, name, 1<<30)
	if err != nil || len(b) == 0 {
		return err
	}
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	return vfs.WriteFileAtomic(mem, name, b)
}

func copyTree(to *vfs.Mem, from vfs.FS, dir string, files *[]string) error {
	if err := to.MkdirAll(dir); err != nil {
		return err
	}
	names, err := from.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		full := path.Join(dir, name)
		info, err := from.Stat(full)
		if err != nil {
			return err
		}
		if info.Dir {
			if err := copyTree(to, from, full, files); err != nil {
				return err
			}
			continue
		}
		b, err := vfs.ReadFile(from, full, 1<<30)
		if err != nil {
			return err
		}
		if err := vfs.WriteFileAtomic(to, full, b); err != nil {
			return err
		}
		*files = append(*files, full)
	}
	return nil
}
