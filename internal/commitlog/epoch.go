package commitlog

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/vfs"
)

const epochFile = "leader-epoch-checkpoint"

// epochEntry says where a leader epoch begins. A log has a list of them that rises in epoch and does not fall in
// offset; it is replaced, never changed, so that readers need no lock.
type epochEntry struct {
	epoch int32
	start int64
}

// noEpoch is the answer when no leader epoch is known.
const noEpoch int32 = -1

// LatestEpoch returns the newest leader epoch that was assigned, -1 when none was.
func (l *Log) LatestEpoch() int32 {
	entries := *l.epochs.Load()
	if len(entries) == 0 {
		return noEpoch
	}
	return entries[len(entries)-1].epoch
}

// StartEpoch assigns a leader epoch at the end of the log, as a new leader does before it appends. An epoch that is not
// newer changes nothing.
//
// It is not durable by itself, and need not be: an epoch that a power cut forgets has no records.
func (l *Log) StartEpoch(epoch int32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writable(); err != nil {
		return err
	}
	if epoch > l.LatestEpoch() {
		l.assignEpoch(epoch, l.end.Load())
		l.dir.changed.Store(true)
	}
	return nil
}

// EpochAt returns the leader epoch that offset belongs to, -1 when it is not known.
func (l *Log) EpochAt(offset int64) int32 { return epochAt(*l.epochs.Load(), offset) }

// EpochEndOffset answers OffsetForLeaderEpoch (KIP-101, KIP-279): the largest epoch that is known and not newer than
// epoch, and the offset where it ends; end for the latest one. (-1, -1) when nothing is known. An epoch older than all
// known ones is answered with itself and the offset where the known ones begin.
func (l *Log) EpochEndOffset(epoch int32, end int64) (foundEpoch int32, endOffset int64) {
	entries := *l.epochs.Load()
	if epoch < 0 || len(entries) == 0 || epoch > entries[len(entries)-1].epoch {
		return noEpoch, -1
	}
	i := sort.Search(len(entries), func(i int) bool { return entries[i].epoch > epoch })
	switch {
	case i == len(entries):
		return entries[i-1].epoch, end
	case i == 0:
		return epoch, entries[0].start
	}
	if seeded.Is(seeded.EpochEndOffByOne) {
		return entries[i-1].epoch, entries[i].start + 1
	}
	return entries[i-1].epoch, entries[i].start
}

// epochAt returns the epoch of offset as the entries say.
func epochAt(entries []epochEntry, offset int64) int32 {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].start > offset })
	if i == 0 {
		return noEpoch
	}
	return entries[i-1].epoch
}

// lastWrittenEpoch returns the newest epoch that has records, -1 when none has.
func (l *Log) lastWrittenEpoch() int32 {
	end := l.end.Load()
	entries := *l.epochs.Load()
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].start < end {
			return entries[i].epoch
		}
	}
	return noEpoch
}

// assignEpoch must be called with mu held.
func (l *Log) assignEpoch(epoch int32, start int64) {
	entries := withEpoch(*l.epochs.Load(), epoch, start)
	l.epochs.Store(&entries)
	l.mu.changed = true
}

// withEpoch adds an epoch that begins at start and drops those without records that it overtakes.
func withEpoch(entries []epochEntry, epoch int32, start int64) []epochEntry {
	n := len(entries)
	for n > 0 && (entries[n-1].start >= start || entries[n-1].epoch >= epoch) {
		if entries[n-1].epoch == epoch && entries[n-1].start <= start {
			return entries[:n:n]
		}
		n--
	}
	return append(entries[:n:n], epochEntry{epoch, start})
}

// epochsBelow drops the epochs that begin at end or later.
func epochsBelow(entries []epochEntry, end int64) []epochEntry {
	n := sort.Search(len(entries), func(i int) bool { return entries[i].start >= end })
	return entries[:n:n]
}

// epochsFrom drops the epochs that end at start or before; the one that start lies in begins there now.
func epochsFrom(entries []epochEntry, start int64) []epochEntry {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].start > start })
	if i == 0 {
		return entries
	}
	kept := append([]epochEntry(nil), entries[i-1:]...)
	kept[0].start = start
	return kept
}

func encodeEpochs(entries []epochEntry) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(entries))
	for _, e := range entries {
		fmt.Fprintf(&b, "%d %d\n", e.epoch, e.start)
	}
	return []byte(b.String())
}

// decodeEpochs reads a leader-epoch-checkpoint.
func decodeEpochs(b []byte) ([]epochEntry, error) {
	lines, err := checkpointLines(b)
	if err != nil {
		return nil, err
	}
	entries := make([]epochEntry, 0, len(lines))
	last := epochEntry{noEpoch, -1}
	for _, line := range lines {
		first, second, _ := strings.Cut(line, " ")
		epoch, err1 := parseNumber(first, 32)
		start, err2 := parseNumber(second, 64)
		e := epochEntry{int32(epoch), start}
		if err1 != nil || err2 != nil || e.epoch <= last.epoch || e.start < last.start {
			return nil, fmt.Errorf("%w: leader epoch %q", ErrCorrupt, line)
		}
		entries, last = append(entries, e), e
	}
	return entries, nil
}

func (l *Log) writeEpochs(entries []epochEntry) error {
	name := path.Join(l.path, epochFile)
	if len(entries) == 0 {
		if _, err := l.fs.Stat(name); err != nil {
			return nil // nothing to say, and nothing said before
		}
	}
	return vfs.WriteFileAtomic(l.fs, name, encodeEpochs(entries))
}
