package cluster

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

func (c CreateTopic) apply(b *builder) error {
	t := c.Topic
	switch {
	case t.Name == "":
		return errors.New("a topic without a name")
	case t.ID.Reserved():
		return fmt.Errorf("topic id %s is reserved", t.ID)
	case len(t.Partitions) == 0:
		return fmt.Errorf("topic %q has no partitions", t.Name)
	}
	if _, ok := b.next.Topic(t.Name); ok {
		return fmt.Errorf("topic %q exists", t.Name)
	}
	if other, ok := b.next.TopicByID(t.ID); ok {
		return fmt.Errorf("topic id %s is that of %q", t.ID, other.Name)
	}
	if err := checkPartitions(t.Partitions, 0); err != nil {
		return fmt.Errorf("topic %q: %w", t.Name, err)
	}
	t.Partitions = slices.Clone(t.Partitions)
	t.Config = maps.Clone(t.Config)
	if len(t.Config) == 0 {
		t.Config = nil
	}
	b.next.partitions += len(t.Partitions)
	b.put(&t)
	b.hold(&t, holders(t.Partitions))
	return nil
}

func (c DeleteTopic) apply(b *builder) error {
	t, ok := b.next.TopicByID(c.ID)
	if !ok {
		return fmt.Errorf("no topic has id %s", c.ID)
	}
	b.next.partitions -= len(t.Partitions)
	b.next.byName.remove(b.edit, nameProbe(t.Name))
	b.next.byID.remove(b.edit, idProbe(t.ID))
	delete(b.owned, c.ID)
	b.release(t, holders(t.Partitions))
	return nil
}

func (c CreatePartitions) apply(b *builder) error {
	if err := checkPartitions(c.Partitions, int(c.First)); err != nil {
		return err
	}
	t, err := b.topic(c.TopicID)
	if err != nil {
		return err
	}
	if int(c.First) != len(t.Partitions) {
		return fmt.Errorf("%q has %d partitions, not %d", t.Name, len(t.Partitions), c.First)
	}
	t.Partitions = append(t.Partitions, c.Partitions...)
	b.next.partitions += len(c.Partitions)
	b.hold(t, holders(c.Partitions))
	return nil
}

func (c ChangePartition) apply(b *builder) error {
	t, err := b.topic(c.TopicID)
	if err != nil {
		return err
	}
	if c.Index < 0 || int(c.Index) >= len(t.Partitions) {
		return fmt.Errorf("%q has no partition %d", t.Name, c.Index)
	}
	old, p := t.Partitions[c.Index], c.Partition
	switch {
	case old.PartitionEpoch == math.MaxInt32 || p.PartitionEpoch != old.PartitionEpoch+1:
		return fmt.Errorf("partition epoch %d after %d", p.PartitionEpoch, old.PartitionEpoch)
	case p.LeaderEpoch < old.LeaderEpoch, p.Leader != old.Leader && p.LeaderEpoch == old.LeaderEpoch:
		return fmt.Errorf("leader %d in epoch %d after leader %d in epoch %d",
			p.Leader, p.LeaderEpoch, old.Leader, old.LeaderEpoch)
	}
	if err := p.check(); err != nil {
		return err
	}
	t.Partitions[c.Index] = p
	if !slices.Equal(old.Replicas, p.Replicas) {
		b.hold(t, p.Replicas)
		b.release(t, leftBehind(t, old.Replicas))
	}
	return nil
}

func (c ClearELR) apply(b *builder) error {
	if c.TopicID != ZeroUUID {
		if _, ok := b.next.TopicByID(c.TopicID); !ok {
			return fmt.Errorf("no topic has id %s", c.TopicID)
		}
		return b.clearELR(c.TopicID)
	}
	for t := range b.next.byID.all(nil) {
		if err := b.clearELR(t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) clearELR(id UUID) error {
	t, ok := b.next.TopicByID(id)
	if !ok || !slices.ContainsFunc(t.Partitions, func(p Partition) bool { return len(p.ELR) > 0 }) {
		return nil
	}
	t, err := b.topic(id)
	if err != nil {
		return err
	}
	for i := range t.Partitions {
		if p := &t.Partitions[i]; len(p.ELR) > 0 {
			if p.PartitionEpoch == math.MaxInt32 {
				return fmt.Errorf("the partition epochs of %s-%d are used up", t.Name, i)
			}
			p.ELR = nil
			p.PartitionEpoch++
		}
	}
	return nil
}

// checkPartitions checks partitions that are to be numbered from first on.
func checkPartitions(list []Partition, first int) error {
	if first < 0 || len(list) > PartitionsMax-first {
		return fmt.Errorf("%d partitions from %d on: at most %d are possible", len(list), first, PartitionsMax)
	}
	for i, p := range list {
		if err := p.check(); err != nil {
			return fmt.Errorf("partition %d: %w", first+i, err)
		}
	}
	return nil
}

// check tells what is wrong with a partition by itself.
func (p Partition) check() error {
	if len(p.Replicas) == 0 || len(p.ISR) == 0 && p.Leader != NoLeader {
		return errors.New("no replicas, or none in sync with the leader")
	}
	for i, id := range p.Replicas {
		if id < 0 || slices.Contains(p.Replicas[:i], id) {
			return fmt.Errorf("replicas %v", p.Replicas)
		}
	}
	for _, subset := range [][]NodeID{p.ISR, p.Adding, p.Removing, p.ELR, p.LastKnownELR} {
		for i, id := range subset {
			if !slices.Contains(p.Replicas, id) || slices.Contains(subset[:i], id) {
				return fmt.Errorf("%v is not a subset of the replicas %v", subset, p.Replicas)
			}
		}
	}
	if p.Leader != NoLeader && !slices.Contains(p.ISR, p.Leader) {
		return fmt.Errorf("leader %d is not in sync: %v", p.Leader, p.ISR)
	}
	if p.LeaderEpoch < 0 || p.PartitionEpoch < 0 || p.UncleanEpoch < 0 || p.UncleanEpoch > p.LeaderEpoch {
		return fmt.Errorf("epochs %d and %d, unclean in %d", p.LeaderEpoch, p.PartitionEpoch, p.UncleanEpoch)
	}
	return nil
}
