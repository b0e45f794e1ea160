package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// What the rooms below fail with, and what clients are told. Whether they retry follows from it.
func TestErrorsBecomeCodes(t *testing.T) {
	n := start(t)
	b := n.broker
	offline := &partition.OfflineError{Reason: errors.New("EIO")}
	unheardOf := errors.New("unheard of")
	for _, c := range []struct {
		err            error
		produce, fetch wire.Error
	}{
		{nil, wire.UnknownServerError, wire.None},
		{partition.ErrNotLeader, wire.NotLeaderOrFollower, wire.NotLeaderOrFollower},
		{partition.ErrFencedLeaderEpoch, wire.NotLeaderOrFollower, wire.FencedLeaderEpoch},
		{partition.ErrUnknownLeaderEpoch, wire.UnknownServerError, wire.UnknownLeaderEpoch},
		{partition.ErrNotEnoughReplicas, wire.NotEnoughReplicas, wire.UnknownServerError},
		{partition.ErrTimeout, wire.RequestTimedOut, wire.UnknownServerError},
		{context.Canceled, wire.RequestTimedOut, wire.UnknownServerError},
		{offline, wire.KafkaStorageError, wire.KafkaStorageError},
		{commitlog.ErrStorage, wire.KafkaStorageError, wire.KafkaStorageError},
		{commitlog.ErrNoSpace, wire.KafkaStorageError, wire.UnknownServerError},
		{commitlog.ErrClosed, wire.KafkaStorageError, wire.KafkaStorageError},
		{commitlog.ErrTruncated, wire.UnknownServerError, wire.NotLeaderOrFollower},
		{commitlog.ErrCorrupt, wire.UnknownServerError, wire.CorruptMessage},
		{commitlog.ErrInvalidBatch, wire.InvalidRecord, wire.UnknownServerError},
		{record.ErrTooLarge, wire.InvalidRecord, wire.UnknownServerError},
		{partition.ErrOffsetOutOfRange, wire.UnknownServerError, wire.OffsetOutOfRange},
		{unheardOf, wire.UnknownServerError, wire.UnknownServerError},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
			wantCode(t, fmt.Sprint("produce: ", c.err), b.produceError(err).Code(), c.produce)
		}
		wantCode(t, fmt.Sprint("fetch: ", c.err), b.fetchError(err).Code(), c.fetch)
	}
	for version, want := range map[int16]wire.Error{4: wire.LeaderNotAvailable, 5: wire.OffsetNotAvailable} {
		wantCode(t, "list offsets", b.listOffsetsError(partition.ErrOffsetNotAvailable, version).Code(), want)
	}
	n.create("t", 1)
	for version, want := range map[int16]wire.Error{0: wire.NotLeaderOrFollower, 10: wire.NotLeaderOrFollower, 11: wire.OffsetNotAvailable} {
		c := &fetchCall{b: b, req: &wire.FetchRequest{Version: version}}
		got := c.code(&fetched{partition: n.partition("t", 0)}, partition.ErrOffsetNotAvailable)
		wantCode(t, fmt.Sprint("a consumer's fetch of version ", version), got.Code(), want)
	}
	for err, want := range map[error]wire.Error{
		record.ErrUnsupportedCodec: wire.UnsupportedCompressionType, record.ErrTooLarge: wire.UnsupportedForMessageFormat,
		record.ErrInvalid: wire.UnsupportedForMessageFormat, record.ErrCorrupt: wire.CorruptMessage, partition.ErrNotLeader: wire.NotLeaderOrFollower,
	} {
		wantCode(t, fmt.Sprint("down-conversion: ", err), b.downConvertError(err).Code(), want)
	}
}
