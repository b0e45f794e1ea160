package record

import "encoding/binary"

// rawRecord is a record as it lies in a batch; its slices point into the batch.
type rawRecord struct {
	timestampDelta int64
	offsetDelta    int32
	headerCount    int32
	key, value     []byte
	headers        []byte // the encoding of all headers
}

// walker reads the records of a decompressed batch one after the other, without allocation.
type walker struct {
	body  []byte // what is not read yet
	index int
}

// next reads the next record. It fails with a RecordError.
func (w *walker) next(r *rawRecord) error {
	size, n := varint(w.body, 0)
	if size < 0 || size > int64(len(w.body)-n) {
		return invalidRecord(w.index, "its length passes the end of the batch")
	}
	end := n + int(size)
	if !r.parse(w.body[n:end]) {
		return invalidRecord(w.index, "its fields do not fit its length")
	}
	w.body = w.body[end:]
	w.index++
	return nil
}

// parse reads the fields of a record whose encoding is exactly b.
func (r *rawRecord) parse(b []byte) bool {
	// Byte 0 has the attributes: none are defined. A position past the end stands for bytes that do not parse, up to the
	// last field, which then fails.
	timestampDelta, at := varint(b, 1)
	offsetDelta, at := varint(b, at)
	key, at := field(b, at)
	value, at := field(b, at)
	count, at := varint(b, at)
	if at > len(b) || int64(int32(offsetDelta)) != offsetDelta || count < 0 || count > int64(len(b)) {
		return false
	}
	r.timestampDelta, r.offsetDelta = timestampDelta, int32(offsetDelta)
	r.key, r.value = key, value
	r.headerCount, r.headers = int32(count), b[at:]
	return validHeaders(r.headers, int(count))
}

func validHeaders(b []byte, count int) bool {
	at := 0
	for ; count > 0; count-- {
		var key []byte
		if key, at = field(b, at); key == nil {
			return false
		}
		_, at = field(b, at)
	}
	return at == len(b)
}

// appendHeaders appends the headers of a record that parse accepted.
func (r *rawRecord) appendHeaders(dst []RecordHeader) []RecordHeader {
	at := 0
	for range r.headerCount {
		var key, value []byte
		key, at = field(r.headers, at)
		value, at = field(r.headers, at)
		dst = append(dst, RecordHeader{Key: string(key), Value: value})
	}
	return dst
}

// field reads bytes with a varint length in front at b[at:], -1 for null, and returns where they end. The end is past
// len(b) when they do not fit, or when at is.
func field(b []byte, at int) ([]byte, int) {
	size, at := varint(b, at)
	if size < 0 {
		if size == -1 {
			return nil, at
		}
		return nil, len(b) + 1
	}
	if size > int64(len(b)-at) {
		return nil, len(b) + 1
	}
	end := at + int(size)
	return b[at:end:end], end
}

// varint reads a zigzag varint at b[at:] and returns where it ends, or len(b)+1 when it does not fit. Lengths and deltas
// mostly have one or two bytes.
func varint(b []byte, at int) (int64, int) {
	if uint(at)+1 < uint(len(b)) {
		u := uint64(b[at])
		if u < 0x80 {
			return int64(u>>1) ^ -int64(u&1), at + 1
		}
		if next := uint64(b[at+1]); next < 0x80 {
			u = u&0x7f | next<<7
			return int64(u>>1) ^ -int64(u&1), at + 2
		}
	}
	return longVarint(b, at)
}

func longVarint(b []byte, at int) (int64, int) {
	if at >= len(b) {
		return 0, len(b) + 1
	}
	v, n := binary.Varint(b[at:])
	if n <= 0 {
		return 0, len(b) + 1
	}
	return v, at + n
}
