package commitlog

import (
	"fmt"
	"math"
	"slices"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/seeded"
)

// rememberedBatches is how many batches of a producer can be told from new ones: Kafka's bound on requests in flight.
const rememberedBatches = 5

// ProducerState is what a log remembers of one idempotent producer, as DescribeProducers shows it.
type ProducerState struct {
	ID               int64
	Epoch            int16
	LastSequence     int32 // -1 when none
	LastTimestamp    int64 // of the last batch, milliseconds
	CoordinatorEpoch int32
	TxnStartOffset   int64 // -1 when no transaction is open
}

// producerBatch is one remembered batch.
type producerBatch struct {
	lastOffset   int64
	timestamp    int64
	lastSequence int32
	offsetDelta  int32
}

func (b producerBatch) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

// size is how many sequence numbers the batch takes.
func (b producerBatch) size() int32 { return b.offsetDelta + 1 }

func batchOf(h *record.Header) producerBatch {
	return producerBatch{h.LastOffset(), h.MaxTimestamp, h.LastSequence(), h.LastOffsetDelta}
}

// producer is the state of one producer id: its epoch and its last batches, oldest first.
type producer struct {
	id               int64
	epoch            int16
	count            int8
	coordinatorEpoch int32
	txnFirstOffset   int64
	seenMs           int64 // wall clock of the append, not the record's timestamp, which may be years old
	// run is how many sequence numbers up to the last one were written here without a gap, in this epoch, as far as is known: a
	// snapshot does not say. It stops at runMax.
	run     int32
	batches [rememberedBatches]producerBatch
}

// runMax is half of all sequence numbers: what lies further back cannot be told from what is to come.
const runMax = math.MaxInt32 / 2

func (p *producer) last() (producerBatch, bool) {
	if p.count == 0 {
		return producerBatch{lastSequence: record.NoSequence, lastOffset: -1, timestamp: record.NoTimestamp}, false
	}
	return p.batches[p.count-1], true
}

func (p *producer) remember(b producerBatch) {
	first := record.AddSequence(b.lastSequence, -b.offsetDelta)
	if last, ok := p.last(); ok && first == record.AddSequence(last.lastSequence, 1) {
		p.run = min(p.run, runMax-b.size()) + b.size()
	} else {
		p.run = b.size()
	}
	if p.count == rememberedBatches {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = b
	p.count++
}

// find returns the remembered batch that has the sequences of h.
func (p *producer) find(h *record.Header) (producerBatch, bool) {
	for _, b := range p.batches[:p.count] {
		if b.lastSequence == h.LastSequence() && b.offsetDelta == h.LastOffsetDelta {
			return b, true
		}
	}
	return producerBatch{}, false
}

// wrote tells whether the batch of h was written before those that are remembered; its offsets lie below end then. A client has
// five requests under way at most, but they need not go to one leader: what one that was cut off has got and replicated comes to
// the next one after many others.
func (p *producer) wrote(h *record.Header) (end int64, ok bool) {
	if p.count == 0 || h.LastOffsetDelta >= runMax {
		return 0, false
	}
	last, remembered := p.batches[p.count-1], int64(0)
	for _, b := range p.batches[:p.count] {
		remembered += int64(b.size())
	}
	behind := record.AddSequence(last.lastSequence, -h.LastSequence()) // how many numbers came after it
	return p.batches[0].firstOffset(), int64(behind) >= remembered && behind <= p.run-(h.LastOffsetDelta+1)
}

// producers is the idempotence state of one log. It is a function of the log's batches: replaying them in order gives
// the same state, but for producers that have expired.
type producers struct {
	byID map[int64]*producer
}

// original is what a retry was written as before.
type original struct {
	producerBatch
	forgotten bool // it is not remembered, and ends at lastOffset or before
}

// check decides about the batches of one append: new (nil), a retry, or an error.
func (ps *producers) check(infos []batchInfo, origin Origin) (*original, error) {
	if origin != Client || seeded.Is(seeded.ForgetProducers) {
		return nil, nil
	}
	for i := range infos {
		h := &infos[i].Header
		if !h.HasProducer() || h.BaseSequence == record.NoSequence {
			continue
		}
		p := ps.byID[h.ProducerID]
		if p != nil && p.epoch == h.ProducerEpoch && len(infos) == 1 { // of several the others would be taken for written
			if b, ok := p.find(h); ok {
				return &original{producerBatch: b}, nil
			}
			if end, ok := p.wrote(h); ok {
				return &original{producerBatch{lastOffset: end - 1, timestamp: record.NoTimestamp}, true}, nil
			}
		}
		if err := ps.checkSequence(infos[:i], h); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// checkSequence follows Kafka's ProducerAppendInfo: the next sequence, or 0 with a new epoch, or anything when nothing
// is known of the producer (its records were deleted, or it has expired).
func (ps *producers) checkSequence(before []batchInfo, h *record.Header) error {
	epoch, last, known := ps.position(before, h.ProducerID)
	switch {
	case !known:
		return nil
	case h.ProducerEpoch < epoch:
		return fmt.Errorf("%w: producer %d, epoch %d after %d", ErrInvalidProducerEpoch, h.ProducerID, h.ProducerEpoch, epoch)
	case h.ProducerEpoch > epoch:
		last = -1
	}
	if next := record.AddSequence(max(last, 0), 1); last >= 0 && h.BaseSequence != next || last < 0 && h.BaseSequence != 0 {
		return fmt.Errorf("%w: producer %d epoch %d, %d after %d", ErrOutOfOrderSequence,
			h.ProducerID, h.ProducerEpoch, h.BaseSequence, last)
	}
	return nil
}

// position returns epoch and last sequence of a producer after the batches of the same append that come before.
func (ps *producers) position(before []batchInfo, id int64) (epoch int16, lastSequence int32, known bool) {
	for i := len(before) - 1; i >= 0; i-- {
		if h := &before[i].Header; h.ProducerID == id {
			return h.ProducerEpoch, h.LastSequence(), true
		}
	}
	p := ps.byID[id]
	if p == nil {
		return 0, 0, false
	}
	b, _ := p.last()
	return p.epoch, b.lastSequence, true
}

// apply enters a batch that is in the log.
func (ps *producers) apply(h *record.Header, nowMs int64) {
	if !h.HasProducer() {
		return
	}
	p := ps.byID[h.ProducerID]
	if p == nil {
		if ps.byID == nil {
			ps.byID = make(map[int64]*producer)
		}
		p = &producer{id: h.ProducerID, epoch: h.ProducerEpoch, coordinatorEpoch: -1, txnFirstOffset: -1}
		ps.byID[h.ProducerID] = p
	}
	if p.epoch != h.ProducerEpoch {
		p.epoch, p.count = h.ProducerEpoch, 0
	}
	p.seenMs = nowMs
	if h.BaseSequence != record.NoSequence {
		p.remember(batchOf(h))
	}
}

// expire forgets who has not written for longer than ms.
func (ps *producers) expire(nowMs, ms int64) {
	for id, p := range ps.byID {
		if p.txnFirstOffset < 0 && nowMs-p.seenMs >= ms {
			delete(ps.byID, id)
		}
	}
}

// sorted returns the producers by id.
func (ps *producers) sorted() []*producer {
	list := make([]*producer, 0, len(ps.byID))
	for _, p := range ps.byID {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *producer) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return list
}

func (ps *producers) states() []ProducerState {
	list := make([]ProducerState, 0, len(ps.byID))
	for _, p := range ps.sorted() {
		b, _ := p.last()
		list = append(list, ProducerState{ID: p.id, Epoch: p.epoch, LastSequence: b.lastSequence,
			LastTimestamp: b.timestamp, CoordinatorEpoch: p.coordinatorEpoch, TxnStartOffset: p.txnFirstOffset})
	}
	return list
}

// lastOffsets returns, for each producer, the last offset of its newest batch below stable, which compaction must not
// forget: a newer one may yet be lost. It is 0 when that batch is no longer remembered.
func (ps *producers) lastOffsets(stable int64) map[int64]int64 {
	m := make(map[int64]int64, len(ps.byID))
	for id, p := range ps.byID {
		m[id] = 0
		for _, b := range p.batches[:p.count] {
			if b.lastOffset < stable {
				m[id] = b.lastOffset
			}
		}
	}
	return m
}

// fill adds older batches that recent remembers and a snapshot, which has one per producer, does not.
func (ps *producers) fill(recent *producers) {
	for id, p := range ps.byID {
		r := recent.byID[id]
		if r == nil || r.epoch != p.epoch {
			continue
		}
		a, _ := p.last()
		if b, ok := r.last(); ok && a == b {
			p.batches, p.count, p.run = r.batches, r.count, r.run
		}
	}
}
