package controller

import (
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

// liveOf returns those of ids that may lead, in their order.
func liveOf(img *cluster.Image, ids []cluster.NodeID) []cluster.NodeID {
	return slices.DeleteFunc(slices.Clone(ids), func(id cluster.NodeID) bool {
		b, ok := img.Broker(id)
		return !ok || !b.Live()
	})
}

// electLeaders returns the changes of partitions that follow when broker id becomes live, or ceases to be. They stand in
// the order of the topics' names.
func electLeaders(img *cluster.Image, id cluster.NodeID, live bool) []cluster.Change {
	alive := func(other cluster.NodeID) bool {
		if other == id {
			return live
		}
		b, ok := img.Broker(other)
		return ok && b.Live()
	}
	var changes []cluster.Change
	for t := range img.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !slices.Contains(p.ISR, id) {
				continue
			}
			if next, changed := elect(p, alive); changed {
				changes = append(changes, cluster.ChangePartition{TopicID: t.ID, Index: int32(i), Partition: next})
			}
		}
	}
	return changes
}

// elect takes the dead out of the in-sync set and out of the lead, as long as one member is alive. Everything committed
// is on each member, so any of them may lead; the order of preference is that of the replicas.
func elect(p *cluster.Partition, alive func(cluster.NodeID) bool) (cluster.Partition, bool) {
	inSync := slices.DeleteFunc(slices.Clone(p.ISR), func(id cluster.NodeID) bool { return !alive(id) })
	keeps := p.Leader != cluster.NoLeader && alive(p.Leader)
	if len(inSync) == 0 || keeps && len(inSync) == len(p.ISR) {
		return *p, false
	}
	next := *p
	next.ISR = inSync
	next.PartitionEpoch++
	if !keeps {
		first := slices.IndexFunc(p.Replicas, func(id cluster.NodeID) bool { return slices.Contains(inSync, id) })
		next.Leader = p.Replicas[first]
		next.LeaderEpoch++
	}
	return next, true
}

// leaderless takes the lead from a broker that is going for good: what others can lead they do, the rest waits for it
// without a leader.
func leaderless(img *cluster.Image, id cluster.NodeID) []cluster.Change {
	changes := electLeaders(img, id, false)
	moved := make(map[partitionKey]bool, len(changes))
	for _, c := range changes {
		c := c.(cluster.ChangePartition)
		moved[partitionKey{c.TopicID, c.Index}] = true
	}
	for t := range img.Topics() {
		for i, p := range t.Partitions {
			if p.Leader != id || moved[partitionKey{t.ID, int32(i)}] {
				continue
			}
			p.Leader = cluster.NoLeader
			p.LeaderEpoch++
			p.PartitionEpoch++
			changes = append(changes, cluster.ChangePartition{TopicID: t.ID, Index: int32(i), Partition: p})
		}
	}
	return changes
}

type partitionKey struct {
	topic cluster.UUID
	index int32
}
