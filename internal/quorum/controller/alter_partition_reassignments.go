package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// alterReassignments serves AlterPartitionReassignments (KIP-455): partitions get other replicas, or a reassignment that is
// under way is called off (null for the replicas). v1 can demand that the number of replicas stays (KIP-860).
func (m *Machine) alterReassignments(img *cluster.Image, req *kmsg.AlterPartitionAssignmentsRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	var changes []cluster.Change
	done := make(map[partitionKey]bool)
	b := m.brokers(img)
	for i := range req.Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = req.Topics[i].Topic
		t, known := img.Topic(rt.Topic)
		for j := range req.Topics[i].Partitions {
			asked := &req.Topics[i].Partitions[j]
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			rp.Partition = asked.Partition
			var why *refusal
			switch {
			case !known:
				why = &refusal{wire.UnknownTopicOrPartition, fmt.Sprintf("Unable to find a topic named %s.", rt.Topic)}
			case asked.Partition < 0 || int(asked.Partition) >= len(t.Partitions):
				why = &refusal{wire.UnknownTopicOrPartition,
					fmt.Sprintf("Unable to find partition %s:%d.", rt.Topic, asked.Partition)}
			case done[partitionKey{t.ID, asked.Partition}]:
				why = &refusal{wire.InvalidRequest, "The partition is named twice."}
			case len(changes) == changesMax:
				why = &refusal{wire.RequestTimedOut, "Too many reassignments at once: ask again for the rest."}
			default:
				done[partitionKey{t.ID, asked.Partition}] = true
				var change []cluster.Change
				change, why = b.reassign(t, asked, req.AllowReplicationFactorChange)
				changes = append(changes, change...)
			}
			if why != nil {
				rp.ErrorCode, rp.ErrorMessage = why.code.Code(), why.message()
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp, changes
}

// reassign returns the change that begins, redirects or calls off a reassignment; none when everything is as asked.
func (b *brokers) reassign(t *cluster.Topic, asked *kmsg.AlterPartitionAssignmentsRequestTopicPartition, resize bool) ([]cluster.Change, *refusal) {
	p, r := &t.Partitions[asked.Partition], b.rules(t)
	var next cluster.Partition
	if asked.Replicas == nil {
		reverted, why := r.revert(p, fmt.Sprintf("%s:%d", t.Name, asked.Partition))
		if why != nil {
			return nil, why
		}
		next = reverted
	} else {
		if why := checkAssignment(b.img, asked.Replicas, 0); why != nil {
			return nil, why
		}
		if now := len(p.Replicas) - len(p.Removing); !resize && now != len(asked.Replicas) {
			return nil, &refusal{wire.InvalidReplicationFactor,
				fmt.Sprintf("The replication factor is changed from %d to %d", now, len(asked.Replicas))}
		}
		next = r.redirect(p, asked.Replicas)
	}
	settled, changed := r.settle(p, next)
	if !changed {
		return nil, nil
	}
	return []cluster.Change{cluster.ChangePartition{TopicID: t.ID, Index: asked.Partition, Partition: settled}}, nil
}

// redirect returns the partition with a reassignment to target under way. The replicas of target come first, so that one of
// them is preferred, those that go come last. A replica that an earlier reassignment has brought and this one does not want
// goes at once, unless the in-sync set would be too small without it.
func (r rules) redirect(p *cluster.Partition, target []cluster.NodeID) cluster.Partition {
	dropped := minus(p.Adding, target)
	if left := len(minus(p.ISR, dropped)); left < min(r.minISR(len(target)), len(p.ISR)) {
		dropped = minus(dropped, p.ISR)
	}
	next := withoutReplicas(p, dropped)
	coming := inOrder(p.Adding, minus(target, minus(target, p.Adding)))
	next.Removing = minus(next.Replicas, target)
	next.Adding = minus(target, minus(next.Replicas, coming))
	next.Replicas = append(slices.Clone(target), next.Removing...)
	return next
}

func withoutReplicas(p *cluster.Partition, gone []cluster.NodeID) cluster.Partition {
	next := *p
	next.Replicas, next.ISR = minus(p.Replicas, gone), minus(p.ISR, gone)
	next.ELR, next.LastKnownELR = minus(p.ELR, gone), minus(p.LastKnownELR, gone)
	return next
}

// revert returns the partition as it would be without the reassignment that is under way. What came goes, what should have
// gone stays.
func (r rules) revert(p *cluster.Partition, name string) (cluster.Partition, *refusal) {
	if !reassigned(p) {
		return *p, &refusal{code: wire.NoReassignmentInProgress}
	}
	next := withoutReplicas(p, p.Adding)
	next.Adding, next.Removing = nil, nil
	if len(next.ISR) > 0 {
		return next, nil
	}
	next.Leader = cluster.NoLeader
	if settled, _ := r.settle(p, next); settled.Leader == cluster.NoLeader {
		return *p, &refusal{wire.InvalidReplicaAssignment, "Unable to revert partition assignment for " + name +
			" because it would require an unclean leader election."}
	}
	return next, nil
}
