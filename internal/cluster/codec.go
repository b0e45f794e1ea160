package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Errors of ParseChanges.
var (
	// ErrNewerVersion means that the bytes hold what only a newer version of the program understands.
	ErrNewerVersion = errors.New("the cluster's metadata needs a newer version of this program")
	// ErrMalformed means that the bytes are no list of changes.
	ErrMalformed = errors.New("malformed metadata")
)

// formatVersion is the first byte of a list of changes.
const formatVersion = 1

// The kinds of changes. A kind is never reused; a change whose encoding grows gets a new version.
const (
	kindRegisterBroker uint64 = 1 + iota
	kindSetBrokerState
	kindUnregisterBroker
	kindReserveBrokerEpochs
	kindCreateTopic
	kindDeleteTopic
	kindCreatePartitions
	kindChangePartition
	kindSetConfig
	kindAllocateProducerIDs
	kindClearELR
)

// decoders has one function per kind, and the newest version that it reads.
var decoders = map[uint64]struct {
	version uint64
	decode  func(r *reader, version uint64) Change
}{
	kindRegisterBroker:      {1, decodeRegisterBroker},
	kindSetBrokerState:      {1, decodeSetBrokerState},
	kindUnregisterBroker:    {0, decodeUnregisterBroker},
	kindReserveBrokerEpochs: {0, decodeReserveBrokerEpochs},
	kindCreateTopic:         {1, decodeCreateTopic},
	kindDeleteTopic:         {0, decodeDeleteTopic},
	kindCreatePartitions:    {1, decodeCreatePartitions},
	kindChangePartition:     {1, decodeChangePartition},
	kindSetConfig:           {0, decodeSetConfig},
	kindAllocateProducerIDs: {0, decodeAllocateProducerIDs},
	kindClearELR:            {0, decodeClearELR},
}

// AppendChanges appends the encoding of a list of changes to dst.
func AppendChanges(dst []byte, changes []Change) []byte {
	w := writer{append(dst, formatVersion)}
	w.uvarint(uint64(len(changes)))
	var body writer
	for _, c := range changes {
		body.b = body.b[:0]
		c.encode(&body)
		w.uvarint(c.kind())
		w.uvarint(c.version())
		w.bytes(body.b)
	}
	return w.b
}

// ParseChanges reads what AppendChanges wrote. What it allocates is in proportion to len(b), whatever b holds. Nothing
// it returns aliases b. Errors wrap ErrNewerVersion or ErrMalformed.
func ParseChanges(b []byte) ([]Change, error) {
	r := reader{b: b}
	if v := r.byte(); r.err == nil && v != formatVersion {
		return nil, fmt.Errorf("%w: list of changes in format %d", ErrNewerVersion, v)
	}
	changes := make([]Change, 0, r.count(3))
	for range cap(changes) {
		c, err := parseChange(&r)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return changes, nil
}

func parseChange(r *reader) (Change, error) {
	kind, version, body := r.uvarint(), r.uvarint(), r.bytes()
	if r.err != nil {
		return nil, r.err
	}
	d, ok := decoders[kind]
	if !ok || version > d.version {
		return nil, fmt.Errorf("%w: change of kind %d, version %d", ErrNewerVersion, kind, version)
	}
	in := reader{b: body}
	c := d.decode(&in, version)
	if err := in.end(); err != nil {
		return nil, fmt.Errorf("change of kind %d: %w", kind, err)
	}
	return c, nil
}

// writer appends: varints (signed ones zig-zag), and strings and lists behind their length.
type writer struct{ b []byte }

func (w *writer) uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) varint(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) uuid(id UUID)     { w.b = append(w.b, id[:]...) }

func (w *writer) bytes(p []byte) {
	w.uvarint(uint64(len(p)))
	w.b = append(w.b, p...)
}

func (w *writer) string(s string) {
	w.uvarint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	w.b = append(w.b, b)
}

func (w *writer) nodes(list []NodeID) {
	w.uvarint(uint64(len(list)))
	for _, id := range list {
		w.varint(int64(id))
	}
}

// reader takes apart what writer wrote. After the first error it returns zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	r.b = nil
}

// end returns the first error; bytes that nobody asked for are one.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Sprintf("%d bytes left over", len(r.b)))
	}
	return r.err
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail("it ends too early")
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail("a truth value that is neither 0 nor 1")
	}
	return v == 1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("a number that does not end")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("a number that does not end")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 { return int32(r.within(math.MinInt32, math.MaxInt32)) }

func (r *reader) within(least, most int64) int64 {
	v := r.varint()
	if v < least || v > most {
		r.fail("a number out of its range")
		return 0
	}
	return v
}

// count reads the length of a list whose elements take at least size bytes each, so that nobody allocates for elements
// that cannot be there.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail("a list longer than its bytes")
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte  { return r.take(r.count(1)) }
func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) uuid() (id UUID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) nodes() []NodeID {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	list := make([]NodeID, n)
	for i := range list {
		list[i] = r.int32()
	}
	return list
}
