package record

import "strconv"

// Codec is a compression type as the attributes of a batch name it.
type Codec int8

// The codecs that exist. Zstd came with KIP-110 and lives in version 2 batches only.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// Valid tells whether the codec exists.
func (c Codec) Valid() bool { return c >= None && c <= Zstd }

// String returns Kafka's name of the codec, as compression.type has it.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return "codec " + strconv.Itoa(int(c))
}

// Attributes are the flags of a version 2 batch.
type Attributes int16

// The bits of Attributes above the codec.
const (
	attrCodecMask     Attributes = 0x07
	attrLogAppendTime Attributes = 0x08
	attrTransactional Attributes = 0x10
	attrControl       Attributes = 0x20
	attrDeleteHorizon Attributes = 0x40
)

// Codec returns the compression type, which may be one that does not exist.
func (a Attributes) Codec() Codec { return Codec(a & attrCodecMask) }

// LogAppendTime tells whether the broker set the timestamp: all records then have the batch's MaxTimestamp.
func (a Attributes) LogAppendTime() bool { return a&attrLogAppendTime != 0 }

// Transactional tells whether the batch belongs to a transaction.
func (a Attributes) Transactional() bool { return a&attrTransactional != 0 }

// Control tells whether the batch holds a control record (a commit or abort marker, a raft record).
func (a Attributes) Control() bool { return a&attrControl != 0 }

// DeleteHorizon tells whether BaseTimestamp is the time from which compaction may drop the tombstones and markers of
// the batch (KIP-534).
func (a Attributes) DeleteHorizon() bool { return a&attrDeleteHorizon != 0 }
