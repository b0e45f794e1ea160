package partition

import (
	"errors"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// Isolation says which records a consumer may see.
type Isolation int8

// The isolation levels, with Kafka's numbers.
const (
	ReadUncommitted Isolation = 0 // up to the high watermark
	ReadCommitted   Isolation = 1 // up to the last stable offset
)

// The ReplicaIDs of those who are no replicas.
const (
	Consumer cluster.NodeID = -1
	// Debugger reads like a replica, from any copy (Kafka's replica verification).
	Debugger cluster.NodeID = -2
)

// ReadOptions says what to read.
type ReadOptions struct {
	Offset    int64
	MaxBytes  int
	MinOne    bool // at least one whole batch, even when it is larger than MaxBytes
	Isolation Isolation
	// CurrentLeaderEpoch is the epoch that the reader believes in, AnyEpoch when it knows none (KIP-320).
	CurrentLeaderEpoch int32
	// LastFetchedEpoch is the epoch of the last record that the reader has, AnyEpoch when it has none (KIP-595).
	LastFetchedEpoch int32
	// ReplicaID is Consumer, or the replica that reads; a replica reads to the end of the log.
	ReplicaID cluster.NodeID
	// AnyCopy lets a follower answer as well, up to the high watermark that it knows (KIP-392).
	AnyCopy bool
}

// Read is what a read found. The caller releases Chunk.
type Read struct {
	Chunk            commitlog.Chunk
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	// Diverging is set when the reader's log parts from this one before the offset that it asks for: how far both may
	// agree. Nothing is read then.
	Diverging *EpochEnd
	// LeaderEpoch is the one in which this replica has answered.
	LeaderEpoch int32
	// Version changes when a repeated read may find something else; Waiter.Watch takes it.
	Version uint64
}

// EpochEnd is a leader epoch and the offset where it ends. Both are -1 when the epoch is unknown.
type EpochEnd = replica.EpochEnd

// Read returns whole batches from the one that holds Offset on, up to what the reader may see. Read takes no lock of the
// log. An offset between the high watermark and the log's end reads nothing, without an error.
//
// A follower answers for what it has itself only: it does not know which offsets there are beyond its log, nor before it
// (ErrOffsetNotAvailable, ErrNotLeader: the leader does), so that no reader resets because a copy lags.
//
// Errors: ErrNotLeader, ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch, ErrOffsetOutOfRange, ErrOffsetNotAvailable,
// ErrUnknownReplica, *OfflineError, and commitlog's ErrCorrupt. The marks in Read are valid also when ErrOffsetOutOfRange
// is returned.
func (p *Partition) Read(o ReadOptions) (Read, error) {
	r, leads, err := p.marks(o)
	if err != nil {
		return r, err
	}
	if leads {
		err = p.placeInLog(o, &r)
	} else {
		err = p.placeInCopy(o, &r)
	}
	if r.Diverging != nil || err != nil {
		return r, err
	}
	r.Chunk, err = p.log.Read(o.Offset, o.MaxBytes, p.readEnd(o, r), o.MinOne)
	if errors.Is(err, commitlog.ErrOffsetOutOfRange) {
		err = ErrOffsetOutOfRange // the start moved meanwhile
	}
	return r, storageError(err)
}

// placeInLog finds the reader's place in the leader's log: what it has must be of the same log, and Offset be in it.
func (p *Partition) placeInLog(o ReadOptions, r *Read) (err error) {
	start := p.log.StartOffset()
	if r.LogStartOffset = start; o.Offset < start {
		return ErrOffsetOutOfRange
	}
	if o.LastFetchedEpoch != AnyEpoch {
		if r.Diverging, err = p.diverging(o); r.Diverging != nil || err != nil {
			return err
		}
	}
	switch {
	case o.Offset <= p.log.EndOffset():
		return nil
	case o.ReplicaID < 0 && !p.Confirmed():
		return ErrOffsetNotAvailable // another may lead since, and have given the reader what this one lacks
	}
	return ErrOffsetOutOfRange
}

// placeInCopy is placeInLog for a follower, whose own log says nothing of what it lacks, nor of what is not committed.
func (p *Partition) placeInCopy(o ReadOptions, r *Read) error {
	end := p.log.EndOffset()
	switch {
	case o.Offset < p.log.StartOffset():
		return ErrNotLeader
	case o.Offset > end:
		return ErrOffsetNotAvailable
	case o.LastFetchedEpoch == AnyEpoch:
		return nil
	}
	epoch, epochEnd := p.log.EpochEndOffset(o.LastFetchedEpoch, end)
	switch {
	case epoch == o.LastFetchedEpoch && epochEnd >= o.Offset:
		return nil
	case epoch < 0 || epochEnd > r.HighWatermark:
		return ErrOffsetNotAvailable
	}
	r.Diverging = &EpochEnd{Epoch: epoch, EndOffset: epochEnd}
	return nil
}

// marks checks that this replica may answer, and notes how far a reader may see and whether this is the leader.
func (p *Partition) marks(o ReadOptions) (_ Read, leads bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	err = p.answersLocked(o.CurrentLeaderEpoch)
	leads = err == nil
	if err == ErrNotLeader && o.AnyCopy && m.Follows(m.LeaderEpoch()) {
		err = nil
	}
	if o.ReplicaID >= 0 && err == nil {
		if _, assigned := m.FollowerEnd(o.ReplicaID); !assigned {
			err = ErrUnknownReplica
		}
	}
	if err != nil {
		return Read{Version: p.mu.version}, leads, err
	}
	hw := m.HighWatermark()
	return Read{
		HighWatermark: hw, LastStableOffset: hw, LogStartOffset: p.log.StartOffset(), LeaderEpoch: m.LeaderEpoch(), Version: p.mu.version,
	}, leads, nil
}

func (p *Partition) readEnd(o ReadOptions, r Read) int64 {
	switch {
	case o.ReplicaID >= 0 || o.ReplicaID == Debugger:
		return p.log.EndOffset()
	case o.Isolation == ReadCommitted:
		return r.LastStableOffset
	default:
		return r.HighWatermark
	}
}

// FollowerFetched counts what a follower holds, after a Read in its name succeeded and did not diverge.
func (p *Partition) FollowerFetched(f replica.Fetch) {
	now := p.set.sinceBegun(time.Now())
	p.step(func(m *replica.Machine) replica.Effects {
		// The caller's image may be from before this replica's: a broker that has just been taken out of the in-sync set to stop
		// would be proposed again, and hold the high watermark until that is refused.
		f.Eligible = f.Eligible && (f.BrokerEpoch < 0 || p.set.eligible(f.ID, f.BrokerEpoch))
		return m.FollowerFetched(f, now)
	})
}

// answersLocked returns why this replica must not answer a request that names the leader epoch, nil when it may.
func (p *Partition) answersLocked(epoch int32) error {
	if err := p.offlineLocked(); err != nil {
		return err
	}
	m := &p.mu.machine
	switch {
	case epoch != AnyEpoch && epoch < m.LeaderEpoch():
		return ErrFencedLeaderEpoch
	case epoch != AnyEpoch && epoch > m.LeaderEpoch():
		return ErrUnknownLeaderEpoch
	case !m.IsLeader():
		return ErrNotLeader
	}
	return nil
}

// answers is answersLocked for callers without the lock.
func (p *Partition) answers(epoch int32) (leaderEpoch int32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.machine.LeaderEpoch(), p.answersLocked(epoch)
}

// diverging returns where the reader's log parts from this one, nil when it does not (KIP-595).
func (p *Partition) diverging(o ReadOptions) (*EpochEnd, error) {
	epoch, end := p.log.EpochEndOffset(o.LastFetchedEpoch, p.log.EndOffset())
	if epoch < 0 || end < 0 {
		return nil, ErrOffsetOutOfRange
	}
	if epoch < o.LastFetchedEpoch || end < o.Offset {
		return &EpochEnd{Epoch: epoch, EndOffset: end}, nil
	}
	return nil, nil
}

// EpochEnd returns the largest known leader epoch that is not above epoch, and where it ends (KIP-101, KIP-279).
// current is the epoch that the caller believes in, AnyEpoch when it knows none. Errors as for Read.
func (p *Partition) EpochEnd(epoch, current int32) (EpochEnd, error) {
	if _, err := p.answers(current); err != nil {
		return EpochEnd{Epoch: -1, EndOffset: -1}, err
	}
	found, end := p.log.EpochEndOffset(epoch, p.log.EndOffset())
	return EpochEnd{Epoch: found, EndOffset: end}, nil
}
