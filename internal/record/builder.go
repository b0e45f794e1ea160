package record

import "slices"

// Producer is what an idempotent producer writes into a batch.
type Producer struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the first record
}

// BuilderOptions say what a Builder writes into the header. The zero value makes an uncompressed batch at offset 0 and
// leader epoch 0 without a producer.
type BuilderOptions struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Codec         Codec // must be valid
	Level         int   // of the codec, as in Compress; 0 is the codec's default
	Producer      *Producer
	Transactional bool
	Control       bool
	// DeleteHorizonMs, when not 0, is written as BaseTimestamp and flagged (KIP-534).
	DeleteHorizonMs int64
	// KeepOffsets makes Append honour Record.Offset instead of counting from BaseOffset, for compaction. Offsets must
	// rise, and LastOffset must be the last one of the original batch.
	KeepOffsets bool
	LastOffset  int64
}

// Builder builds one version 2 batch after another. It is not safe for concurrent use.
type Builder struct {
	o                BuilderOptions
	batch            []byte // header space, then the records as they are before compression
	compressed       []byte
	count            int32
	lastDelta        int32
	baseTimestamp    int64
	maxTimestamp     int64
	hasBaseTimestamp bool
}

// NewBuilder returns a builder for a first batch.
func NewBuilder(o BuilderOptions) *Builder {
	b := new(Builder)
	b.Reset(o)
	return b
}

// Reset starts the next batch and keeps the memory of the last one, whose Bytes are no longer valid.
func (b *Builder) Reset(o BuilderOptions) {
	batch := slices.Grow(b.batch[:0], HeaderSize)[:HeaderSize]
	*b = Builder{o: o, batch: batch, compressed: b.compressed[:0], maxTimestamp: NoTimestamp, lastDelta: -1}
	if o.DeleteHorizonMs != 0 {
		b.baseTimestamp, b.hasBaseTimestamp = o.DeleteHorizonMs, true
	}
}

// Append adds a record and copies its bytes. Offset and Sequence of r follow from its place in the batch, except for
// Offset with KeepOffsets.
func (b *Builder) Append(r Record) {
	if !b.hasBaseTimestamp {
		b.baseTimestamp, b.hasBaseTimestamp = r.Timestamp, true
	}
	b.lastDelta++
	if b.o.KeepOffsets {
		b.lastDelta = int32(r.Offset - b.o.BaseOffset)
	}
	b.maxTimestamp = max(b.maxTimestamp, r.Timestamp)
	b.count++
	b.batch = appendRecord(b.batch, b.lastDelta, r.Timestamp-b.baseTimestamp, &r)
}

// Count returns the number of records appended since the last Reset.
func (b *Builder) Count() int { return int(b.count) }

// Size returns the size of the batch before compression, in bytes.
func (b *Builder) Size() int { return len(b.batch) }

// Bytes returns the batch, valid until the next Reset. It may be called again after more records are appended.
func (b *Builder) Bytes() []byte {
	batch := b.batch
	if b.o.Codec != None && b.count > 0 {
		b.compressed = append(b.compressed[:0], b.batch[:HeaderSize]...)
		b.compressed = compress(b.o.Codec, b.o.Level, b.compressed, b.batch[HeaderSize:])
		batch = b.compressed
	}
	PutHeader(batch, b.header())
	return batch
}

func (b *Builder) header() Header {
	h := Header{
		BaseOffset:      b.o.BaseOffset,
		LeaderEpoch:     b.o.LeaderEpoch,
		Attributes:      b.attributes(),
		LastOffsetDelta: b.lastDelta,
		BaseTimestamp:   NoTimestamp,
		MaxTimestamp:    b.maxTimestamp,
		ProducerID:      NoProducerID,
		ProducerEpoch:   NoProducerEpoch,
		BaseSequence:    NoSequence,
		Count:           b.count,
	}
	if b.hasBaseTimestamp {
		h.BaseTimestamp = b.baseTimestamp
	}
	if b.o.KeepOffsets {
		h.LastOffsetDelta = int32(b.o.LastOffset - b.o.BaseOffset)
	}
	if p := b.o.Producer; p != nil {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = p.ID, p.Epoch, p.Sequence
	}
	return h
}

func (b *Builder) attributes() Attributes {
	a := Attributes(b.o.Codec)
	if b.count == 0 {
		a = 0
	}
	if b.o.Transactional {
		a |= attrTransactional
	}
	if b.o.Control {
		a |= attrControl
	}
	if b.o.DeleteHorizonMs != 0 {
		a |= attrDeleteHorizon
	}
	return a
}
