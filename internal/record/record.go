package record

import "encoding/binary"

// What a batch without an idempotent producer has in the three producer fields.
const (
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
)

// Record is one record. A nil Key or Value is Kafka's null, an empty one is not.
type Record struct {
	Offset    int64
	Timestamp int64 // milliseconds since 1970; NoTimestamp when not known
	Sequence  int32 // NoSequence when the batch has no idempotent producer
	Key       []byte
	Value     []byte
	Headers   []RecordHeader
}

// RecordHeader is one header of a record. Keys may repeat; the order counts. A nil Value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// appendRecord appends the version 2 encoding of a record: its length as a varint, then its fields.
func appendRecord(dst []byte, offsetDelta int32, timestampDelta int64, r *Record) []byte {
	dst = binary.AppendVarint(dst, int64(recordBodySize(offsetDelta, timestampDelta, r)))
	dst = append(dst, 0) // attributes: none are defined
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	dst = appendNullable(dst, r.Key)
	dst = appendNullable(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for i := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(r.Headers[i].Key)))
		dst = append(dst, r.Headers[i].Key...)
		dst = appendNullable(dst, r.Headers[i].Value)
	}
	return dst
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// recordBodySize returns the size of a record's encoding without the length in front of it.
func recordBodySize(offsetDelta int32, timestampDelta int64, r *Record) int {
	n := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) + nullableSize(r.Key) + nullableSize(r.Value)
	n += varintSize(int64(len(r.Headers)))
	for i := range r.Headers {
		key := len(r.Headers[i].Key)
		n += varintSize(int64(key)) + key + nullableSize(r.Headers[i].Value)
	}
	return n
}

func nullableSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func varintSize(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
