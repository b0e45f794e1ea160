package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Log is a partition of __consumer_offsets in one leader epoch. Implementations are safe for concurrent use, and
// comparable: two are equal when they stand for the same replica in the same epoch.
type Log interface {
	// Batches iterates over all batches, up to the end at the time of the call. A batch is valid until the next.
	Batches() iter.Seq2[[]byte, error]
	// EndOffset returns the offset of the next record.
	EndOffset() int64
	// BatchBytesMax returns the size of the largest batch that Append takes now.
	BatchBytesMax() int
	// Append writes one batch, patching its offset and epoch in place, and returns the offset after its last record. It
	// fails when the epoch is over.
	Append(batch []byte) (endOffset int64, err error)
	// MayAppend returns the error with which Append would fail now, whatever the batch is; nil when that is not known.
	MayAppend() error
	// Wait returns when the high watermark has reached endOffset. It fails when the epoch is over, when the log fails, and
	// with ctx's error.
	Wait(ctx context.Context, endOffset int64) error
	// Confirmed tells whether nobody else can lead the partition yet for want of a sign of life from this broker, or because it
	// has resigned. That the epoch is not known to be over does not say so: a broker that is cut off, or that has no room for
	// the metadata, does not hear of its end.
	Confirmed() bool
}

// Errors that a Log, and Config.Lead, return. Any other error of theirs is a failing log: NOT_COORDINATOR.
var (
	// ErrNotLeader: this broker does not lead the partition, or not in the Log's epoch.
	ErrNotLeader = errors.New("not the leader of the group coordinator's partition")
	// ErrUnavailable: a condition that passes, such as too few replicas in sync.
	ErrUnavailable = errors.New("the group coordinator is not available")
)

var (
	errLoading = errors.New("the group coordinator is loading")
	errClosed  = errors.New("the group coordinator is closed")
	// errUnconfirmed: what the shard remembers may be older than what its successor has committed.
	errUnconfirmed = fmt.Errorf("%w: this broker does not hear from the controller, which may have replaced it", ErrUnavailable)
)

// isFailure tells whether the log itself has failed, which somebody has to look at.
func isFailure(err error) bool {
	return codeOf(err) == kerr.NotCoordinator.Code && !errors.Is(err, ErrNotLeader)
}

// codeOf is the code that clients get for an error of the runtime.
func codeOf(err error) int16 {
	switch {
	case errors.Is(err, errLoading):
		return kerr.CoordinatorLoadInProgress.Code
	case errors.Is(err, ErrUnavailable), errors.Is(err, errClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kerr.CoordinatorNotAvailable.Code
	}
	return kerr.NotCoordinator.Code
}
