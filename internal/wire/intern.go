package wire

import (
	"hash/maphash"
	"sync/atomic"
)

// Topic names and client ids repeat in every request. names remembers the latest string of each hash, so that decoding
// them allocates nothing in steady state. It is a cache without consequence: a collision only replaces an entry.
var (
	names     [1024]atomic.Pointer[string]
	namesSeed = maphash.MakeSeed()
)

// internMax is the longest string that is remembered: topic names have 249 bytes at most. It bounds the cache.
const internMax = 256

// intern returns b as a string that shares no memory with b. The pointer may be shared: nobody writes through it.
func intern(b []byte) *string {
	if len(b) > internMax {
		s := string(b)
		return &s
	}
	slot := &names[maphash.Bytes(namesSeed, b)%uint64(len(names))]
	if s := slot.Load(); s != nil && *s == string(b) {
		return s
	}
	s := string(b)
	slot.Store(&s)
	return &s
}
