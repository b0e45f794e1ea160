package wire

import (
	"encoding/binary"
	"math"
)

// reader takes primitives off the front of a message. Once bytes run out or a length is impossible it is bad, has
// nothing left, and returns zeros: loops over counts that were checked end by themselves. It never allocates but for
// strings.
type reader struct {
	src      []byte
	flexible bool // compact lengths (KIP-482)
	bad      bool
}

func (r *reader) fail() {
	r.src, r.bad = nil, true
}

// span takes n bytes. It keeps appends of the caller from running into what follows.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail()
		return nil
	}
	s := r.src[:n:n]
	r.src = r.src[n:]
	return s
}

func (r *reader) int8() int8 {
	if s := r.span(1); s != nil {
		return int8(s[0])
	}
	return 0
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

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.span(16))
	return id
}

// uvarint takes at most five bytes and 32 bits.
func (r *reader) uvarint() uint32 {
	var x uint32
	for i, b := range r.src {
		if i == 4 && b > 0x0f {
			break
		}
		x |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.src = r.src[i+1:]
			return x
		}
	}
	r.fail()
	return 0
}

// length takes the length that precedes strings (short), bytes and arrays. -1 is null; anything else negative is bad, as
// is more than the remaining bytes, since nothing that has a length is smaller than a byte. A compact length may be larger than
// the two bytes of before, and strings none the longer: Kafka's clients do not read what they could not have written.
func (r *reader) length(short bool) int {
	var n int
	switch {
	case r.flexible:
		n = int(r.uvarint()) - 1
	case short:
		n = int(r.int16())
	default:
		n = int(r.int32())
	}
	if r.bad || n < -1 || n > len(r.src) || short && n > math.MaxInt16 {
		r.fail()
		return 0
	}
	return n
}

// arrayLength takes the length of an array that may not be null.
func (r *reader) arrayLength() int {
	n := r.length(false)
	if n < 0 {
		r.fail()
		return 0
	}
	return n
}

// bytes takes nullable bytes, which alias the source. They are not nil unless null.
func (r *reader) bytes() []byte {
	n := r.length(false)
	if n < 0 {
		return nil
	}
	return r.span(n)
}

// rawString takes a string as bytes of the source; nil is null.
func (r *reader) rawString() []byte {
	n := r.length(true)
	if n < 0 {
		return nil
	}
	return r.span(n)
}

// string takes a string that may not be null.
func (r *reader) string() string {
	b := r.rawString()
	if b == nil {
		r.fail()
		return ""
	}
	return *intern(b)
}

func (r *reader) nullableString() *string {
	b := r.rawString()
	if b == nil {
		return nil
	}
	return intern(b)
}

// clientID takes the client id of a request header, which is never compact.
func (r *reader) clientID() *string {
	flexible := r.flexible
	r.flexible = false
	id := r.nullableString()
	r.flexible = flexible
	return id
}

// tag takes the number of a tagged field and a reader of its value.
func (r *reader) tag() (uint32, reader) {
	number := r.uvarint()
	value := r.span(r.lengthOfTag())
	return number, reader{src: value, flexible: true, bad: r.bad}
}

func (r *reader) lengthOfTag() int {
	n := r.uvarint()
	if int64(n) > int64(len(r.src)) {
		r.fail()
		return 0
	}
	return int(n)
}

// tagCount takes the number of tagged fields. Each takes two bytes at least.
func (r *reader) tagCount() int {
	n := r.uvarint()
	if int64(n)*2 > int64(len(r.src)) {
		r.fail()
		return 0
	}
	return int(n)
}

// skipTags passes over tagged fields without looking at them.
func (r *reader) skipTags() {
	for n := r.tagCount(); n > 0; n-- {
		r.tag()
	}
}

// skipTagsIfFlexible ends a struct that has no tagged field that is known.
func (r *reader) skipTagsIfFlexible() {
	if r.flexible {
		r.skipTags()
	}
}
