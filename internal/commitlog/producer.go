package commitlog

import (
	"fmt"
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
	batches          [rememberedBatches]producerBatch
}

func (p *producer) last() (producerBatch, bool) {
	if p.count == 0 {
		return producerBatch{lastSequence: record.NoSequence, lastOffset: -1, timestamp: record.NoTimestamp}, false
	}
	return p.batches[p.count-1], true
}

func (p *producer) remember(b producerBatch) {
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

// producers is the idempotence state of one log. It is a function of the log's batches: replaying them in order gives
// the same state, but for producers that have expired.
type producers struct {
	byID map[int64]*producer
}

// check decides about the batches of one append: new, the retry of a remembered one, or an error.
func (ps *producers) check(infos []batchInfo, origin Origin) (original producerBatch, duplicate bool, err error) {
	if origin != Client || seeded.Is(seeded.ForgetProducers) {
		return original, false, nil
	}
	for i := range infos {
		h := &infos[i].Header
		if !h.HasProducer() || h.BaseSequence == record.NoSequence {
			continue
		}
		if p := ps.byID[h.ProducerID]; p != nil && p.epoch == h.ProducerEpoch {
			if b, ok := p.find(h); ok && len(infos) == 1 { // else the others would be taken for written
				return b, true, nil
			}
		}
		if err := ps.checkSequence(infos[:i], h); err != nil {
			return original, false, err
		}
	}
	return original, false, nil
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
			p.batches, p.count = r.batches, r.count
		}
	}
}
