package record

import "iter"

// Records iterates over the records of one whole batch. What it is compressed to may not decompress to more than
// maxBytes. Of an uncompressed batch, keys and values point into batch; of a compressed one, into memory of their own.
// Each range over it reads the batch anew.
//
// It yields an error as its last element: ErrCorrupt when the batch does not fit its header, ErrInvalid when its
// records cannot be read, ErrTooLarge, ErrUnsupportedCodec. The checksum is not looked at. Batches from which
// compaction has removed records are read as well.
func Records(batch []byte, maxBytes int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		h, body, err := open(batch, nil, maxBytes)
		if err != nil {
			yield(Record{}, err)
			return
		}
		w, last := walker{body: body}, int32(-1)
		var raw rawRecord
		for range h.Count {
			if err := w.nextStored(&raw, &last, h); err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(h.record(&raw), nil) {
				return
			}
		}
		if len(w.body) > 0 {
			yield(Record{}, invalid("%d bytes after the last record", len(w.body)))
		}
	}
}

// open returns the header and the decompressed records of a batch, which are appended to scratch[:0] unless they need
// no decompression.
func open(batch, scratch []byte, maxBytes int) (Header, []byte, error) {
	h, err := ReadHeader(batch)
	if err != nil {
		return Header{}, nil, err
	}
	if h.Size() != len(batch) {
		return Header{}, nil, corrupt("%d bytes instead of %d", len(batch), h.Size())
	}
	if h.Count < 0 || h.LastOffsetDelta < 0 || int64(h.Count) > int64(h.LastOffsetDelta)+1 {
		return Header{}, nil, invalid("%d records and a last offset delta of %d", h.Count, h.LastOffsetDelta)
	}
	body := batch[HeaderSize:]
	if c := h.Attributes.Codec(); c != None && h.Count > 0 {
		body, err = Decompress(c, scratch[:0], body, maxBytes)
	}
	return h, body, err
}

// nextStored reads the next record of a batch that may have gaps; last is the offset delta of the record before.
func (w *walker) nextStored(r *rawRecord, last *int32, h Header) error {
	if err := w.next(r); err != nil {
		return err
	}
	if r.offsetDelta <= *last || r.offsetDelta > h.LastOffsetDelta {
		return invalidRecord(w.index-1, "offset delta %d", r.offsetDelta)
	}
	*last = r.offsetDelta
	return nil
}

// record gives a raw record what it inherits from its batch.
func (h *Header) record(raw *rawRecord) Record {
	r := Record{
		Offset:    h.BaseOffset + int64(raw.offsetDelta),
		Timestamp: h.timestamp(raw),
		Sequence:  NoSequence,
		Key:       raw.key,
		Value:     raw.value,
	}
	if h.BaseSequence != NoSequence {
		r.Sequence = AddSequence(h.BaseSequence, raw.offsetDelta)
	}
	if raw.headerCount > 0 {
		r.Headers = raw.appendHeaders(nil)
	}
	return r
}

func (h *Header) timestamp(raw *rawRecord) int64 {
	if h.Attributes.LogAppendTime() {
		return h.MaxTimestamp
	}
	return h.BaseTimestamp + raw.timestampDelta
}
