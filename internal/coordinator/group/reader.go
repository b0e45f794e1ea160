package group

import (
	"encoding/binary"
	"slices"
)

// reader reads Kafka's primitive types off a record. After the first malformed field it is bad and returns zeros; it
// never allocates more than the record is long.
type reader struct {
	b        []byte
	flexible bool // compact lengths
	bad      bool
}

func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) int16() int16 {
	if s := r.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (r *reader) int32() int32 {
	if s := r.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

func (r *reader) int64() int64 {
	if s := r.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<32 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a length or count as the version writes it; -1 stands for null.
func (r *reader) length(fixed func() int) int {
	if r.flexible {
		return int(r.uvarint()) - 1
	}
	return fixed()
}

func (r *reader) nullableString() (s string, ok bool) {
	n := r.length(func() int { return int(r.int16()) })
	if n == -1 && !r.bad {
		return "", false
	}
	return string(r.span(n)), !r.bad
}

func (r *reader) string() string {
	s, ok := r.nullableString()
	r.bad = r.bad || !ok
	return s
}

// bytes returns a copy: records outlive the buffer they are read from.
func (r *reader) bytes() []byte {
	n := r.length(func() int { return int(r.int32()) })
	if n == -1 {
		return []byte{}
	}
	return slices.Clone(r.span(n))
}

// count reads the length of an array whose elements take at least elementBytes each.
func (r *reader) count(elementBytes int) int {
	n := r.length(func() int { return int(r.int32()) })
	if n > len(r.b)/elementBytes {
		r.bad, r.b = true, nil
		return 0
	}
	return max(n, 0)
}

// tags passes every tagged field to visit, which may be nil.
func (r *reader) tags(visit func(tag uint64, value []byte)) {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag := r.uvarint()
		value := r.span(int(r.uvarint()))
		if visit != nil && !r.bad {
			visit(tag, value)
		}
	}
}
