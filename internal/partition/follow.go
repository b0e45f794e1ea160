package partition

import (
	"errors"
	"fmt"

	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// errCorruptAnswer means that what a leader sent is not what it has on disk.
var errCorruptAnswer = errors.New("the leader's answer holds a corrupt batch, which is refused")

// position returns what a follower asks its leader for, false when it does not follow anybody now.
func (p *Partition) position() (wire.FetchPartition, bool) {
	full := p.log != nil && p.log.Full() // which may ask the disk
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	if !m.Follows(m.LeaderEpoch()) {
		return wire.FetchPartition{}, false
	}
	if p.mu.offline != nil {
		return p.lossLocked()
	}
	offset, namesEpoch := m.FetchFrom()
	want := wire.FetchPartition{
		Partition: p.index, Copy: p.copy, FetchOffset: offset, CurrentLeaderEpoch: m.LeaderEpoch(), LastFetchedEpoch: AnyEpoch,
		LogStartOffset: p.log.StartOffset(), HighWatermark: m.HighWatermark(), FlushedOffset: m.Flushed(),
	}
	p.full.Store(full)
	if full {
		want.FlushedOffset = 0 // it cannot keep up: it is not let in again before it has room
	}
	if namesEpoch {
		want.LastFetchedEpoch = p.log.EpochAt(offset - 1)
	}
	return want, true
}

// takeFetched takes over what the leader answered to a request, of which sent is this replica's part. An answer that comes
// too late, after another assignment, changes nothing.
func (p *Partition) takeFetched(sent wire.FetchPartition, reply *wire.FetchPartitionReply) error {
	switch {
	case sent.FetchOffset == wire.LostOffset:
		return p.takeForgotten(sent, reply)
	case reply.Error == wire.OffsetOutOfRange:
		return p.cutAfter(sent, func(m *replica.Machine, committed int32) replica.Effects {
			return m.OutOfRange(reply.LogStartOffset, committed)
		})
	case reply.Error != wire.None:
		return reply.Error
	case reply.DivergingEpoch != wire.NoEpochEnd:
		leader := replica.EpochEnd{Epoch: reply.DivergingEpoch.Epoch, EndOffset: reply.DivergingEpoch.EndOffset}
		return p.cutAfter(sent, func(m *replica.Machine, committed int32) replica.Effects {
			epoch, end := p.log.EpochEndOffset(leader.Epoch, p.log.EndOffset())
			return m.Diverged(leader, replica.EpochEnd{Epoch: epoch, EndOffset: end}, committed)
		})
	}
	data := reply.RecordData()
	if first, middle, err := p.beginsBefore(sent, data); err != nil || middle {
		if err == nil {
			err = p.resetTo(sent, first)
		}
		if err != nil {
			return err
		}
		sent.FetchOffset = first
	}
	return p.appendFetched(sent, data, reply)
}

// beginsBefore tells whether the first batch begins before the offset that was asked for, and where. That happens where
// the leader's log starts in the middle of a batch: a log that has nothing yet takes all of it.
func (p *Partition) beginsBefore(sent wire.FetchPartition, data []byte) (first int64, before bool, err error) {
	if len(data) == 0 {
		return 0, false, nil
	}
	h, err := record.ReadHeader(data)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %w", errCorruptAnswer, err)
	}
	empty := p.log.StartOffset() == p.log.EndOffset()
	return h.BaseOffset, empty && h.BaseOffset >= 0 && h.BaseOffset < sent.FetchOffset && h.LastOffset() >= sent.FetchOffset, nil
}

// appendFetched appends what the leader sent, after a check of every batch, and learns its marks.
func (p *Partition) appendFetched(sent wire.FetchPartition, data []byte, reply *wire.FetchPartitionReply) error {
	if err := checkFetched(data, sent); err != nil {
		return err
	}
	p.role.RLock()
	defer p.role.RUnlock()
	if !p.awaits(sent) {
		return nil
	}
	if len(data) > 0 {
		if _, err := p.log.AppendReplica(data); err != nil {
			return storageError(err)
		}
	}
	end, flushed := p.log.EndOffset(), p.log.FlushedOffset()
	p.step(func(m *replica.Machine) replica.Effects {
		m.Appended(end, flushed)
		return m.LeaderAnswered(reply.HighWatermark)
	})
	if start := min(reply.LogStartOffset, p.HighWatermark()); start > p.log.StartOffset() {
		return storageError(p.log.RaiseStartOffset(start))
	}
	return nil
}

// checkFetched checks what a leader sent: whole batches, each with its checksum, from epochs that there have been.
func checkFetched(data []byte, sent wire.FetchPartition) error {
	for len(data) > 0 {
		h, err := record.ReadHeader(data)
		switch {
		case err != nil:
		case h.Size() > len(data):
			err = errors.New("it is cut off")
		case h.NextOffset() < h.BaseOffset: // offsets are outside the checksum
			err = fmt.Errorf("it ends at offset %d", h.NextOffset())
		case h.LeaderEpoch > sent.CurrentLeaderEpoch:
			err = fmt.Errorf("its leader epoch %d is above %d", h.LeaderEpoch, sent.CurrentLeaderEpoch)
		default:
			err = record.CheckCRC(data[:h.Size()])
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errCorruptAnswer, err)
		}
		data = data[h.Size():]
	}
	return nil
}

// awaits tells whether this replica still is where it was when it sent the request.
func (p *Partition) awaits(sent wire.FetchPartition) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	if p.mu.offline != nil || !m.Follows(sent.CurrentLeaderEpoch) || m.End() != sent.FetchOffset {
		return false
	}
	return sent.LastFetchedEpoch == AnyEpoch || sent.LastFetchedEpoch == p.log.EpochAt(sent.FetchOffset-1)
}

// cutAfter asks the machine where to cut the log, and cuts it. Nothing is appended and no leadership changes meanwhile.
func (p *Partition) cutAfter(sent wire.FetchPartition, event func(m *replica.Machine, committed int32) replica.Effects) error {
	p.role.Lock()
	defer p.role.Unlock()
	if !p.awaits(sent) {
		return nil
	}
	var e replica.Effects
	p.step(func(m *replica.Machine) replica.Effects {
		e = event(m, p.log.EpochAt(m.HighWatermark()-1))
		return e
	})
	var err error
	start := p.log.StartOffset()
	switch {
	case e.ResetTo >= 0:
		err = p.log.ResetTo(e.ResetTo)
	case e.TruncateTo >= start:
		err = p.log.TruncateSuffix(e.TruncateTo)
	case e.TruncateTo >= 0:
		err = p.log.ResetTo(e.TruncateTo)
	default:
		return nil
	}
	p.cfg.Log.Info("replica was cut to follow its leader", "topic", p.topic, "partition", p.index, "from", sent.FetchOffset,
		"to", p.log.EndOffset(), "epoch", sent.CurrentLeaderEpoch, "err", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.machine.Truncated(p.log.EndOffset(), p.log.FlushedOffset())
	return storageError(err)
}

// resetTo makes an empty log begin at offset.
func (p *Partition) resetTo(sent wire.FetchPartition, offset int64) error {
	p.role.Lock()
	defer p.role.Unlock()
	if !p.awaits(sent) {
		return nil
	}
	err := p.log.ResetTo(offset)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.machine.Truncated(p.log.EndOffset(), p.log.FlushedOffset())
	return storageError(err)
}

// takeHighWatermark takes over the leader's high watermark in an epoch.
func (p *Partition) takeHighWatermark(epoch int32, hw int64) {
	p.step(func(m *replica.Machine) replica.Effects {
		if !m.Follows(epoch) {
			return replica.None
		}
		return m.LeaderAnswered(hw)
	})
}
