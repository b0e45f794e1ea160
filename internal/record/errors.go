package record

import (
	"errors"
	"fmt"
)

// The classes of errors of this package; errors.Is finds them in everything that it returns.
var (
	// ErrCorrupt means that the bytes are not what was written: a wrong checksum, a length that does not fit.
	// Kafka answers CORRUPT_MESSAGE; a client may send the same records again.
	ErrCorrupt = errors.New("corrupt record batch")
	// ErrInvalid means that the bytes arrived as sent and break a rule of the format. Kafka answers
	// INVALID_RECORD; sending them again cannot help.
	ErrInvalid = errors.New("invalid record batch")
	// ErrInvalidTimestamp means that a timestamp, or its type, is not one that a client may set here. Kafka
	// answers INVALID_TIMESTAMP.
	ErrInvalidTimestamp = errors.New("invalid timestamp")
	// ErrTooLarge means that the decompressed bytes would pass the caller's bound.
	ErrTooLarge = errors.New("decompressed records are too large")
	// ErrUnsupportedCodec means a compression type that does not exist or that the target format cannot hold.
	// Kafka answers UNSUPPORTED_COMPRESSION_TYPE.
	ErrUnsupportedCodec = errors.New("unsupported compression type")
)

// RecordError says which record of a batch broke a rule, so that the reply to a produce request can say it too
// (KIP-467). It wraps ErrInvalid or ErrInvalidTimestamp.
type RecordError struct {
	Index  int // position in the batch, from 0
	Reason string
	Err    error
}

func (e *RecordError) Error() string { return fmt.Sprintf("record %d: %s", e.Index, e.Reason) }

func (e *RecordError) Unwrap() error { return e.Err }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func invalidTimestamp(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidTimestamp, fmt.Sprintf(format, args...))
}

func unsupported(c Codec) error { return fmt.Errorf("%w: %v", ErrUnsupportedCodec, c) }

func invalidRecord(index int, format string, args ...any) error {
	return &RecordError{Index: index, Reason: fmt.Sprintf(format, args...), Err: ErrInvalid}
}
