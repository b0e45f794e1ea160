package commitlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/record"
)

// modelBatch is a batch that was appended, as it must be read again.
type modelBatch struct {
	record.Header
	bytes []byte
}

// model is what a log must hold. The batches up to durable survive everything, those up to written the end of the process,
// until the power fails; of those behind it a crash may leave any prefix.
type model struct {
	batches  []modelBatch
	durable  int64
	written  int64
	start    int64 // certain
	startMax int64 // asked for, perhaps not done
	end      int64 // where the log goes on when there are no batches
	resetTo  int64 // a reset that may or may not have happened; -1
	marked   int64 // the high watermark is at most this
}

type modelProducer struct {
	id       int64
	epoch    int16
	sequence int32
}

// crashLog is one log of a run, with the clients that write to it.
type crashLog struct {
	*crashRun
	tp        TopicPartition
	id        [16]byte
	log       *Log // nil while it is not open
	config    Config
	epoch     int32
	producers []modelProducer
	compacted int64 // records below may be gone if there are newer ones of their key; -1 without compaction
	m         model
	refused   []byte // the last batch that a full disk refused; until the next sync a crash may bring it back
}

func newCrashLog(r *crashRun, index int32) *crashLog {
	l := &crashLog{crashRun: r, tp: TopicPartition{"crash", index}, epoch: 1, m: model{resetTo: -1}, compacted: -1}
	l.config = DefaultConfig()
	l.config.SegmentBytes = []int64{400, 1000, 5000, 100000}[r.rng.IntN(4)]
	l.config.IndexIntervalBytes = []int64{0, 150, 1000}[r.rng.IntN(3)]
	l.config.RetentionBytes = []int64{-1, 3000}[r.rng.IntN(2)]
	l.config.RetentionMs = []int64{-1, 4000}[r.rng.IntN(2)]
	l.config.SegmentMs = []int64{3000, 1 << 40}[r.rng.IntN(2)]
	l.config.IndexBytes = []int64{24, 10 << 20}[r.rng.IntN(2)]
	l.config.PreallocateBytes, l.config.FileDeleteDelayMs = 0, []int64{0, 60_000}[r.rng.IntN(2)]
	if r.rng.IntN(3) == 0 {
		l.config.Compact, l.config.Delete, l.config.MinCleanableRatio, l.config.DeleteRetentionMs = true, false, 0, 2000
	}
	l.config.LogAppendTime = r.rng.IntN(4) == 0
	for i := range 3 {
		l.producers = append(l.producers, modelProducer{id: int64(100 + i)})
	}
	l.renew()
	return l
}

// renew makes the model one of a new topic of the same name.
func (r *crashLog) renew() {
	r.topics++
	binary.BigEndian.PutUint64(r.id[:], uint64(r.topics)*0x9e3779b97f4a7c15) // far from each other, as ids are
	r.log, r.m, r.refused, r.epoch, r.compacted = nil, model{resetTo: -1}, nil, 1, -1
	if r.config.Compact {
		r.compacted = 0
	}
	r.renameProducers()
}

func (r *crashLog) note(format string, args ...any) {
	r.crashRun.note(fmt.Sprintf("%d: ", r.tp.Partition)+format, args...)
}

func (r *crashLog) operate() error {
	switch n := r.rng.IntN(100); {
	case n < 42:
		return r.append()
	case n < 49:
		return r.retry()
	case n < 63:
		return r.flush()
	case n < 67:
		r.epoch++
		r.note("epoch %d", r.epoch)
		return r.allow(r.log.StartEpoch(r.epoch))
	case n < 74:
		return r.truncate()
	case n < 76:
		return r.reset()
	case n < 79:
		return r.raiseStart()
	case n < 84 && r.compacted >= 0:
		return r.compact()
	case n < 88:
		r.mark()
		return nil
	case n < 92:
		return r.checkReads()
	case n < 94:
		return r.recreate()
	case n < 96:
		return r.closeAlone()
	}
	return r.badDisk()
}

// mark tells the log a high watermark.
func (r *crashLog) mark() {
	to := r.log.FlushedOffset()
	if r.rng.IntN(3) == 0 {
		to = max(r.log.HighWatermark(), r.rng.Int64N(to+1))
	}
	r.note("high watermark %d", to)
	r.m.marked = max(r.m.marked, to)
	r.log.SetHighWatermark(to)
}

// recreate deletes the log; the next open makes another one of its name.
func (r *crashLog) recreate() error {
	r.note("delete")
	l := r.log
	r.renew()
	return r.allow(r.dir.Delete(l))
}

// closeAlone closes the log while the directory stays open.
func (r *crashLog) closeAlone() error {
	r.note("close")
	err := r.log.Close()
	if r.crashed != nil {
		return nil
	}
	if err == nil {
		r.m.durable, r.m.written = r.m.end, r.m.end
	}
	r.log = nil
	return r.allow(err)
}

// openOn opens the log in the directory.
func (r *crashLog) openOn() (err error) {
	r.log, err = r.dir.Open(r.tp, r.id, r.config, Hooks{})
	return err
}

func (r *crashLog) append() error {
	r.now = r.now.Add(time.Duration(r.rng.IntN(1000)) * time.Millisecond)
	p := &r.producers[r.rng.IntN(len(r.producers))]
	producer := &record.Producer{ID: p.id, Epoch: p.epoch, Sequence: p.sequence}
	switch r.rng.IntN(12) {
	case 0:
		producer.Epoch, producer.Sequence = p.epoch+1, 0
	case 1, 2, 3:
		producer = nil
	}
	b := r.build(producer, 1+r.rng.IntN(6))
	end := r.log.EndOffset()
	r.note("append %d bytes at %d, producer %+v", len(b), end, producer)
	var a Appended
	var err error
	if r.rng.IntN(6) == 0 {
		if r.compacted >= 0 {
			end += r.rng.Int64N(4) // what compaction left of the leader's log
		}
		a, err = r.log.AppendReplica(r.asAppended(b, end))
	} else {
		a, err = r.log.Append(b, AppendOptions{LeaderEpoch: r.epoch, Now: r.now.UnixMilli()})
	}
	if err != nil {
		// A write that failed for want of space, or with the power, may still be found again.
		b = r.asAppended(b, end)
		if r.crashed != nil {
			r.enter(b)
		} else {
			r.refused = b
		}
		return r.allow(err)
	}
	if a.Duplicate || a.FirstOffset != end {
		return fmt.Errorf("append at %d answered %+v", end, a)
	}
	r.enter(b)
	r.m.written = r.m.end
	return nil
}

// asAppended patches a batch as Append does before it writes.
func (r *crashLog) asAppended(b []byte, end int64) []byte {
	record.PatchOffsets(b, end, r.epoch)
	return b
}

func (r *crashLog) build(p *record.Producer, n int) []byte {
	b := record.NewBuilder(record.BuilderOptions{Producer: p})
	for range n {
		value := make([]byte, r.rng.IntN(60))
		for i := range value {
			value[i] = byte(r.rng.Uint32())
		}
		if r.compacted >= 0 && r.rng.IntN(4) == 0 {
			value = nil
		}
		b.Append(record.Record{Timestamp: r.now.UnixMilli() - int64(r.rng.IntN(5000)), Key: []byte{byte(r.rng.IntN(20))}, Value: value})
	}
	return slices.Clone(b.Bytes())
}

// enter adds an appended batch to the model.
func (r *crashLog) enter(b []byte) {
	h, _ := record.ReadHeader(b)
	r.m.batches = append(r.m.batches, modelBatch{h, slices.Clone(b)})
	r.m.end = h.NextOffset()
	r.setProducers()
}

// setProducers brings the clients' sequences to what the log has.
func (r *crashLog) setProducers() {
	for i := range r.producers {
		p := &r.producers[i]
		for _, b := range r.m.batches {
			if b.ProducerID == p.id {
				p.epoch, p.sequence = b.ProducerEpoch, record.AddSequence(b.LastSequence(), 1)
			}
		}
	}
}

// retry sends one of a producer's last batches again.
func (r *crashLog) retry() error {
	p := r.producers[r.rng.IntN(len(r.producers))]
	var last []modelBatch
	for _, b := range r.m.batches {
		if b.ProducerID == p.id {
			if len(last) > 0 && last[0].ProducerEpoch != b.ProducerEpoch {
				last = nil
			}
			last = append(last, b)
		}
	}
	if last = last[max(0, len(last)-rememberedBatches):]; len(last) == 0 {
		return nil
	}
	b := last[r.rng.IntN(len(last))]
	if r.compacted >= 0 {
		b = last[len(last)-1] // those before are perhaps compacted away, and then forgotten by a restart
	}
	if b.BaseOffset < r.log.StartOffset() {
		return nil // deleted, and perhaps forgotten
	}
	r.note("retry %d", b.BaseOffset)
	a, err := r.log.Append(slices.Clone(b.bytes), AppendOptions{LeaderEpoch: r.epoch, Now: r.now.UnixMilli()})
	if err != nil {
		return r.allow(err)
	}
	if !a.Duplicate || a.FirstOffset != b.BaseOffset || a.LastOffset != b.LastOffset() {
		return fmt.Errorf("retry of %d to %d answered %+v", b.BaseOffset, b.LastOffset(), a)
	}
	return nil
}

func (r *crashLog) flush() error {
	end := r.m.end
	r.note("flush to %d", end)
	synced := r.mode == FlushSync
	if r.rng.IntN(2) == 0 {
		r.dir.flushQueue()
	} else if synced = true; r.log.Flush() != nil {
		return r.allow(r.log.Err())
	}
	flushed := r.log.FlushedOffset()
	if flushed != end && r.crashed == nil && r.faults.Fired() == 0 {
		return fmt.Errorf("flushed %d, want %d", flushed, end)
	}
	if !synced {
		return nil
	}
	if flushed == end && r.crashed == nil {
		r.refused = nil
	}
	r.m.durable = max(r.m.durable, flushed)
	return nil
}

func (r *crashLog) truncate() error {
	start := r.log.StartOffset()
	to := max(start+r.rng.Int64N(r.m.end-start+1), r.compacted)
	r.note("truncate to %d of %d", to, r.m.end)
	keep := 0
	for keep < len(r.m.batches) && r.m.batches[keep].NextOffset() <= to {
		keep++
	}
	if keep < len(r.m.batches) {
		to = max(start, min(to, r.m.batches[keep].BaseOffset))
	}
	least := start // the last batch may end before
	if keep > 0 {
		least = max(start, r.m.batches[keep-1].NextOffset())
	}
	r.m.durable, r.m.written = min(r.m.durable, least), min(r.m.written, least)
	err := r.log.TruncateSuffix(to)
	if err == nil {
		if end := r.log.EndOffset(); end < least || end > to {
			return fmt.Errorf("truncated to %d, ends at %d", to, end)
		}
		to = r.log.EndOffset()
		r.refused = nil
		r.m.batches, r.m.end, r.m.durable, r.m.written = r.m.batches[:keep], to, to, to
		r.m.marked = min(r.m.marked, to)
		r.epoch = max(r.epoch+1, r.log.LatestEpoch())
		r.setProducers()
	}
	return r.allow(err)
}

func (r *crashLog) reset() error {
	to := r.rng.Int64N(r.m.end + 20)
	r.note("reset to %d", to)
	r.m.resetTo, r.m.durable, r.m.written, r.m.start, r.m.startMax = to, 0, 0, 0, max(r.m.startMax, to)
	err := r.log.ResetTo(to)
	if err == nil {
		r.refused = nil
		r.m = model{durable: to, written: to, start: to, startMax: to, end: to, resetTo: -1, marked: min(r.m.marked, to)}
		r.compacted = min(r.compacted, 0)
		r.renameProducers()
	}
	return r.allow(err)
}

// renameProducers makes new clients, to whom it is all the same what the log remembers of the old ones.
func (r *crashLog) renameProducers() {
	for i := range r.producers {
		r.producers[i] = modelProducer{id: r.producers[i].id + 10}
	}
}

func (r *crashLog) raiseStart() error {
	start, end := r.log.StartOffset(), r.log.FlushedOffset()
	to := start + r.rng.Int64N(end-min(start, end)+1)
	r.note("start at %d", to)
	r.m.startMax = max(r.m.startMax, to)
	err := r.log.SetStartOffset(to)
	if err == nil {
		r.m.start = max(r.m.start, to)
		r.m.durable = max(r.m.durable, r.m.start) // what lies below is not asked for any more
	}
	return r.allow(err)
}

func (r *crashLog) compact() error {
	r.note("compaction")
	r.compacted = max(r.compacted, r.log.FlushedOffset())
	return r.allow(r.log.compact())
}

// takeRefused lets the model have a refused batch that the crash has brought back in the place of unsynced ones.
func (r *crashLog) takeRefused(end int64) error {
	h, err := record.ReadHeader(r.refused)
	if err != nil || h.NextOffset() != end || h.BaseOffset < r.m.durable {
		return nil
	}
	for b, err := range r.log.Batches(h.BaseOffset) {
		if err != nil {
			return err
		}
		if !bytes.Equal(b, r.refused) {
			return nil
		}
	}
	r.m.batches = slices.DeleteFunc(r.m.batches, func(b modelBatch) bool { return b.NextOffset() > h.BaseOffset })
	r.enter(r.refused)
	return nil
}

// settle compares the recovered log with the model, and the model takes over how much is left.
func (r *crashLog) settle() error {
	start, end := r.log.StartOffset(), r.log.EndOffset()
	certain := r.m.written
	r.note("recovered %d to %d, certain %d", start, end, certain)
	if r.log.FlushedOffset() != end {
		return fmt.Errorf("recovered up to %d, flushed %d", end, r.log.FlushedOffset())
	}
	resetting := r.m.resetTo >= 0
	if resetting {
		if start == end && (end == r.m.resetTo || end == r.m.start || end == r.m.startMax) {
			r.m, certain = model{durable: end, written: end, start: end, startMax: end, end: end, marked: r.m.marked}, end
			r.compacted = min(r.compacted, 0)
		} else if r.m.end < end {
			return fmt.Errorf("reset to %d, crashed, recovered %d to %d", r.m.resetTo, start, end)
		}
		r.m.resetTo = -1
		r.renameProducers()
	}
	if err := r.takeRefused(end); err != nil {
		return err
	}
	r.refused = nil
	if r.compacted >= 0 {
		r.compacted = min(r.compacted, end)
	}
	if end < certain || end > r.m.end {
		return fmt.Errorf("recovered up to %d, must be within [%d, %d]", end, certain, r.m.end)
	}
	if hw := r.log.HighWatermark(); hw > max(start, r.m.marked) {
		return fmt.Errorf("high watermark %d, was never above %d", hw, r.m.marked)
	}
	if start < r.m.start || start > r.m.startMax {
		return fmt.Errorf("recovered start %d, must be within [%d, %d]", start, r.m.start, r.m.startMax)
	}
	keep := 0
	for keep < len(r.m.batches) && r.m.batches[keep].NextOffset() <= end {
		keep++
	}
	r.m.batches = r.m.batches[:keep]
	if resetting && r.compacted >= 0 { // what superseded a record may be gone, and the record was before
		var err error
		if r.m.batches, err = r.left(r.log); err != nil {
			return err
		}
	}
	r.m.end, r.m.durable, r.m.written, r.m.start, r.m.startMax = end, end, end, start, start
	r.setProducers()
	r.epoch = max(r.epoch, r.log.LatestEpoch()) + 1
	if err := r.log.StartEpoch(r.epoch); err != nil {
		return err
	}
	return r.check(r.log)
}
