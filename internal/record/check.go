package record

// Check verifies what every batch that a client produces must satisfy: one batch of version 2 and no byte more, the
// checksum, a codec that exists, counts and sequences, base offset 0, no control records, timestamps set by the
// producer. It never decompresses. The records of an uncompressed batch are walked over as well: their lengths must fill
// it exactly, and their offset deltas run from 0 to LastOffsetDelta. Keys, values and headers are left to Validate, because
// parsing them costs several times the checksum where records are small.
//
// As Kafka does, it repairs one thing, in place: the MaxTimestamp of an uncompressed batch that is not the largest of
// its records. It does not allocate unless it fails. The caller decides about transactional batches (see
// Attributes.Transactional), about the size, and whether to Validate.
//
// It fails with ErrCorrupt, ErrInvalid (a RecordError where one record is to blame), ErrInvalidTimestamp or
// ErrUnsupportedCodec.
func Check(batch []byte) (Header, error) {
	h, err := checkEnvelope(batch)
	if err != nil {
		return Header{}, err
	}
	if err := checkClient(h); err != nil {
		return Header{}, err
	}
	return h, checkBody(batch, &h)
}

// CheckInternal is Check for the broker's own batches, which may be control batches and have any base offset and
// timestamp type.
func CheckInternal(batch []byte) (Header, error) {
	h, err := checkEnvelope(batch)
	if err != nil {
		return Header{}, err
	}
	return h, checkBody(batch, &h)
}

// checkEnvelope verifies the header of a batch that has just been built, and the checksum.
func checkEnvelope(batch []byte) (Header, error) {
	if len(batch) > magicAt && int8(batch[magicAt]) >= 0 && batch[magicAt] < Magic {
		return Header{}, invalid("a message set of version %d", batch[magicAt])
	}
	h, err := ReadHeader(batch)
	if err != nil {
		return Header{}, err
	}
	if h.Size() > len(batch) {
		return Header{}, corrupt("%d of %d bytes", len(batch), h.Size())
	}
	if h.Size() < len(batch) {
		return Header{}, invalid("more than one batch")
	}
	if err := CheckCRC(batch); err != nil {
		return Header{}, err
	}
	return h, checkHeader(h)
}

func checkHeader(h Header) error {
	if !h.Attributes.Codec().Valid() {
		return unsupported(h.Attributes.Codec())
	}
	if h.Count <= 0 || int64(h.Count) != int64(h.LastOffsetDelta)+1 {
		return invalid("%d records and a last offset delta of %d", h.Count, h.LastOffsetDelta)
	}
	// The markers that end a transaction have a producer and no sequence.
	if h.HasProducer() && (h.ProducerEpoch < 0 || h.BaseSequence < 0 && !h.Attributes.Control()) {
		return invalid("producer %d with epoch %d and sequence %d", h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	if h.Attributes.Transactional() && !h.HasProducer() {
		return invalid("transactional without a producer id")
	}
	return nil
}

func checkClient(h Header) error {
	switch {
	case h.Attributes.Control():
		return invalid("clients may not write control records")
	case h.Attributes.DeleteHorizon():
		return invalid("clients may not set a delete horizon")
	case h.BaseOffset != 0:
		return invalid("base offset %d instead of 0", h.BaseOffset)
	case h.Attributes.LogAppendTime():
		return invalidTimestamp("clients may not set the type LogAppendTime")
	}
	return nil
}

// checkBody skims the records of an uncompressed batch and repairs MaxTimestamp.
func checkBody(batch []byte, h *Header) error {
	if h.Attributes.Codec() != None {
		return nil
	}
	body := batch[HeaderSize:]
	latest, ok := skim(body, *h)
	if !ok {
		if _, err := checkRecords(&walker{body: body}, *h); err != nil {
			return err
		}
		return invalid("the records do not fill the batch")
	}
	repairMaxTimestamp(batch, h, latest)
	return nil
}

// skim walks over all records as checkRecords does, but reads only their lengths and deltas.
func skim(body []byte, h Header) (latest int64, ok bool) {
	const sizeMin = 3 // attributes and the two deltas
	latest = NoTimestamp
	at := 0
	for i := range h.Count {
		size, start := varint(body, at)
		if size < sizeMin || size > int64(len(body)-start) {
			return 0, false
		}
		at = start + int(size)
		timestampDelta, p := varint(body, start+1)
		offsetDelta, p := varint(body, p)
		if offsetDelta != int64(i) || p > at {
			return 0, false
		}
		latest = max(latest, h.BaseTimestamp+timestampDelta)
	}
	return latest, at == len(body)
}

// checkRecords walks over all records, fields included, and returns the largest timestamp.
func checkRecords(w *walker, h Header) (latest int64, err error) {
	var r rawRecord
	latest = NoTimestamp
	for i := range h.Count {
		if err := w.next(&r); err != nil {
			return 0, err
		}
		if r.offsetDelta != i {
			return 0, invalidRecord(int(i), "offset delta %d", r.offsetDelta)
		}
		latest = max(latest, h.BaseTimestamp+r.timestampDelta)
	}
	if len(w.body) > 0 {
		return 0, invalid("%d bytes after the last record", len(w.body))
	}
	return latest, nil
}

// repairMaxTimestamp sets what the records say, except where the field means something else.
func repairMaxTimestamp(batch []byte, h *Header, latest int64) {
	if h.Attributes.LogAppendTime() || h.MaxTimestamp == latest {
		return
	}
	setMaxTimestamp(batch, latest)
	*h = decodeHeader(batch)
}
