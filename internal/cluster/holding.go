package cluster

import (
	"bytes"
	"slices"
)

// holding is the topics of which a broker has replicas. With it a change of one broker need not look at all topics.
type holding struct {
	id     NodeID
	topics ordered[UUID]
}

func (m *Image) holding(id NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.held, id, func(h holding, id NodeID) int { return int(h.id) - int(id) })
}

// holders returns the brokers that have replicas of any of the partitions, sorted.
func holders(partitions []Partition) []NodeID {
	var ids []NodeID
	for i := range partitions {
		for _, id := range partitions[i].Replicas {
			if at, found := slices.BinarySearch(ids, id); !found {
				ids = slices.Insert(ids, at, id)
			}
		}
	}
	return ids
}

// leftBehind returns those of the brokers that have no replica of the topic.
func leftBehind(t *Topic, brokers []NodeID) []NodeID {
	left := slices.Clone(brokers)
	for i := range t.Partitions {
		if len(left) == 0 {
			break
		}
		left = slices.DeleteFunc(left, func(id NodeID) bool { return slices.Contains(t.Partitions[i].Replicas, id) })
	}
	return left
}

// hold notes that brokers have replicas of a topic.
func (b *builder) hold(t *Topic, brokers []NodeID) {
	for _, id := range brokers {
		b.holding(id).topics.put(b.edit, uuidProbe(t.ID), t.ID)
	}
}

// release notes that brokers have none any more.
func (b *builder) release(t *Topic, brokers []NodeID) {
	for _, id := range brokers {
		b.holding(id).topics.remove(b.edit, uuidProbe(t.ID))
	}
}

// holding returns the entry of a broker, made if it is missing, that may be written to. It is good until the next call.
func (b *builder) holding(id NodeID) *holding {
	if b.ownHeld == nil {
		b.ownHeld = make(map[NodeID]bool)
		b.next.held = slices.Clone(b.next.held)
	}
	at, found := b.next.holding(id)
	if !found {
		b.next.held = slices.Insert(b.next.held, at, holding{id: id})
	}
	h := &b.next.held[at]
	if !b.ownHeld[id] {
		b.ownHeld[id] = true
		h.topics = h.topics.begin()
	}
	return h
}

func uuidProbe(id UUID) probe[UUID] {
	return func(other UUID) int { return bytes.Compare(other[:], id[:]) }
}
