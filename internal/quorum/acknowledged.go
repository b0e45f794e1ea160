package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/logbahn/logbahn/internal/vfs"
)

// acknowledgedFile holds the index of the last entry that was on disk here, and so may have been acknowledged to clients or
// to the leader. Recovery ends a log at its first bad entry above the recovery point and cannot tell whether that one had
// been synced; raft would then promise again what it has forgotten.
//
// The file is written in place after each sync of entries and not synced itself: it costs a write to the page cache. So it
// never has more than the log, and after a power cut it may have less: a lower number or a torn one, which says nothing.
// It is synced only when it has to fall, before entries are overruled.
const (
	acknowledgedFile    = "quorum-acknowledged"
	acknowledgedMagic   = "LBQA"
	acknowledgedVersion = 1
)

// acknowledged is that file, held open.
type acknowledged struct {
	file  vfs.File
	index uint64
}

func openAcknowledged(fsys vfs.FS, dir string) (*acknowledged, error) {
	name := path.Join(dir, acknowledgedFile)
	a := &acknowledged{}
	b, err := vfs.ReadFile(fsys, name, stateBytesMax)
	if err == nil {
		a.index = decodeAcknowledged(b)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, vfs.ErrTooLarge) {
		return nil, err
	}
	a.file, err = fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)
	return a, err
}

// decodeAcknowledged returns 0 for bytes that are not what was written.
func decodeAcknowledged(b []byte) uint64 {
	_, body, err := unseal(acknowledgedMagic, acknowledgedVersion, b)
	if err != nil || len(body) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(body)
}

func encodeAcknowledged(index uint64) []byte {
	return seal(acknowledgedMagic, acknowledgedVersion, binary.BigEndian.AppendUint64(nil, index))
}

// set says that everything up to index is on disk.
func (a *acknowledged) set(index uint64) error {
	if _, err := a.file.WriteAt(encodeAcknowledged(index), 0); err != nil {
		return fmt.Errorf("write %s: %w", acknowledgedFile, err)
	}
	a.index = index
	return nil
}

// lower makes sure that the file on disk does not say more than index.
func (a *acknowledged) lower(index uint64) error {
	if a.index <= index {
		return nil
	}
	if err := a.set(index); err != nil {
		return err
	}
	return a.file.Sync()
}

// check compares with what the log and the snapshot have.
func (a *acknowledged) check(last uint64, dir string) error {
	if last >= a.index {
		return nil
	}
	return fmt.Errorf("%w: the metadata log ends at offset %d, and this node had acknowledged what is below %d: restore %s from a backup; or, where other voters hold the metadata, remove this node and add it again with an empty directory; or accept the loss by removing %s",
		errDamaged, last, a.index, dir, path.Join(dir, acknowledgedFile))
}

func (a *acknowledged) close() error { return a.file.Close() }
