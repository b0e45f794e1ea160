package commitlog

import (
	"crypto/sha256"
	"encoding/binary"
)

// keyTable holds the last offset of each key of the part of a log that is being compacted, as a hash of the key: two
// keys with the same 128 bits of SHA-256 are not expected, not even of somebody who tries.
type keyTable struct {
	slots    []keySlot
	used     int
	slotsMax int
}

type keySlot struct {
	hash   [2]uint64
	offset int64 // plus one: 0 is a free slot
}

const (
	keySlotBytes  = 24
	keySlotsFirst = 1 << 10
)

// newKeyTable returns a table that takes up to about bytesMax, in slots a power of two.
func newKeyTable(bytesMax int64) *keyTable {
	n := keySlotsFirst
	for int64(2*n*keySlotBytes) <= bytesMax {
		n *= 2
	}
	return &keyTable{slots: make([]keySlot, keySlotsFirst), slotsMax: n}
}

// room tells whether n more keys fit.
func (t *keyTable) room(n int) bool { return t.used+n <= t.slotsMax/4*3 }

func hashKey(key []byte) [2]uint64 {
	sum := sha256.Sum256(key)
	return [2]uint64{binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// find returns the slot of a hash, or the free one where it belongs.
func (t *keyTable) find(hash [2]uint64) *keySlot {
	for i := hash[0]; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.offset == 0 || s.hash == hash {
			return s
		}
	}
}

// put notes that key was written at offset. Offsets rise.
func (t *keyTable) put(key []byte, offset int64) {
	if t.used >= len(t.slots)/4*3 && len(t.slots) < t.slotsMax {
		t.grow()
	}
	hash := hashKey(key)
	s := t.find(hash)
	if s.offset == 0 {
		t.used++
	}
	s.hash, s.offset = hash, offset+1
}

func (t *keyTable) grow() {
	old := t.slots
	t.slots = make([]keySlot, 2*len(old))
	for _, s := range old {
		if s.offset != 0 {
			*t.find(s.hash) = s
		}
	}
}

// superseded tells whether key was written again behind offset.
func (t *keyTable) superseded(key []byte, offset int64) bool {
	s := t.find(hashKey(key))
	return s.offset != 0 && s.offset-1 > offset
}
