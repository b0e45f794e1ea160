package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

const (
	// HeaderSize is the size of a version 2 batch without records, in bytes.
	HeaderSize = 61
	// LogOverhead is the size of base offset and length, which Length does not count.
	LogOverhead = 12
	// Magic is the version of the batches that this package builds and that logs hold.
	Magic = 2
)

// Where the fields of a version 2 batch begin.
const (
	baseOffsetAt      = 0
	lengthAt          = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57
)

// NoTimestamp stands for a timestamp that is not known: the records of magic 0 have none.
const NoTimestamp int64 = -1

// Header holds the fields of a version 2 batch that come before its records. Timestamps are milliseconds since 1970.
type Header struct {
	BaseOffset      int64
	Length          int32 // bytes after this field
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32 // CRC-32C of everything after this field
	Attributes      Attributes
	LastOffsetDelta int32
	BaseTimestamp   int64
	MaxTimestamp    int64
	ProducerID      int64 // -1 when the producer is not idempotent
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32 // less than LastOffsetDelta+1 after compaction
}

// ReadHeader reads the header at the start of b. It fails with ErrCorrupt when b is shorter than HeaderSize, when the
// batch is not of version 2, or when its length cannot be one. It does not look at the bytes behind the header: the
// batch may be longer than b.
func ReadHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, corrupt("%d bytes are too few for a header", len(b))
	}
	h := decodeHeader(b)
	if h.Magic != Magic {
		return Header{}, corrupt("magic %d instead of %d", h.Magic, Magic)
	}
	if h.Length < HeaderSize-LogOverhead || h.Length > math.MaxInt32-LogOverhead {
		return Header{}, corrupt("impossible length %d", h.Length)
	}
	return h, nil
}

func decodeHeader(b []byte) Header {
	_ = b[HeaderSize-1]
	return Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b[baseOffsetAt:])),
		Length:          int32(binary.BigEndian.Uint32(b[lengthAt:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[leaderEpochAt:])),
		Magic:           int8(b[magicAt]),
		CRC:             binary.BigEndian.Uint32(b[crcAt:]),
		Attributes:      Attributes(binary.BigEndian.Uint16(b[attributesAt:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[lastOffsetDeltaAt:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[baseTimestampAt:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[maxTimestampAt:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[producerIDAt:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[producerEpochAt:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[baseSequenceAt:])),
		Count:           int32(binary.BigEndian.Uint32(b[countAt:])),
	}
}

// PutHeader writes h over the first HeaderSize bytes of batch, with Length, Magic and CRC as the rest of batch demands;
// what h says of these three does not count. Compaction uses it to write a batch whose records are all gone.
func PutHeader(batch []byte, h Header) {
	binary.BigEndian.PutUint64(batch[baseOffsetAt:], uint64(h.BaseOffset))
	binary.BigEndian.PutUint32(batch[lengthAt:], uint32(len(batch)-LogOverhead))
	binary.BigEndian.PutUint32(batch[leaderEpochAt:], uint32(h.LeaderEpoch))
	batch[magicAt] = Magic
	binary.BigEndian.PutUint16(batch[attributesAt:], uint16(h.Attributes))
	binary.BigEndian.PutUint32(batch[lastOffsetDeltaAt:], uint32(h.LastOffsetDelta))
	binary.BigEndian.PutUint64(batch[baseTimestampAt:], uint64(h.BaseTimestamp))
	binary.BigEndian.PutUint64(batch[maxTimestampAt:], uint64(h.MaxTimestamp))
	binary.BigEndian.PutUint64(batch[producerIDAt:], uint64(h.ProducerID))
	binary.BigEndian.PutUint16(batch[producerEpochAt:], uint16(h.ProducerEpoch))
	binary.BigEndian.PutUint32(batch[baseSequenceAt:], uint32(h.BaseSequence))
	binary.BigEndian.PutUint32(batch[countAt:], uint32(h.Count))
	putCRC(batch)
}

// Size returns the whole size of the batch in bytes, header included.
func (h Header) Size() int { return LogOverhead + int(h.Length) }

// LastOffset returns the offset of the last record that the batch was built with, even if compaction removed it.
func (h Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// NextOffset returns the offset that follows the batch.
func (h Header) NextOffset() int64 { return h.LastOffset() + 1 }

// HasProducer tells whether an idempotent producer wrote the batch.
func (h Header) HasProducer() bool { return h.ProducerID > NoProducerID }

// LastSequence returns the sequence of the last record, -1 when the batch has no sequences. After 2^31-1 comes 0.
func (h Header) LastSequence() int32 {
	if h.BaseSequence == NoSequence {
		return NoSequence
	}
	return AddSequence(h.BaseSequence, h.LastOffsetDelta)
}

// AddSequence returns the sequence that comes delta records after sequence, which is at least 0; before it with a negative delta.
// After 2^31-1 comes 0.
func AddSequence(sequence, delta int32) int32 {
	return int32((int64(sequence) + int64(delta)) & math.MaxInt32)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CheckCRC compares the checksum of one whole batch, as ReadHeader found its size, with its bytes. It fails with
// ErrCorrupt.
func CheckCRC(batch []byte) error {
	if len(batch) < HeaderSize {
		return corrupt("%d bytes are too few for a header", len(batch))
	}
	want := binary.BigEndian.Uint32(batch[crcAt:])
	if got := crc32.Checksum(batch[attributesAt:], castagnoli); got != want {
		return corrupt("checksum %08x instead of %08x", got, want)
	}
	return nil
}

func putCRC(batch []byte) {
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[attributesAt:], castagnoli))
}

// PatchOffsets sets the base offset and the leader epoch of a batch in place. Both lie outside the checksum.
func PatchOffsets(batch []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(batch[baseOffsetAt:], uint64(baseOffset))
	binary.BigEndian.PutUint32(batch[leaderEpochAt:], uint32(leaderEpoch))
}

// SetLogAppendTime makes ms the timestamp of every record of the batch, in place: the attribute, the maximum timestamp
// and the checksum. The records keep the timestamps of their producer, which readers then ignore.
func SetLogAppendTime(batch []byte, ms int64) {
	batch[attributesAt+1] |= byte(attrLogAppendTime)
	setMaxTimestamp(batch, ms)
}

func setMaxTimestamp(batch []byte, ms int64) {
	binary.BigEndian.PutUint64(batch[maxTimestampAt:], uint64(ms))
	putCRC(batch)
}
