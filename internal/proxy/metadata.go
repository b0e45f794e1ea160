package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What tells of nodes: Metadata, DescribeCluster, DescribeTopicPartitions, FindCoordinator. This node's broker answers, and
// every node in the answer becomes this one.

func (r *call) metadata(ctx context.Context) (kmsg.Response, error) {
	answer, err := r.here(ctx)
	if err != nil {
		return nil, err
	}
	resp, self := answer.(*kmsg.MetadataResponse), r.self()
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port, b.Rack = self.NodeID, self.Host, self.Port, self.Rack
	resp.Brokers, resp.ControllerID = []kmsg.MetadataResponseBroker{b}, self.NodeID
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.Leader, p.Replicas, p.ISR, p.OfflineReplicas = r.oneReplica(p.Leader)
		}
	}
	return resp, nil
}

// oneReplica returns the replicas of a partition as the client sees them: one, here, in sync and leading if there is a leader
// anywhere, and else offline.
func (r *call) oneReplica(leader int32) (seen int32, replicas, inSync, offline []int32) {
	self := r.proxy.cfg.NodeID
	if leader < 0 {
		return leader, []int32{self}, []int32{}, []int32{self}
	}
	return self, []int32{self}, []int32{self}, []int32{}
}

func (r *call) describeCluster(ctx context.Context) (kmsg.Response, error) {
	answer, err := r.here(ctx)
	if err != nil {
		return nil, err
	}
	resp, self := answer.(*kmsg.DescribeClusterResponse), r.self()
	if resp.ErrorCode != 0 {
		return resp, nil
	}
	b := kmsg.NewDescribeClusterResponseBroker()
	b.NodeID, b.Host, b.Port, b.Rack = self.NodeID, self.Host, self.Port, self.Rack
	resp.Brokers, resp.ControllerID = []kmsg.DescribeClusterResponseBroker{b}, self.NodeID
	return resp, nil
}

func (r *call) describeTopicPartitions(ctx context.Context) (kmsg.Response, error) {
	answer, err := r.here(ctx)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.DescribeTopicPartitionsResponse)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.LeaderID, p.Replicas, p.ISR, p.OfflineReplicas = r.oneReplica(p.LeaderID)
			p.EligibleLeaderReplicas, p.LastKnownELR = []int32{}, []int32{}
		}
	}
	return resp, nil
}

// findCoordinatorKeysVersion is the first version of FindCoordinator that has several keys.
const findCoordinatorKeysVersion = 4

func (r *call) findCoordinator(ctx context.Context) (kmsg.Response, error) {
	answer, err := r.here(ctx)
	if err != nil {
		return nil, err
	}
	resp, self := answer.(*kmsg.FindCoordinatorResponse), r.self()
	if resp.Version < findCoordinatorKeysVersion && resp.NodeID >= 0 {
		resp.NodeID, resp.Host, resp.Port = self.NodeID, self.Host, self.Port
	}
	for i := range resp.Coordinators {
		if c := &resp.Coordinators[i]; c.NodeID >= 0 {
			c.NodeID, c.Host, c.Port = self.NodeID, self.Host, self.Port
		}
	}
	return resp, nil
}
