package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
)

// listReassignments serves ListPartitionReassignments (KIP-455): the reassignments that are under way. It is asked here, and
// not of any broker's image, so that whoever has begun one finds it. Null for the topics asks for all, and costs a look at
// each partition.
func listReassignments(img *cluster.Image, req *kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	add := func(t *cluster.Topic, indexes []int32) {
		rt := kmsg.NewListPartitionReassignmentsResponseTopic()
		rt.Topic = t.Name
		for _, i := range indexes {
			if i >= 0 && int(i) < len(t.Partitions) && reassigned(&t.Partitions[i]) {
				p := &t.Partitions[i]
				rp := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
				rp.Partition, rp.Replicas, rp.AddingReplicas, rp.RemovingReplicas = i, p.Replicas, p.Adding, p.Removing
				rt.Partitions = append(rt.Partitions, rp)
			}
		}
		if len(rt.Partitions) > 0 {
			resp.Topics = append(resp.Topics, rt)
		}
	}
	if req.Topics == nil {
		for t := range img.Topics() {
			var under []int32
			for i := range t.Partitions {
				if reassigned(&t.Partitions[i]) {
					under = append(under, int32(i))
				}
			}
			add(t, under)
		}
		return resp
	}
	for i := range req.Topics {
		if t, ok := img.Topic(req.Topics[i].Topic); ok {
			add(t, req.Topics[i].Partitions)
		}
	}
	return resp
}

// reassigned tells whether a partition is on its way to other replicas.
func reassigned(p *cluster.Partition) bool { return len(p.Adding)+len(p.Removing) > 0 }
