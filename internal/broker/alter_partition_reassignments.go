package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// AlterPartitionReassignments, versions 0 and 1 (KIP-455, KIP-860).
//
// A cluster is one broker: a partition can only be sent to where it is, which changes nothing, and none is ever on its
// way, so that there is nothing to cancel (null for the replicas). All else is wrong, and said to be so as by Kafka.

func (b *Broker) alterPartitionReassignments(_ context.Context, _ *Request, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	for i := range req.Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			rp.Partition = p.Partition
			code, text := reassign(img, rt.Topic, p.Partition, p.Replicas)
			rp.ErrorCode, rp.ErrorMessage = code.Code(), nullable(text)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func reassign(img *cluster.Image, topic string, index int32, replicas []int32) (wire.Error, string) {
	t, ok := img.Topic(topic)
	if !ok {
		return wire.UnknownTopicOrPartition, fmt.Sprintf("Unable to find a topic named %s.", topic)
	}
	if index < 0 || int(index) >= len(t.Partitions) {
		return wire.UnknownTopicOrPartition, fmt.Sprintf("Unable to find partition %s:%d.", topic, index)
	}
	if replicas == nil {
		return wire.NoReassignmentInProgress, ""
	}
	if text := checkAssignment(img, replicas); text != "" {
		return wire.InvalidReplicaAssignment, text
	}
	if !slices.Equal(replicas, t.Partitions[index].Replicas) {
		return wire.InvalidReplicaAssignment, "Replicas are not moved between brokers."
	}
	return wire.None, ""
}

// checkAssignment returns what is wrong with a list of brokers.
func checkAssignment(img *cluster.Image, replicas []int32) string {
	if len(replicas) == 0 {
		return "The manual partition assignment includes an empty replica list."
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if _, registered := img.Broker(id); !registered {
			return fmt.Sprintf("The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && id == sorted[i-1] {
			return fmt.Sprintf("The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	return ""
}
