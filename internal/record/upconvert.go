package record

// UpOptions say how a message set becomes a batch.
type UpOptions struct {
	MaxBytes int // the most that the set's compressed messages may decompress to, together
	// Timestamp is given to messages of version 0, which have none: NoTimestamp, as Kafka does, or the time of arrival.
	Timestamp int64
	Level     int // of the codec, as in Compress
}

// UpConvert turns the message set of a client older than 0.11 into one version 2 batch at offset 0: keys, values, nulls
// and timestamps are kept, the codec is that of the last compressed message. An empty set gives a nil batch. The batch
// satisfies Check; what a topic demands of records is left to Validate.
//
// It fails with ErrCorrupt for a wrong checksum or a set that ends within a message (it could not be acknowledged), with
// ErrInvalid, with ErrInvalidTimestamp for a set that claims LogAppendTime, with ErrTooLarge, or with ErrUnsupportedCodec.
func UpConvert(set []byte, o UpOptions) ([]byte, error) {
	codec, err := setCodec(set)
	if err != nil || len(set) == 0 {
		return nil, err
	}
	b := NewBuilder(BuilderOptions{Codec: codec, Level: o.Level})
	err = eachMessage(set, o.MaxBytes, func(m *message) error {
		ts := m.timestamp
		if m.magic == 0 {
			ts = o.Timestamp
		}
		b.Append(Record{Timestamp: ts, Key: m.key, Value: m.value})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// setCodec walks over the outer messages of a set and returns the codec of the last compressed one.
func setCodec(set []byte) (codec Codec, err error) {
	for len(set) > 0 {
		m, rest, err := cutMessage(set)
		if err == errPartial {
			return None, corrupt("%v", err)
		}
		if err != nil {
			return None, err
		}
		if m.logAppendTime() {
			return None, invalidTimestamp("clients may not set the type LogAppendTime")
		}
		if c := m.codec(); c != None {
			codec = c
		}
		set = rest
	}
	return codec, nil
}
