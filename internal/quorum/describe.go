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
	if resp := RefuseDescribeQuorum(req); resp != nil {
		return resp
	}
	status := q.Status()
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	rt := kmsg.NewDescribeQuorumResponseTopic()
	rt.Topic = MetadataTopic
	rt.Partitions = append(rt.Partitions, q.described(&status))
	resp.Topics = append(resp.Topics, rt)
	resp.Nodes = quorumNodes(q.Image(), &status)
	return resp
}

// Barrier returns a request that changes nothing, and that the leader answers behind all that was decided before.
func Barrier() kmsg.Request { return kmsg.NewPtrDescribeQuorumRequest() }

// RefuseDescribeQuorum answers a request that is not about the metadata log and nothing else, as Kafka does; nil is for one
// that is. The state of the quorum would otherwise be told as often as a request names it.
func RefuseDescribeQuorum(req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	if len(req.Topics) == 1 {
		if t := &req.Topics[0]; t.Topic == MetadataTopic && len(t.Partitions) == 1 && t.Partitions[0].Partition == 0 {
			return nil
		}
	}
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			rp := kmsg.NewDescribeQuorumResponseTopicPartition()
			rp.Partition, rp.ErrorCode = t.Partitions[j].Partition, wire.UnknownTopicOrPartition.Code()
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// described is what this node knows of the metadata log.
func (q *Quorum) described(s *Status) kmsg.DescribeQuorumResponseTopicPartition {
	rp := kmsg.NewDescribeQuorumResponseTopicPartition()
	rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = cluster.NoLeader, -1, -1
	if !s.Leading {
		code := wire.NotLeaderOrFollower
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
