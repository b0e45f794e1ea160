package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/wire"
)

// alterPartition serves AlterPartition (KIP-497): a leader asks for another in-sync set. v2 names topics by id (KIP-841),
// v3 gives the epoch of each member (KIP-903), so that one that has begun another run in between is not taken for the one
// that has caught up. A request may end a reassignment, and its leader's lead with it: NEW_LEADER_ELECTED.
func (m *Machine) alterPartition(img *cluster.Image, req *kmsg.AlterPartitionRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if _, why := registered(img, req.BrokerID, req.BrokerEpoch); why != nil {
		resp.ErrorCode = wire.StaleBrokerEpoch.Code()
		return resp, nil
	}
	var changes []cluster.Change
	done := make(map[partitionKey]bool)
	b := m.brokers(img)
	for i := range req.Topics {
		rt := kmsg.NewAlterPartitionResponseTopic()
		rt.Topic, rt.TopidID = req.Topics[i].Topic, req.Topics[i].TopicID
		t, ok := img.TopicByID(req.Topics[i].TopicID)
		for j := range req.Topics[i].Partitions {
			asked := &req.Topics[i].Partitions[j]
			rp := kmsg.NewAlterPartitionResponseTopicPartition()
			rp.Partition = asked.Partition
			key := partitionKey{rt.TopidID, asked.Partition}
			switch {
			case !ok:
				rp.ErrorCode = wire.UnknownTopicID.Code()
			case asked.Partition < 0 || int(asked.Partition) >= len(t.Partitions):
				rp.ErrorCode = wire.UnknownTopicOrPartition.Code()
			case done[key]: // its second change would rest on the first one
				rp.ErrorCode = wire.InvalidRequest.Code()
			case len(changes) == changesMax: // the leader asks again
				rp.ErrorCode = wire.RequestTimedOut.Code()
			default:
				done[key] = true
				changes = append(changes, b.alterISR(t, req.BrokerID, proposalOf(req.Version, asked), &rp)...)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp, changes
}

type partitionKey struct {
	topic cluster.UUID
	index int32
}

// proposal is the in-sync set that a leader asks for.
type proposal struct {
	leaderEpoch, partitionEpoch int32
	isr                         []cluster.NodeID
	epochs                      []int64 // of the members' registrations; -1 where it is not known
	recovering                  bool
}

func proposalOf(version int16, asked *kmsg.AlterPartitionRequestTopicPartition) proposal {
	p := proposal{
		leaderEpoch: asked.LeaderEpoch, partitionEpoch: asked.PartitionEpoch, recovering: asked.LeaderRecoveryState != 0,
	}
	if version < 3 {
		p.isr = slices.Clone(asked.NewISR)
		p.epochs = slices.Repeat([]int64{-1}, len(p.isr))
		return p
	}
	for _, member := range asked.NewEpochISR {
		p.isr, p.epochs = append(p.isr, member.BrokerID), append(p.epochs, member.BrokerEpoch)
	}
	return p
}

// alterISR fills in the answer for one partition, and returns its change if it has one.
func (b *brokers) alterISR(t *cluster.Topic, leader cluster.NodeID, asked proposal, rp *kmsg.AlterPartitionResponseTopicPartition) []cluster.Change {
	p := &t.Partitions[rp.Partition]
	if code := asked.check(b.img, p, leader); code != wire.None {
		rp.ErrorCode = code.Code()
		return nil
	}
	next := *p
	next.ISR, next.Recovering = inOrder(p.Replicas, asked.isr), asked.recovering
	settled, changed := b.rules(t).settle(p, next)
	var changes []cluster.Change
	if changed {
		changes = []cluster.Change{cluster.ChangePartition{TopicID: t.ID, Index: rp.Partition, Partition: settled}}
	}
	if settled.Leader != leader {
		rp.ErrorCode = wire.NewLeaderElected.Code()
		return changes
	}
	rp.LeaderID, rp.LeaderEpoch, rp.PartitionEpoch = settled.Leader, settled.LeaderEpoch, settled.PartitionEpoch
	rp.ISR = settled.ISR
	if settled.Recovering {
		rp.LeaderRecoveryState = 1
	}
	return changes
}

// inOrder returns set in the order of replicas, which contains it; replicas itself when it is the same.
func inOrder(replicas, set []cluster.NodeID) []cluster.NodeID {
	return minus(replicas, minus(replicas, set))
}

// check tells what is wrong with a proposal, in Kafka's order. One that rests on more than this image has is of another
// controller's time: the leader has to find that one.
func (asked proposal) check(img *cluster.Image, p *cluster.Partition, leader cluster.NodeID) wire.Error {
	switch {
	case asked.leaderEpoch > p.LeaderEpoch, asked.partitionEpoch > p.PartitionEpoch:
		return wire.NotController
	case asked.leaderEpoch < p.LeaderEpoch:
		return wire.FencedLeaderEpoch
	case leader != p.Leader:
		return wire.InvalidRequest
	case asked.partitionEpoch < p.PartitionEpoch && !seeded.Is(seeded.PassOverPartitionEpoch):
		return wire.InvalidUpdateVersion
	case !slices.Contains(asked.isr, leader) && !asked.resigns(img, p):
		return wire.InvalidRequest
	case asked.recovering && (!p.Recovering || len(asked.isr) > 1):
		return wire.InvalidRequest
	}
	for i, id := range asked.isr {
		if !slices.Contains(p.Replicas, id) || slices.Contains(asked.isr[:i], id) {
			return wire.InvalidRequest
		}
	}
	for i, id := range asked.isr {
		if !asked.mayJoin(img, p, id, asked.epochs[i]) {
			return wire.IneligibleReplica
		}
	}
	return wire.None
}

// resigns tells whether a leader leaves the others that are in sync, as one whose log has failed does (Kafka has no such
// request). Another one is elected then: of those, or where it was alone, of the eligible.
func (asked proposal) resigns(img *cluster.Image, p *cluster.Partition) bool {
	others := minus(p.ISR, []cluster.NodeID{p.Leader})
	if !slices.Equal(inOrder(p.Replicas, asked.isr), inOrder(p.Replicas, others)) {
		return false
	}
	return len(others) > 0 || slices.ContainsFunc(p.ELR, func(id cluster.NodeID) bool {
		b, ok := img.Broker(id)
		return ok && standingOf(&b) == live
	})
}

// mayJoin tells whether a broker may be in the in-sync set. One that drains may stay in it: a leader that is alone could
// otherwise never let in the replica that it waits for to hand over.
func (asked proposal) mayJoin(img *cluster.Image, p *cluster.Partition, id cluster.NodeID, epoch int64) bool {
	b, ok := img.Broker(id)
	if seeded.Is(seeded.PassOverBrokerEpoch) {
		epoch = -1
	}
	if seeded.Is(seeded.AdmitFenced) {
		b.Fenced = false
	}
	return ok && (epoch == -1 || epoch == b.Epoch) && !b.Fenced && (!b.Draining || slices.Contains(p.ISR, id))
}
