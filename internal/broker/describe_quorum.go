package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeQuorum, versions 0 to 2 (KIP-595, KIP-836, KIP-853): the state of the metadata quorum, as its leader knows it.
// Members do not fetch here, the leader sends to them, so that the times of fetches are unknown but for the leader's own.

// metadataTopic is the topic that the quorum's log would be.
const metadataTopic = "__cluster_metadata"

func (b *Broker) describeQuorum(_ context.Context, _ *Request, req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	status := b.cfg.Metadata.Status()
	resp := kmsg.NewPtrDescribeQuorumResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			rt.Partitions = append(rt.Partitions, b.describedQuorum(&status, t.Topic, t.Partitions[j].Partition))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.Nodes = quorumNodes(b.cfg.Metadata.Image(), &status)
	return resp
}

func (b *Broker) describedQuorum(s *quorum.Status, topic string, partition int32) kmsg.DescribeQuorumResponseTopicPartition {
	rp := kmsg.NewDescribeQuorumResponseTopicPartition()
	rp.Partition, rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = partition, cluster.NoLeader, -1, -1
	code := wire.None
	switch {
	case topic != metadataTopic || partition != 0:
		code = wire.UnknownTopicOrPartition
	case s.Leader != b.cfg.NodeID:
		code = wire.NotLeaderOrFollower
	}
	if code != wire.None {
		rp.ErrorCode, rp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		return rp
	}
	rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = s.Leader, s.Epoch, s.HighWatermark
	now := b.now().UnixMilli()
	for _, m := range s.Members {
		r := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		r.ReplicaID, r.ReplicaDirectoryID, r.LogEndOffset = m.NodeID, m.DirectoryID, m.EndOffset
		r.LastFetchTimestamp, r.LastCaughtUpTimestamp = -1, -1
		if m.NodeID == s.Leader {
			r.LastFetchTimestamp, r.LastCaughtUpTimestamp = now, now
		}
		if m.Learner {
			rp.Observers = append(rp.Observers, r)
		} else {
			rp.CurrentVoters = append(rp.CurrentVoters, r)
		}
	}
	return rp
}

// quorumNodes returns where the members can be reached.
func quorumNodes(img *cluster.Image, s *quorum.Status) []kmsg.DescribeQuorumResponseNode {
	var nodes []kmsg.DescribeQuorumResponseNode
	for _, m := range s.Members {
		node, ok := img.Broker(m.NodeID)
		if !ok {
			continue
		}
		rn := kmsg.NewDescribeQuorumResponseNode()
		rn.NodeID = m.NodeID
		for _, e := range node.Listeners {
			l := kmsg.NewDescribeQuorumResponseNodeListener()
			l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
			rn.Listeners = append(rn.Listeners, l)
		}
		nodes = append(nodes, rn)
	}
	return nodes
}
