package commitlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/logbahn/logbahn/internal/vfs"
)

// The recovery points decide what a bad batch is: below them corruption, above them the end of the log. If they were
// lost, recovery would take a rotten batch in the middle of a log for a torn end and cut off what was acknowledged behind
// it. So they are kept twice: in Kafka's file, and with a checksum in the witness.
//
// A point counts when either file has it, the higher one of the two. Both are lowered, durably, before a log is cut, and a
// point is only ever written when the data is synced: a crash between the two writes leaves a difference, and the higher
// one is still true.
//
// If both are missing or unreadable, every log that is there is in doubt: it opens if nothing has to be cut off, and is
// corrupt otherwise. The witness remembers the doubt until the log has been opened or deleted.
const witnessFile = "recovery-point-witness"

// doubtful stands for a recovery point that nobody knows.
const doubtful int64 = -1

// recoveryPoints are the recovery points of a directory. Dir.checkpointMu guards them.
type recoveryPoints struct {
	checkpointed
	doubt map[TopicPartition]bool // logs whose point is lost
}

// load reads both files. present are the logs that have a folder.
func (r *recoveryPoints) load(d *Dir, present func() ([]OnDisk, error)) error {
	r.name, r.doubt = recoveryFile, make(map[TopicPartition]bool)
	kafkas, kafkaErr := loadCheckpoint(d.fs, d.path, recoveryFile)
	witness, witnessErr := loadWitness(d.fs, d.path)
	for _, err := range []error{kafkaErr, witnessErr} {
		if err != nil && !isCorruption(err) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	d.takenOver = errors.Is(witnessErr, fs.ErrNotExist)
	r.unsure = kafkaErr != nil || witnessErr != nil
	switch {
	case kafkaErr == nil && witnessErr == nil, witnessErr == nil:
		r.on = witness
		if kafkaErr != nil {
			d.log.Warn("recovery points are taken from the witness", "err", kafkaErr)
		}
	case kafkaErr == nil:
		r.on = make(checkpoint, len(kafkas))
		if isCorruption(witnessErr) {
			d.log.Warn("recovery points have no witness", "err", witnessErr)
		}
	default:
		return r.doubtAll(d, present)
	}
	for tp, point := range r.on {
		if point == doubtful {
			r.doubt[tp] = true
			delete(r.on, tp)
		}
	}
	for tp, point := range kafkas {
		if at, ok := r.on[tp]; !ok && !r.doubt[tp] || at < point {
			r.on[tp] = point
		}
	}
	return nil
}

func (r *recoveryPoints) doubtAll(d *Dir, present func() ([]OnDisk, error)) error {
	r.on = make(checkpoint)
	logs, err := present()
	if err != nil {
		return err
	}
	for _, log := range logs {
		r.doubt[log.TopicPartition] = true
	}
	if len(logs) > 0 {
		d.log.Warn("all recovery points are lost: a log of which something would have to be cut off is not opened",
			"files", []string{recoveryFile, witnessFile})
	}
	return nil
}

// put replaces both files unless they say the same already.
func (r *recoveryPoints) put(d *Dir, want checkpoint) error {
	if !r.unsure && maps.Equal(r.on, want) {
		return nil
	}
	r.unsure = true
	if err := r.checkpointed.put(d, want); err != nil {
		return err
	}
	r.unsure = true
	witness := copyOf(want)
	for tp := range r.doubt {
		witness[tp] = doubtful
	}
	if err := vfs.WriteFileAtomic(d.fs, path.Join(d.path, witnessFile), encodeWitness(witness)); err != nil {
		return fmt.Errorf("%s: %w", witnessFile, err)
	}
	r.unsure = false
	return nil
}

// clear says that a log was opened, or that its name is free.
func (r *recoveryPoints) clear(tp TopicPartition) {
	if r.doubt[tp] {
		delete(r.doubt, tp)
		r.unsure = true
	}
}

// opened writes that a log is not in doubt any more.
func (d *Dir) opened(tp TopicPartition) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if !d.recovery.doubt[tp] {
		return nil
	}
	d.recovery.clear(tp)
	return d.recovery.put(d, d.recovery.on)
}

const checksumKey = "checksum "

// encodeWitness is the checkpoint's format with a last line that holds the CRC-32C of those before.
func encodeWitness(c checkpoint) []byte {
	b := c.encode()
	return fmt.Appendf(b, "%s%08x\n", checksumKey, crc32.Checksum(b, castagnoli))
}

func decodeWitness(b []byte) (checkpoint, error) {
	i := strings.LastIndex(string(b), "\n"+checksumKey) + 1
	if i == 0 || string(b[i:]) != fmt.Sprintf("%s%08x\n", checksumKey, crc32.Checksum(b[:i], castagnoli)) {
		return nil, fmt.Errorf("%w: checksum of %s", ErrCorrupt, witnessFile)
	}
	return decodeOffsets(b[:i], doubtful)
}

func loadWitness(fsys vfs.FS, dir string) (checkpoint, error) {
	b, err := vfs.ReadFile(fsys, path.Join(dir, witnessFile), checkpointBytesMax)
	if err != nil {
		return nil, err
	}
	return decodeWitness(b)
}
