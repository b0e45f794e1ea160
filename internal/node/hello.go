package node

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// startHello tells another node who this one is, and what it knows of the cluster.
func (n *Node) startHello(_ context.Context, r kmsg.Request) listener.Finish {
	req := r.(*wire.HelloRequest)
	resp := n.hello()
	if req.ClusterID != nil && resp.ClusterID != nil && *req.ClusterID != *resp.ClusterID {
		resp.ErrorCode = wire.InconsistentClusterID.Code()
	}
	return replied(req, resp)
}

// hello is what this node says of itself.
func (n *Node) hello() *wire.HelloResponse {
	resp := &wire.HelloResponse{NodeID: n.broker.NodeID, DirectoryID: n.dir.DirectoryID()}
	if id := n.knownClusterID(); id != "" {
		resp.ClusterID = &id
	}
	q := n.openedQuorum()
	if q == nil {
		return resp
	}
	resp.Formed = true
	for _, m := range q.Status().Members {
		if m.Learner {
			continue
		}
		resp.Voters = append(resp.Voters, wire.HelloVoter{NodeID: m.NodeID, DirectoryID: m.DirectoryID, Address: n.memberAddress(m)})
	}
	return resp
}

// memberAddress returns where a member of the quorum is, "" when nobody has said.
func (n *Node) memberAddress(m quorum.Member) string {
	if m.Address != "" {
		return m.Address
	}
	address, _ := n.voterAddress(m.NodeID)
	return address
}
