package quorum

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeQuorum answers a request of that name (KIP-595, KIP-836, KIP-853): the state of the quorum as its leader knows it;
// any other node says that it does not lead. Do runs the request at the leader. Voters do not fetch, the leader sends to them:
// the times of their last fetches are those of their last answers.
func (q *Quorum) DescribeQuorum(req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	status := q.Status()
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			rt.Partitions = append(rt.Partitions, q.described(&status, t.Topic, t.Partitions[j].Partition))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.Nodes = quorumNodes(q.Image(), &status)
	return resp
}

func (q *Quorum) described(s *Status, topic string, partition int32) kmsg.DescribeQuorumResponseTopicPartition {
	rp := kmsg.NewDescribeQuorumResponseTopicPartition()
	rp.Partition, rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = partition, cluster.NoLeader, -1, -1
	code := wire.None
	switch {
	case topic != MetadataTopic || partition != 0:
		code = wire.UnknownTopicOrPartition
	case !s.Leading:
		code = wire.NotLeaderOrFollower
	}
	if code != wire.None {
		rp.ErrorCode, rp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		return rp
	}
	rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = s.Leader, s.Epoch, s.HighWatermark
	now := q.now()
	for _, m := range s.Members {
		if m.Voter.is(q.cfg.Self) {
			m.LastFetch, m.LastCaughtUp = now, now
		}
		r := replicaState(m.Voter, m.EndOffset, m.LastFetch, m.LastCaughtUp)
		if m.Learner {
			rp.Observers = append(rp.Observers, r)
		} else {
			rp.CurrentVoters = append(rp.CurrentVoters, r)
		}
	}
	for _, o := range s.Observers {
		rp.Observers = append(rp.Observers, replicaState(o.Voter, o.EndOffset, o.LastFetch, o.LastCaughtUp))
	}
	return rp
}

func replicaState(v Voter, end int64, fetched, caughtUp time.Time) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	r := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	r.ReplicaID, r.ReplicaDirectoryID, r.LogEndOffset = v.NodeID, v.DirectoryID, end
	r.LastFetchTimestamp, r.LastCaughtUpTimestamp = -1, -1
	if !fetched.IsZero() {
		r.LastFetchTimestamp = fetched.UnixMilli()
	}
	if !caughtUp.IsZero() {
		r.LastCaughtUpTimestamp = caughtUp.UnixMilli()
	}
	return r
}

// quorumNodes returns where the members can be reached.
func quorumNodes(img *cluster.Image, s *Status) []kmsg.DescribeQuorumResponseNode {
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
