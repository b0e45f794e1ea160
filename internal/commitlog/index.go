package commitlog

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/logbahn/logbahn/internal/record"
)

// The entries of Kafka's two index files, big endian: .index has relative offset and position, .timeindex has timestamp
// and relative offset. Offsets are those of the last record of a batch.
const (
	offsetEntryBytes = 8
	timeEntryBytes   = 12
)

// offsetEntry says that the batch at position ends with base offset + relative.
type offsetEntry struct {
	relative int32
	position int32
}

// timeEntry says that no record up to base offset + relative is younger than timestamp, which is that batch's.
type timeEntry struct {
	timestamp int64
	relative  int32
}

// indexer decides, batch by batch in the order of the log, which ones the indexes name: one after each interval of
// bytes, as Kafka's LogSegment.append does. Writers, recovery and the cleaner share it.
type indexer struct {
	base         int64
	next         int64 // offset behind the last batch
	interval     int64
	since        int64 // bytes since the last entry
	maxTimestamp int64
	maxOffset    int64 // last offset of the batch with maxTimestamp
	offsets      *growing[offsetEntry]
	times        *growing[timeEntry]
}

func newIndexer(base, interval int64) indexer {
	return indexer{
		base: base, next: base, interval: interval, maxTimestamp: record.NoTimestamp, maxOffset: base,
		offsets: new(growing[offsetEntry]), times: new(growing[timeEntry]),
	}
}

func (x *indexer) add(h *record.Header, position int64) {
	if h.MaxTimestamp > x.maxTimestamp {
		x.maxTimestamp, x.maxOffset = h.MaxTimestamp, h.LastOffset()
	}
	if relative := int32(h.LastOffset() - x.base); x.since > x.interval && relative > x.lastRelative() {
		x.offsets.append(offsetEntry{relative, int32(position)})
		x.closeTimes()
		x.since = 0
	}
	x.since += int64(h.Size())
	x.next = h.NextOffset()
}

// lastRelative is 0 for an empty index: the first batch never gets an entry, and zeros end an index file.
func (x *indexer) lastRelative() int32 {
	entries := x.offsets.view()
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].relative
}

// closeTimes names the youngest batch so far, if the time index does not yet; a segment that is left ends with it.
func (x *indexer) closeTimes() {
	entries := x.times.view()
	last := timeEntry{record.NoTimestamp, -1}
	if len(entries) > 0 {
		last = entries[len(entries)-1]
	}
	if e := (timeEntry{x.maxTimestamp, int32(x.maxOffset - x.base)}); e.timestamp > last.timestamp && e.relative > last.relative {
		x.times.append(e)
	}
}

// full tells whether one more entry would exceed the bytes that an index may have.
func (x *indexer) full(indexBytes int64) bool {
	return (x.offsets.n.Load()+1)*offsetEntryBytes > indexBytes || (x.times.n.Load()+2)*timeEntryBytes > indexBytes
}

func encodeOffsetIndex(entries []offsetEntry) []byte {
	b := make([]byte, 0, len(entries)*offsetEntryBytes)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, uint32(e.relative))
		b = binary.BigEndian.AppendUint32(b, uint32(e.position))
	}
	return b
}

func encodeTimeIndex(entries []timeEntry) []byte {
	b := make([]byte, 0, len(entries)*timeEntryBytes)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint64(b, uint64(e.timestamp))
		b = binary.BigEndian.AppendUint32(b, uint32(e.relative))
	}
	return b
}

// decodeOffsetIndex reads an .index file of a segment with size bytes. Entries must rise in both fields; the zeros that
// Kafka preallocates end the index.
func decodeOffsetIndex(b []byte, size int64) ([]offsetEntry, error) {
	if len(b)%offsetEntryBytes != 0 {
		return nil, fmt.Errorf("%w: offset index of %d bytes", ErrCorrupt, len(b))
	}
	entries := make([]offsetEntry, 0, len(b)/offsetEntryBytes)
	last := offsetEntry{relative: -1}
	for ; len(b) > 0; b = b[offsetEntryBytes:] {
		e := offsetEntry{int32(binary.BigEndian.Uint32(b)), int32(binary.BigEndian.Uint32(b[4:]))}
		if e == (offsetEntry{}) && allZero(b) {
			break
		}
		if e.relative <= last.relative || e.position <= last.position || int64(e.position) >= size {
			return nil, fmt.Errorf("%w: offset index entry %d", ErrCorrupt, len(entries))
		}
		entries, last = append(entries, e), e
	}
	return entries, nil
}

// decodeTimeIndex reads a .timeindex file.
func decodeTimeIndex(b []byte) ([]timeEntry, error) {
	if len(b)%timeEntryBytes != 0 {
		return nil, fmt.Errorf("%w: time index of %d bytes", ErrCorrupt, len(b))
	}
	entries := make([]timeEntry, 0, len(b)/timeEntryBytes)
	last := timeEntry{timestamp: record.NoTimestamp, relative: -1}
	for ; len(b) > 0; b = b[timeEntryBytes:] {
		e := timeEntry{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
		if e == (timeEntry{}) && allZero(b) {
			break
		}
		if e.timestamp <= last.timestamp || e.relative <= last.relative {
			return nil, fmt.Errorf("%w: time index entry %d", ErrCorrupt, len(entries))
		}
		entries, last = append(entries, e), e
	}
	return entries, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// floorOffset returns the last entry whose offset is at most relative.
func floorOffset(entries []offsetEntry, relative int64) (offsetEntry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return int64(entries[i].relative) > relative })
	if i == 0 {
		return offsetEntry{}, false
	}
	return entries[i-1], true
}

// floorPosition returns the last entry whose position is at most position.
func floorPosition(entries []offsetEntry, position int64) (offsetEntry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return int64(entries[i].position) > position })
	if i == 0 {
		return offsetEntry{}, false
	}
	return entries[i-1], true
}

// floorTime returns the last entry whose timestamp is below timestamp: what is at least as young comes behind it.
func floorTime(entries []timeEntry, timestamp int64) (timeEntry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].timestamp >= timestamp })
	if i == 0 {
		return timeEntry{}, false
	}
	return entries[i-1], true
}
