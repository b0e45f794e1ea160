package record

// DownOptions bound what is given to a client that knows message sets only.
type DownOptions struct {
	MaxBytes int // the most that one batch may decompress to
	// FirstOffset is the offset that the client asked for: records before it in their batch are left out.
	FirstOffset int64
	// SetBytes is the size from which no further batch is added. The first batch that has records is always converted,
	// whatever its size, so that the client can go on.
	SetBytes int
}

// DownConvert turns version 2 batches into a message set of version 0 or 1. Offsets, keys, values and nulls are kept;
// headers are dropped, in version 0 timestamps too; control batches are left out. A compressed batch becomes one
// compressed message of the same codec, in version 0 with lz4 frames as its clients expect them (KAFKA-3160). A batch that
// is cut off at the end is left out.
//
// An empty set without an error means that batches holds nothing for such a client: it must be given what follows, or
// it asks for the same offset forever. An error of a batch is returned only when nothing was converted before it, for
// the client shall have that first: ErrUnsupportedCodec for zstd, and the errors of Records.
func DownConvert(batches []byte, magic int8, o DownOptions) ([]byte, error) {
	if magic < 0 || magic > 1 {
		return nil, invalid("message sets have no version %d", magic)
	}
	var set []byte
	for len(set) == 0 || len(set) < o.SetBytes {
		batch, rest, err := cutBatch(batches)
		if err == nil && batch == nil {
			break
		}
		if err == nil {
			set, err = appendDown(set, batch, magic, o)
		}
		if err != nil && len(set) > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		batches = rest
	}
	return set, nil
}

// cutBatch cuts one whole batch off; it is nil when none is left.
func cutBatch(batches []byte) (batch, rest []byte, err error) {
	if len(batches) < HeaderSize {
		return nil, nil, nil
	}
	h, err := ReadHeader(batches)
	if err != nil || h.Size() > len(batches) {
		return nil, nil, err
	}
	return batches[:h.Size()], batches[h.Size():], nil
}

// appendDown appends one batch to a set. On error it returns the set as it was.
func appendDown(set, batch []byte, magic int8, o DownOptions) ([]byte, error) {
	h := decodeHeader(batch)
	codec := h.Attributes.Codec()
	if h.Attributes.Control() {
		return set, nil
	}
	if codec == Zstd || !codec.Valid() {
		return set, unsupported(codec)
	}
	if codec == None {
		out, _, err := appendMessages(set, batch, magic, o, false)
		if err != nil {
			return set, err
		}
		return out, nil
	}
	inner, outer, err := appendMessages(nil, batch, magic, o, magic == 1)
	if err != nil || len(inner) == 0 {
		return set, err
	}
	outer.attributes |= byte(codec)
	outer.key, outer.value = nil, compress(codec, 0, nil, inner)
	if magic == 0 && codec == LZ4 {
		outer.value[len(lz4Header)-1] = lz4OldHeaderChecksum
	}
	return appendMessage(set, &outer), nil
}

// appendMessages appends the records of a batch as messages, whose offsets count from the first one when relative. outer
// has the offset, timestamp and attributes of a message that holds them all.
func appendMessages(dst, batch []byte, magic int8, o DownOptions, relative bool) (out []byte, outer message, err error) {
	outer = message{magic: magic, timestamp: NoTimestamp}
	if magic == 1 && decodeHeader(batch).Attributes.LogAppendTime() {
		outer.attributes = messageLogAppend
	}
	base, first := int64(0), true
	for r, err := range Records(batch, o.MaxBytes) {
		if err != nil {
			return nil, outer, err
		}
		if r.Offset < o.FirstOffset {
			continue
		}
		if first && relative {
			base = r.Offset
		}
		first = false
		outer.offset, outer.timestamp = r.Offset, max(outer.timestamp, r.Timestamp)
		m := message{magic: magic, attributes: outer.attributes, offset: r.Offset - base, timestamp: r.Timestamp,
			key: r.Key, value: r.Value}
		dst = appendMessage(dst, &m)
	}
	return dst, outer, nil
}
