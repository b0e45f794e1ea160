package broker

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/record"
)

const (
	batchProduceVersion = 3 // from here on batches, before it message sets
	zstdProduceVersion  = 7
)

// errTransactional refuses a batch of a transaction.
var errTransactional = errors.New("transactions are not served")

// admit holds what a client sent for one partition against the rules of the protocol and of the topic, and returns the
// batch to append: the client's own bytes wherever they may stay as they are. Records are decompressed only when the
// topic's settings cannot be checked otherwise.
func admit(s *partition.Settings, version int16, records []byte, now time.Time) ([]byte, error) {
	bytesMax := decompressedMax(s)
	batch, h, err := oneBatch(version, records, bytesMax)
	if err != nil || len(batch) == 0 {
		return nil, err
	}
	if h.Attributes.Transactional() {
		return nil, errTransactional
	}
	if int64(len(batch)) > s.Log.MaxMessageBytes {
		return nil, fmt.Errorf("%w: %d bytes where max.message.bytes is %d", commitlog.ErrMessageTooLarge, len(batch), s.Log.MaxMessageBytes)
	}
	o := validation(s, now)
	if mustValidate(s, h, o) {
		if h, err = record.Validate(batch, o); err != nil {
			return nil, err
		}
	}
	if s.Recompress && h.Attributes.Codec() != s.Codec {
		return recompress(batch, h, s)
	}
	return batch, nil
}

// oneBatch returns the one batch that the records are, or that an older client's message set becomes.
func oneBatch(version int16, records []byte, bytesMax int) ([]byte, record.Header, error) {
	if version < batchProduceVersion {
		batch, err := record.UpConvert(records, record.UpOptions{MaxBytes: bytesMax, Timestamp: record.NoTimestamp})
		if err != nil || len(batch) == 0 {
			return nil, record.Header{}, err
		}
		h, err := record.Check(batch)
		return batch, h, err
	}
	if len(records) == 0 {
		return nil, record.Header{}, fmt.Errorf("%w: no batch", record.ErrInvalid)
	}
	h, err := record.Check(records)
	if err == nil && version < zstdProduceVersion && h.Attributes.Codec() == record.Zstd {
		err = fmt.Errorf("%w: zstd before version %d", record.ErrUnsupportedCodec, zstdProduceVersion)
	}
	return records, h, err
}

// validation returns what the topic demands of each record.
func validation(s *partition.Settings, now time.Time) record.ValidateOptions {
	o := record.ValidateOptions{MaxBytes: decompressedMax(s), RequireKey: s.Log.Compact}
	if !s.Log.LogAppendTime {
		o.EarliestTimestamp = now.UnixMilli() - min(s.TimestampBeforeMaxMs, now.UnixMilli())
		o.LatestTimestamp = math.MaxInt64
		if s.TimestampAfterMaxMs < math.MaxInt64-now.UnixMilli() {
			o.LatestTimestamp = now.UnixMilli() + s.TimestampAfterMaxMs
		}
	}
	return o
}

// mustValidate reports whether the records themselves have to be looked at. The header gives the largest timestamp, so
// that the usual bound, one hour after now, needs no decompression; a header that lies harms only its own topic. The
// smallest timestamp is in no header.
func mustValidate(s *partition.Settings, h record.Header, o record.ValidateOptions) bool {
	if o.RequireKey {
		return true
	}
	return !s.Log.LogAppendTime && (o.EarliestTimestamp > 0 || h.MaxTimestamp > o.LatestTimestamp)
}

// recompress builds the batch anew with the topic's codec. Producer id and sequences stay.
func recompress(batch []byte, h record.Header, s *partition.Settings) ([]byte, error) {
	o := record.BuilderOptions{Codec: s.Codec, Level: s.Level}
	if h.HasProducer() {
		o.Producer = &record.Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch, Sequence: h.BaseSequence}
	}
	b := record.NewBuilder(o)
	for r, err := range record.Records(batch, decompressedMax(s)) {
		if err != nil {
			return nil, err
		}
		b.Append(r)
	}
	return b.Bytes(), nil
}
