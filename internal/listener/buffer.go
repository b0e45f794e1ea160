package listener

import (
	"math/bits"
	"sync"
)

// Buffers are pooled by powers of two. Longer ones are left to the garbage collector: they are rare, and a pool of them
// would keep what a single huge request once took.
const (
	bufferBitsMin = 10
	bufferBitsMax = 24
)

var buffers [bufferBitsMax - bufferBitsMin + 1]sync.Pool

// buffer is memory for a frame or a reply. Its owner gives it back once.
type buffer struct {
	bytes []byte
}

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), bufferBitsMin)
	if class > bufferBitsMax {
		return &buffer{bytes: make([]byte, 0, n)}
	}
	if b, ok := buffers[class-bufferBitsMin].Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, 0, 1<<class)}
}

// free puts the buffer back into the pool of the largest class that it has room for.
func (b *buffer) free() {
	class := bits.Len(uint(cap(b.bytes))) - 1
	if class < bufferBitsMin || class > bufferBitsMax {
		return
	}
	b.bytes = b.bytes[:0]
	buffers[class-bufferBitsMin].Put(b)
}

// grown returns a buffer with the same content and room for n bytes, and frees b.
func (b *buffer) grown(n int) *buffer {
	next := newBuffer(n)
	next.bytes = append(next.bytes, b.bytes...)
	b.free()
	return next
}
