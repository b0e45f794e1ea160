package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"
)

// A message set is messages in a row, each with its offset and size in front. A compressed message, the wrapper, holds
// another set as its value.
const (
	messageSizeMin   = 14 // of version 0 after offset and size: checksum, magic, attributes, two lengths
	messageMagicAt   = 4
	messageAttrAt    = 5
	messageFieldsAt  = 6
	messageCodecMask = 0x07
	messageLogAppend = 0x08 // version 1 only
)

// errPartial means that a set ends in the middle of a message, as a reply to a fetch may.
var errPartial = errors.New("message set ends within a message")

// message is one message of version 0 or 1; its slices point into the set.
type message struct {
	offset     int64
	timestamp  int64 // NoTimestamp in version 0
	magic      int8
	attributes byte
	key, value []byte
}

func (m *message) codec() Codec { return Codec(m.attributes & messageCodecMask) }

func (m *message) logAppendTime() bool { return m.magic == 1 && m.attributes&messageLogAppend != 0 }

// Messages iterates over the messages of a set of version 0 or 1 and over those inside its compressed messages, which
// may not decompress to more than maxBytes together. Offsets are absolute, and timestamps those that count: inside a
// compressed message with LogAppendTime, the outer one. A message that is cut off at the end of the set is left out
// silently, because a reply to a fetch may end so.
//
// It yields an error as its last element: ErrCorrupt for a wrong checksum, ErrInvalid, ErrTooLarge or
// ErrUnsupportedCodec.
func Messages(set []byte, maxBytes int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		err := eachMessage(set, maxBytes, func(m *message) error {
			r := Record{Offset: m.offset, Timestamp: m.timestamp, Sequence: NoSequence, Key: m.key, Value: m.value}
			if !yield(r, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errPartial && err != errStop {
			yield(Record{}, err)
		}
	}
}

// errStop ends eachMessage early.
var errStop = errors.New("stop")

// eachMessage visits the messages of a set, those inside compressed messages instead of these. It fails with errPartial
// at a message that is cut off.
func eachMessage(set []byte, maxBytes int, visit func(m *message) error) error {
	for len(set) > 0 {
		m, rest, err := cutMessage(set)
		if err != nil {
			return err
		}
		set = rest
		if m.codec() == None {
			err = visit(&m)
		} else {
			var n int
			n, err = eachInner(&m, maxBytes, visit)
			maxBytes -= n
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachInner visits the messages inside a compressed one and returns how many bytes they have.
func eachInner(outer *message, maxBytes int, visit func(m *message) error) (int, error) {
	c := outer.codec()
	if !c.Valid() || c == Zstd {
		return 0, unsupported(c)
	}
	set, err := Decompress(c, nil, outer.value, maxBytes)
	if err != nil {
		return 0, err
	}
	shift, err := outer.offsetShift(set)
	if err != nil {
		return 0, err
	}
	for rest := set; len(rest) > 0; {
		var m message
		if m, rest, err = cutMessage(rest); err != nil {
			return 0, wholeInside(err)
		}
		if m.codec() != None || m.magic != outer.magic {
			return 0, invalid("a message of version %d and codec %v inside one of version %d", m.magic, m.codec(), outer.magic)
		}
		m.offset += shift
		if outer.logAppendTime() {
			m.timestamp = outer.timestamp
		}
		if err := visit(&m); err != nil {
			return 0, err
		}
	}
	return len(set), nil
}

// offsetShift returns what to add to the offsets of the messages inside: in version 0 they are absolute, in version 1
// relative, and the outer offset is that of the last one (KIP-31).
func (m *message) offsetShift(set []byte) (int64, error) {
	if len(set) == 0 {
		return 0, invalid("a compressed message without messages inside")
	}
	if m.magic == 0 {
		return 0, nil
	}
	var last int64
	for len(set) > 0 {
		size, ok := messageSize(set)
		if !ok {
			return 0, wholeInside(errPartial)
		}
		last = int64(binary.BigEndian.Uint64(set))
		set = set[LogOverhead+size:]
	}
	return m.offset - last, nil
}

// wholeInside replaces errPartial: only the outermost set may be cut off.
func wholeInside(err error) error {
	if err == errPartial {
		return invalid("a message is cut off inside a compressed one")
	}
	return err
}

// messageSize returns the size of the message at the start of set, offset and size not counted, and whether all of it
// is there.
func messageSize(set []byte) (int, bool) {
	if len(set) < LogOverhead {
		return 0, false
	}
	size := int32(binary.BigEndian.Uint32(set[lengthAt:]))
	return int(size), size >= 0 && int(size) <= len(set)-LogOverhead
}

// cutMessage cuts the first message off a set and verifies its checksum.
func cutMessage(set []byte) (m message, rest []byte, err error) {
	size, whole := messageSize(set)
	if len(set) >= LogOverhead && size < messageSizeMin {
		return m, nil, corrupt("impossible message size %d", size)
	}
	if !whole {
		return m, nil, errPartial
	}
	b, rest := set[LogOverhead:LogOverhead+size], set[LogOverhead+size:]
	want := binary.BigEndian.Uint32(b)
	if got := crc32.ChecksumIEEE(b[messageMagicAt:]); got != want {
		return m, nil, corrupt("message checksum %08x instead of %08x", got, want)
	}
	m.offset = int64(binary.BigEndian.Uint64(set))
	return m, rest, m.parse(b)
}

// parse reads the fields of a message behind its checksum.
func (m *message) parse(b []byte) error {
	m.magic, m.attributes, m.timestamp = int8(b[messageMagicAt]), b[messageAttrAt], NoTimestamp
	b = b[messageFieldsAt:]
	switch {
	case m.magic == 0:
	case m.magic == 1 && len(b) >= 8:
		m.timestamp, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	default:
		return invalid("message of version %d", m.magic)
	}
	var ok1, ok2 bool
	m.key, b, ok1 = cutNullable32(b)
	m.value, b, ok2 = cutNullable32(b)
	if !ok1 || !ok2 || len(b) > 0 {
		return invalid("a message's fields do not fit its size")
	}
	return nil
}

// cutNullable32 cuts bytes with a 32-bit length in front off b; -1 stands for null.
func cutNullable32(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	if size == -1 {
		return nil, b, true
	}
	if size < 0 || int(size) > len(b) {
		return nil, nil, false
	}
	return b[:size:size], b[size:], true
}

// appendMessage appends a message with its offset, size and checksum.
func appendMessage(dst []byte, m *message) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.offset))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, byte(m.magic), m.attributes)
	if m.magic == 1 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.timestamp))
	}
	dst = appendNullable32(dst, m.key)
	dst = appendNullable32(dst, m.value)
	b := dst[at+LogOverhead:]
	binary.BigEndian.PutUint32(dst[at+lengthAt:], uint32(len(b)))
	binary.BigEndian.PutUint32(b, crc32.ChecksumIEEE(b[messageMagicAt:]))
	return dst
}

func appendNullable32(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, 1<<32-1)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
