package record

import (
	"fmt"
	"sync"
)

// ValidateOptions say what a topic demands of each record.
type ValidateOptions struct {
	MaxBytes   int  // the most that the records may decompress to
	RequireKey bool // the topic is compacted
	// EarliestTimestamp and LatestTimestamp bound the records' timestamps, both inclusive; NoTimestamp records pass.
	// They are not looked at when both are 0, as for topics with LogAppendTime.
	EarliestTimestamp int64
	LatestTimestamp   int64
}

// recordErrorsMax bounds what one bad batch can make a reply carry.
const recordErrorsMax = 100

// RecordErrors holds the first 100 records of a batch that broke a rule of their topic.
type RecordErrors []*RecordError

func (e RecordErrors) Error() string { return fmt.Sprintf("%d invalid records: %v", len(e), e[0]) }

// Unwrap lets errors.Is and errors.As find the records' errors.
func (e RecordErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// Validate looks into a batch that passed Check: it decompresses it, walks over the records, and holds them against the
// topic's rules. It repairs MaxTimestamp in place as Check does, for compressed batches too, and returns the header as
// it then is. Records that break a rule of the topic fail with RecordErrors; the other errors are those of Check and
// ErrTooLarge.
func Validate(batch []byte, o ValidateOptions) (Header, error) {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	h, body, err := open(batch, *scratch, o.MaxBytes)
	if err != nil {
		return Header{}, err
	}
	if h.Attributes.Codec() != None && h.Count > 0 { // else it is the batch's own memory
		*scratch = reusable(body)
	}
	w := walker{body: body}
	latest, err := checkRecords(&w, h)
	if err != nil {
		return Header{}, err
	}
	if bad := o.check(body, &h); len(bad) > 0 {
		return Header{}, bad
	}
	repairMaxTimestamp(batch, &h, latest)
	return h, nil
}

// check holds records that can be read against the rules.
func (o *ValidateOptions) check(body []byte, h *Header) (bad RecordErrors) {
	if !o.RequireKey && !o.boundsTimestamps() {
		return nil
	}
	w := walker{body: body}
	var r rawRecord
	for i := 0; i < int(h.Count) && len(bad) < recordErrorsMax; i++ {
		if w.next(&r) != nil {
			break
		}
		if err := o.checkRecord(i, &r, h); err != nil {
			bad = append(bad, err)
		}
	}
	return bad
}

func (o *ValidateOptions) boundsTimestamps() bool {
	return o.EarliestTimestamp != 0 || o.LatestTimestamp != 0
}

func (o *ValidateOptions) checkRecord(i int, r *rawRecord, h *Header) *RecordError {
	if o.RequireKey && r.key == nil {
		return &RecordError{Index: i, Reason: "a compacted topic needs a key", Err: ErrInvalid}
	}
	ts := h.timestamp(r)
	if o.boundsTimestamps() && ts != NoTimestamp && (ts < o.EarliestTimestamp || ts > o.LatestTimestamp) {
		reason := fmt.Sprintf("timestamp %d is not between %d and %d", ts, o.EarliestTimestamp, o.LatestTimestamp)
		return &RecordError{Index: i, Reason: reason, Err: ErrInvalidTimestamp}
	}
	return nil
}

// scratches holds memory for decompression whose content nobody keeps.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const scratchBytesMax = 4 << 20

// reusable returns the memory to keep after a decompression into it: none when it has grown beyond what is usual.
func reusable(b []byte) []byte {
	if cap(b) > scratchBytesMax {
		return nil
	}
	return b[:0]
}
