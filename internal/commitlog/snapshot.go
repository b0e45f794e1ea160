package commitlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/logbahn/logbahn/internal/vfs"
)

// A .snapshot file, Kafka's version 1, big endian: version int16, CRC-32C uint32 of what follows, count int32, and for
// each producer id int64, epoch int16, last sequence int32, last offset int64, offset delta int32, timestamp int64,
// coordinator epoch int32, first offset of its open transaction int64. The name has the offset that the state is at.
const (
	snapshotVersion    = 1
	snapshotHeadBytes  = 2 + 4 + 4
	snapshotEntryBytes = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	snapshotBytesMax   = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshotFile is a snapshot that is to be written.
type snapshotFile struct {
	offset int64
	data   []byte
}

// takeSnapshot must be called with mu held.
func (l *Log) takeSnapshot() snapshotFile {
	return snapshotFile{l.end.Load(), encodeSnapshot(&l.mu.producers)}
}

func (f snapshotFile) write(fsys vfs.FS, dir string) error {
	return vfs.WriteFileAtomic(fsys, segmentFile(dir, f.offset, snapshotSuffix), f.data)
}

func encodeSnapshot(ps *producers) []byte {
	list := ps.sorted()
	b := make([]byte, snapshotHeadBytes, snapshotHeadBytes+len(list)*snapshotEntryBytes)
	be := binary.BigEndian
	be.PutUint16(b, snapshotVersion)
	be.PutUint32(b[6:], uint32(len(list)))
	for _, p := range list {
		last, _ := p.last()
		b = be.AppendUint64(b, uint64(p.id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint32(b, uint32(last.lastSequence))
		b = be.AppendUint64(b, uint64(last.lastOffset))
		b = be.AppendUint32(b, uint32(last.offsetDelta))
		b = be.AppendUint64(b, uint64(last.timestamp))
		b = be.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(p.txnFirstOffset))
	}
	be.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

// decodeSnapshot reads a .snapshot file. Nobody knows when the producers were last seen: they count from nowMs.
func decodeSnapshot(b []byte, nowMs int64) (producers, error) {
	be := binary.BigEndian
	if len(b) < snapshotHeadBytes || be.Uint16(b) != snapshotVersion {
		return producers{}, fmt.Errorf("%w: not a producer snapshot of version %d", ErrCorrupt, snapshotVersion)
	}
	if be.Uint32(b[2:]) != crc32.Checksum(b[6:], castagnoli) {
		return producers{}, fmt.Errorf("%w: checksum of a producer snapshot", ErrCorrupt)
	}
	n := int64(be.Uint32(b[6:]))
	if b = b[snapshotHeadBytes:]; int64(len(b)) != n*snapshotEntryBytes {
		return producers{}, fmt.Errorf("%w: length of a producer snapshot", ErrCorrupt)
	}
	ps := producers{byID: make(map[int64]*producer, n)}
	for ; len(b) > 0; b = b[snapshotEntryBytes:] {
		p := &producer{
			id: int64(be.Uint64(b)), epoch: int16(be.Uint16(b[8:])),
			coordinatorEpoch: int32(be.Uint32(b[34:])), txnFirstOffset: int64(be.Uint64(b[38:])), seenMs: nowMs,
		}
		last := producerBatch{
			lastSequence: int32(be.Uint32(b[10:])), lastOffset: int64(be.Uint64(b[14:])),
			offsetDelta: int32(be.Uint32(b[22:])), timestamp: int64(be.Uint64(b[26:])),
		}
		if last.lastOffset >= 0 && last.lastSequence >= 0 {
			p.remember(last)
		}
		ps.byID[p.id] = p
	}
	return ps, nil
}
