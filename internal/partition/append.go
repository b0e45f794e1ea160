package partition

import (
	"errors"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// AppendOptions says how to append.
type AppendOptions struct {
	Origin commitlog.Origin
	// LeaderEpoch is the epoch under which the caller may append, as a coordinator which has loaded its state in that
	// epoch. AnyEpoch is whichever this replica leads in.
	LeaderEpoch int32
	// AllInSync asks for min.insync.replicas before anything is appended (acks=all).
	AllInSync bool
}

// AnyEpoch stands for whatever leader epoch there is.
const AnyEpoch int32 = -1

// Appended is where the records are. Partition.Wait takes LeaderEpoch and EndOffset.
type Appended struct {
	commitlog.Appended
	LeaderEpoch int32
}

// EndOffset returns the offset after the last record.
func (a Appended) EndOffset() int64 { return a.LastOffset + 1 }

// Append writes one or more verified batches, which follow each other in batches, at the end of the leader's log. It
// patches their offsets and epochs in place, and for LogAppendTime their timestamps. The records are not safe yet:
// Partition.Wait says when they are.
//
// A retry of a batch that the log remembers is not written again: Appended is the original's, with Duplicate set, and
// waiting for it waits for the original. Of one that is Forgotten waiting waits for all that was before what is remembered.
//
// Errors: ErrNotLeader, ErrFencedLeaderEpoch, ErrNotEnoughReplicas, *OfflineError, and commitlog's.
func (p *Partition) Append(batches []byte, o AppendOptions) (Appended, error) {
	p.role.RLock()
	defer p.role.RUnlock()
	epoch, err := p.admit(o)
	if err != nil {
		return Appended{}, err
	}
	done, err := p.log.Append(batches, commitlog.AppendOptions{
		LeaderEpoch: epoch, Now: p.cfg.Now().UnixMilli(), Origin: o.Origin,
	})
	if errors.Is(err, commitlog.ErrNoSpace) {
		p.step((*replica.Machine).NoSpace)
	}
	if err != nil {
		return Appended{}, storageError(err)
	}
	a := Appended{Appended: done, LeaderEpoch: epoch}
	flushed := p.log.FlushedOffset()
	p.step(func(m *replica.Machine) replica.Effects { return m.Appended(a.EndOffset(), flushed) })
	return a, nil
}

// MayAppend returns the error with which Append would refuse whatever it was given now, nil when it would look at it.
func (p *Partition) MayAppend(o AppendOptions) error {
	_, err := p.admit(o)
	return err
}

// admit returns the epoch to append under. Who appends holds role.
func (p *Partition) admit(o AppendOptions) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	if err := p.offlineLocked(); err != nil {
		return 0, err
	}
	if !m.IsLeader() {
		return 0, ErrNotLeader
	}
	if o.LeaderEpoch != AnyEpoch && o.LeaderEpoch < m.LeaderEpoch() {
		return 0, ErrFencedLeaderEpoch
	}
	if o.LeaderEpoch != AnyEpoch && o.LeaderEpoch > m.LeaderEpoch() {
		return 0, ErrNotLeader
	}
	if o.AllInSync && !m.EnoughInSync() {
		return 0, ErrNotEnoughReplicas
	}
	return m.LeaderEpoch(), nil
}
