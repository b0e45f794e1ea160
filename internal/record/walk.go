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
	size, n := varint(w.body)
	if n <= 0 || size < 0 || size > int64(len(w.body)-n) {
		return invalidRecord(w.index, "its length passes the end of the batch")
	}
	body := w.body[n : n+int(size)]
	w.body = w.body[n+int(size):]
	if !r.parse(body) {
		return invalidRecord(w.index, "its fields do not fit its length")
	}
	w.index++
	return nil
}

// parse reads the fields of a record whose encoding is exactly b.
func (r *rawRecord) parse(b []byte) bool {
	if len(b) < 1 {
		return false
	}
	var n int
	b = b[1:] // the attributes: none are defined
	if r.timestampDelta, n = varint(b); n <= 0 {
		return false
	}
	b = b[n:]
	delta, n := varint(b)
	if n <= 0 || int64(int32(delta)) != delta {
		return false
	}
	r.offsetDelta, b = int32(delta), b[n:]
	var ok bool
	if r.key, b, ok = cutNullable(b); !ok {
		return false
	}
	if r.value, b, ok = cutNullable(b); !ok {
		return false
	}
	count, n := varint(b)
	if n <= 0 || count < 0 || count > int64(len(b)) {
		return false
	}
	r.headerCount, r.headers = int32(count), b[n:]
	return validHeaders(r.headers, int(count))
}

func validHeaders(b []byte, count int) bool {
	for ; count > 0; count-- {
		key, rest, ok := cutNullable(b)
		if !ok || key == nil {
			return false
		}
		if _, b, ok = cutNullable(rest); !ok {
			return false
		}
	}
	return len(b) == 0
}

// appendHeaders appends the headers of a record that parse accepted.
func (r *rawRecord) appendHeaders(dst []RecordHeader) []RecordHeader {
	b := r.headers
	for range r.headerCount {
		key, rest, _ := cutNullable(b)
		value, rest, _ := cutNullable(rest)
		dst, b = append(dst, RecordHeader{Key: string(key), Value: value}), rest
	}
	return dst
}

// cutNullable cuts bytes with a varint length in front off b; -1 stands for null.
func cutNullable(b []byte) (field, rest []byte, ok bool) {
	size, n := varint(b)
	if n <= 0 || size < -1 || size > int64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	if size < 0 {
		return nil, b, true
	}
	return b[:size:size], b[size:], true
}

// varint is binary.Varint with a short way for what most fields need, one byte.
func varint(b []byte) (int64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return binary.Varint(b)
}
