package partition

import (
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// The special timestamps of ListOffsets.
const (
	Latest                = -1 // the offset that the next committed record gets
	Earliest              = -2 // the log's first offset
	MaxTimestamp          = -3 // the record with the largest timestamp (KIP-734)
	EarliestLocal         = -4 // the first offset on local disk (KIP-405)
	LatestTiered          = -5 // the last offset in a remote store (KIP-1005)
	EarliestPendingUpload = -6 // the first offset not yet in a remote store (KIP-1023)
)

// TimeOffset answers a search by time. All are -1 when no record matched.
type TimeOffset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
}

var noOffset = TimeOffset{Offset: -1, Timestamp: -1, LeaderEpoch: -1}

// ListOffset returns the first record whose timestamp is at least ts (milliseconds since 1970), or what one of the
// special timestamps stands for. A consumer sees what it could read with the isolation; a replica sees the whole log.
// Nothing is tiered here, so that LatestTiered and EarliestPendingUpload match nothing.
//
// Errors: as for Read, and ErrOffsetNotAvailable.
func (p *Partition) ListOffset(ts int64, isolation Isolation, id cluster.NodeID, current int32) (TimeOffset, error) {
	leaderEpoch, err := p.answers(current)
	if err != nil {
		return noOffset, err
	}
	end, err := p.visibleEnd(isolation, id)
	switch {
	case ts == Earliest || ts == EarliestLocal:
		return p.earliest(), nil
	case ts == LatestTiered || ts == EarliestPendingUpload:
		return noOffset, nil
	case err != nil:
		return noOffset, err
	case ts == Latest:
		return TimeOffset{Offset: end, Timestamp: -1, LeaderEpoch: leaderEpoch}, nil
	case ts == MaxTimestamp:
		return p.search(p.log.MaxTimestampOffset(end))
	default:
		return p.search(p.log.OffsetForTimestamp(ts, end))
	}
}

// visibleEnd returns the offset below which the caller may see records. A leader whose high watermark has not reached
// its own epoch does not know it: answering would make positions go back (KIP-207).
func (p *Partition) visibleEnd(isolation Isolation, id cluster.NodeID) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	if _, assigned := m.FollowerEnd(id); assigned {
		return p.log.EndOffset(), nil
	}
	if m.HighWatermark() < m.EpochStart() {
		return 0, ErrOffsetNotAvailable
	}
	if isolation == ReadCommitted {
		return p.LastStableOffset(), nil
	}
	return p.HighWatermark(), nil
}

func (p *Partition) earliest() TimeOffset {
	start := p.log.StartOffset()
	return TimeOffset{Offset: start, Timestamp: -1, LeaderEpoch: p.log.EpochAt(start)}
}

func (p *Partition) search(offset, timestamp int64, epoch int32, found bool, err error) (TimeOffset, error) {
	if err != nil || !found {
		return noOffset, storageError(err)
	}
	return TimeOffset{Offset: offset, Timestamp: timestamp, LeaderEpoch: epoch}, nil
}

// DeleteRecords makes the log begin at offset, or at the high watermark when offset is -1, and returns where it begins
// then; an offset below the start changes nothing. Errors: ErrNotLeader, *OfflineError, and ErrOffsetOutOfRange for an
// offset that is negative or above the high watermark.
func (p *Partition) DeleteRecords(offset int64) (lowWatermark int64, err error) {
	if _, err := p.answers(AnyEpoch); err != nil {
		return -1, err
	}
	hw := p.HighWatermark()
	if offset == -1 {
		offset = hw
	}
	if offset < 0 || offset > hw {
		return -1, ErrOffsetOutOfRange
	}
	if offset > p.log.StartOffset() {
		if err := p.log.SetStartOffset(offset); err != nil {
			return -1, storageError(err)
		}
		p.step(func(m *replica.Machine) replica.Effects { return m.StartedAt(offset) })
	}
	return p.log.StartOffset(), nil
}

// LowWatermark returns from where on the leader and those replicas that live have records at most: what lies before it is gone
// from all of them. It is -1 while one of them has not said. Version is Waiter.Watch's. Errors: ErrNotLeader, *OfflineError.
func (p *Partition) LowWatermark(lives func(cluster.NodeID) bool) (low int64, version uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.answersLocked(AnyEpoch); err != nil {
		return -1, p.mu.version, err
	}
	m := &p.mu.machine
	return m.LowWatermark(p.log.StartOffset(), lives), p.mu.version, nil
}
