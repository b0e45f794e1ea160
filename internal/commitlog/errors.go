package commitlog

import (
	"errors"
	"fmt"
	"syscall"
)

// The classes of errors of this package; errors.Is finds them in everything that it returns.
var (
	// ErrOffsetOutOfRange means an offset below the start or beyond the end of the log.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrOutOfOrderSequence means that batches of an idempotent producer are missing before this one.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrInvalidProducerEpoch means that a newer incarnation of the producer has written already.
	ErrInvalidProducerEpoch = errors.New("producer epoch is older than the last one seen")
	// ErrInvalidBatch means that the bytes are not whole batches that may follow the log's end.
	ErrInvalidBatch = errors.New("not appendable batches")
	// ErrMessageTooLarge means a batch of more than Config.MaxMessageBytes.
	ErrMessageTooLarge = errors.New("batch is too large")
	// ErrCorrupt means that bytes on disk are not what was written.
	ErrCorrupt = errors.New("corrupt log")
	// ErrTruncated means that what was to be read has been truncated away meanwhile.
	ErrTruncated = errors.New("truncated meanwhile")
	// ErrStorage means that the log has failed; the cause is wrapped with it.
	ErrStorage = errors.New("log has failed")
	// ErrNoSpace means that the disk was full; the log is as it was before the call.
	ErrNoSpace = errors.New("no space left")
	// ErrClosed means that the log or the directory is closed.
	ErrClosed = errors.New("log is closed")
	// ErrOpen means that the partition is open already.
	ErrOpen = errors.New("log is open already")
	// ErrLocked means that another process, or another Dir, uses the directory.
	ErrLocked = errors.New("data directory is in use")
	// ErrForeignCluster means that the directory belongs to another cluster or node.
	ErrForeignCluster = errors.New("data directory belongs to another cluster or node")
	// ErrFormat means that the directory is not one, or of a newer format.
	ErrFormat = errors.New("data directory has an unknown format")
)

// errGone means that a segment left the log after the caller had loaded the list; it loads the list again.
var errGone = errors.New("segment is gone")

// CorruptionError says where a log is corrupt. It wraps ErrCorrupt.
type CorruptionError struct {
	File     string
	Position int64 // in bytes
	Offset   int64 // the first one that cannot be trusted
	Reason   string
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s: corrupt at byte %d (offset %d): %s", e.File, e.Position, e.Offset, e.Reason)
}

func (e *CorruptionError) Unwrap() error { return ErrCorrupt }

func isCorruption(err error) bool { return errors.Is(err, ErrCorrupt) }

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
