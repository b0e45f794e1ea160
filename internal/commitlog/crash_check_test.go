package commitlog

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/logbahn/logbahn/internal/record"
)

// check compares everything that can be asked.
func (r *crashLog) check(l *Log) error {
	want := r.m.from(l.StartOffset())
	if r.compacted >= 0 {
		if err := r.checkCompacted(l); err != nil {
			return err
		}
		return r.checkProducers(l, want)
	}
	got := 0
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return err
		}
		if got == len(want) || !bytes.Equal(b, want[got].bytes) {
			h, _ := record.ReadHeader(b)
			return fmt.Errorf("batch %d is not what was appended: %+v", got, h)
		}
		got++
	}
	if got != len(want) {
		return fmt.Errorf("%d batches, want %d", got, len(want))
	}
	for _, b := range want {
		if epoch := l.EpochAt(max(b.BaseOffset, l.StartOffset())); epoch != b.LeaderEpoch {
			return fmt.Errorf("epoch %d at offset %d, want %d", epoch, b.BaseOffset, b.LeaderEpoch)
		}
	}
	return r.checkProducers(l, want)
}

// checkCompacted compares record by record: what is there must be what was written, and the last value of each key must
// be there.
func (r *crashLog) checkCompacted(l *Log) error {
	written, last := map[int64]record.Record{}, map[string]int64{}
	for _, b := range r.m.batches {
		for rec, err := range record.Records(b.bytes, 1<<20) {
			if err != nil {
				return err
			}
			written[rec.Offset], last[string(rec.Key)] = rec, rec.Offset
		}
	}
	there := map[int64]bool{}
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return err
		}
		h, _ := record.ReadHeader(b)
		if epoch := l.EpochAt(max(h.BaseOffset, l.StartOffset())); epoch != h.LeaderEpoch {
			return fmt.Errorf("epoch %d at offset %d, want %d", epoch, h.BaseOffset, h.LeaderEpoch)
		}
		for rec, err := range record.Records(b, 1<<20) {
			if err != nil {
				return err
			}
			want, ok := written[rec.Offset]
			if !ok || there[rec.Offset] || !bytes.Equal(rec.Key, want.Key) || !bytes.Equal(rec.Value, want.Value) ||
				(rec.Value == nil) != (want.Value == nil) || rec.Timestamp != want.Timestamp || rec.Sequence != want.Sequence {
				return fmt.Errorf("record %+v, want %+v", rec, want)
			}
			there[rec.Offset] = true
		}
	}
	for offset, rec := range written {
		newest := last[string(rec.Key)] == offset
		if offset >= l.StartOffset() && !there[offset] && (offset >= r.compacted || newest && rec.Value != nil) {
			return fmt.Errorf("record %d of key %x is gone", offset, rec.Key)
		}
	}
	return nil
}

// left returns the batches that must be readable: the model's, or what a compacted log has.
func (r *crashLog) left(l *Log) ([]modelBatch, error) {
	if r.compacted < 0 {
		return r.m.from(l.StartOffset()), nil
	}
	var left []modelBatch
	for b, err := range l.Batches(l.StartOffset()) {
		if err != nil {
			return nil, err
		}
		h, _ := record.ReadHeader(b)
		left = append(left, modelBatch{h, slices.Clone(b)})
	}
	return left, nil
}

func (m *model) from(start int64) []modelBatch {
	i, _ := slices.BinarySearchFunc(m.batches, start, func(b modelBatch, start int64) int {
		if b.LastOffset() < start {
			return -1
		}
		return 1
	})
	return m.batches[i:]
}

// checkProducers compares the producer state with a replay. A producer whose records are all deleted may be forgotten.
func (r *crashLog) checkProducers(l *Log, left []modelBatch) error {
	var replayed producers
	for i := range r.m.batches {
		replayed.apply(&r.m.batches[i].Header, 0)
	}
	got := l.Producers()
	for _, p := range replayed.states() {
		i := slices.IndexFunc(got, func(s ProducerState) bool { return s.ID == p.ID })
		if i < 0 && slices.ContainsFunc(left, func(b modelBatch) bool { return b.ProducerID == p.ID }) {
			return fmt.Errorf("producer %d is forgotten", p.ID)
		}
		if i >= 0 && r.compacted >= 0 {
			got[i].LastTimestamp = p.LastTimestamp // the youngest record may be gone
		}
		if i >= 0 && got[i] != p {
			return fmt.Errorf("producer %+v, want %+v", got[i], p)
		}
	}
	return nil
}

// checkReads asks for single offsets and timestamps, which go by the indexes.
func (r *crashLog) checkReads() error {
	err := r.checkIndexes(r.log)
	return r.allow(err)
}

func (r *crashLog) checkIndexes(l *Log) error {
	start := l.StartOffset()
	left, err := r.left(l)
	if err != nil || len(left) == 0 {
		return err
	}
	for range 5 {
		want := left[r.rng.IntN(len(left))]
		offset := max(start, want.BaseOffset+r.rng.Int64N(int64(want.LastOffsetDelta)+1))
		c, err := l.Read(offset, 1+r.rng.IntN(500), l.EndOffset(), true)
		if err != nil {
			return err
		}
		b, err := c.AppendTo(nil)
		c.Release()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(b, want.bytes) {
			return fmt.Errorf("read of offset %d does not begin with batch %d", offset, want.BaseOffset)
		}
		ts := want.BaseTimestamp + r.rng.Int64N(3000) - 1500
		offset, _, _, found, err := l.OffsetForTimestamp(ts, l.EndOffset())
		if err != nil {
			return err
		}
		if wanted, ok := firstAtLeast(left, ts, start); ok != found || found && wanted != offset {
			return fmt.Errorf("timestamp %d is at offset %d (%v), want %d (%v)", ts, offset, found, wanted, ok)
		}
	}
	return nil
}

func firstAtLeast(batches []modelBatch, ts, start int64) (int64, bool) {
	for _, b := range batches {
		for rec, err := range record.Records(b.bytes, 1<<20) {
			if err != nil {
				panic(err)
			}
			if rec.Timestamp >= ts && rec.Offset >= start {
				return rec.Offset, true
			}
		}
	}
	return 0, false
}
