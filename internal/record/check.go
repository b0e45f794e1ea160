package record

// Check verifies what every batch that a client produces must satisfy, without decompressing it, and returns its header.
// batch must be exactly one batch.
func Check(batch []byte) (Header, error) {
	h, err := CheckInternal(batch)
	if err != nil {
		return Header{}, err
	}
	switch {
	case h.Attributes.Control():
		return Header{}, invalid("clients may not write control records")
	case h.BaseOffset != 0:
		return Header{}, invalid("base offset %d instead of 0", h.BaseOffset)
	case h.Attributes.LogAppendTime():
		return Header{}, ErrInvalidTimestamp
	}
	return h, nil
}

// CheckInternal is Check for the broker's own batches, which may be control batches and have any base offset.
func CheckInternal(batch []byte) (Header, error) {
	h, err := ReadHeader(batch)
	if err != nil {
		return Header{}, err
	}
	if h.Size() != len(batch) {
		return Header{}, corrupt("length %d instead of %d", h.Size(), len(batch))
	}
	if err := CheckCRC(batch); err != nil {
		return Header{}, err
	}
	return h, nil
}
