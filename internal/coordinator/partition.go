package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
)

// LedBy finds the partitions of OffsetsTopic among the replicas of a broker.
func LedBy(set *partition.Set) func(index int32) (Log, error) {
	return func(index int32) (Log, error) {
		p, ok := set.Get(OffsetsTopic, index)
		if !ok {
			return nil, ErrNotLeader
		}
		epoch, leads := p.Leading()
		if !leads {
			return nil, ErrNotLeader
		}
		return replica{p, epoch}, nil
	}
}

// replica is a partition in one leader epoch.
type replica struct {
	partition *partition.Partition
	epoch     int32
}

func (r replica) Batches() iter.Seq2[[]byte, error] {
	log := r.partition.Log()
	return log.Batches(log.StartOffset())
}

func (r replica) EndOffset() int64 { return r.partition.EndOffset() }

func (r replica) BatchBytesMax() int { return int(r.partition.Settings().Log.MaxMessageBytes) }

func (r replica) appendOptions() partition.AppendOptions {
	return partition.AppendOptions{Origin: commitlog.Coordinator, LeaderEpoch: r.epoch, AllInSync: true}
}

func (r replica) Append(batch []byte) (endOffset int64, err error) {
	a, err := r.partition.Append(batch, r.appendOptions())
	if err != nil {
		return 0, logError("append", err)
	}
	return a.EndOffset(), nil
}

func (r replica) MayAppend() error {
	if err := r.partition.MayAppend(r.appendOptions()); err != nil {
		return logError("append", err)
	}
	return nil
}

func (r replica) Wait(ctx context.Context, endOffset int64) error {
	const all = -1
	if err := r.partition.Wait(ctx, partition.Ack{LeaderEpoch: r.epoch, EndOffset: endOffset, Acks: all}); err != nil {
		return logError("commit", err)
	}
	return nil
}

func (r replica) Confirmed() bool { return r.partition.Confirmed() }

func logError(doing string, err error) error {
	switch {
	case errors.Is(err, partition.ErrNotLeader), errors.Is(err, partition.ErrFencedLeaderEpoch):
		return ErrNotLeader
	case errors.Is(err, partition.ErrNotEnoughReplicas):
		return fmt.Errorf("%s the groups' records: %w: %w", doing, ErrUnavailable, err)
	}
	return fmt.Errorf("%s the groups' records: %w", doing, err)
}
