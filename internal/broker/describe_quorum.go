package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeQuorum, versions 0 to 2 (KIP-595, KIP-836, KIP-853): the state of the metadata quorum, as its leader knows it. v2 names
// the replicas' directories and the voters' addresses. While there is no leader, that is the answer.

func (b *Broker) describeQuorum(ctx context.Context, _ *Request, req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	if resp := quorum.RefuseDescribeQuorum(req); resp != nil {
		return resp
	}
	if b.cfg.Metadata.Status().Leader == cluster.NoLeader {
		return failedDescribeQuorum(wire.LeaderNotAvailable)
	}
	resp, code := b.change(ctx, req, 0)
	if resp != nil {
		return resp.(*kmsg.DescribeQuorumResponse)
	}
	return failedDescribeQuorum(code)
}

func failedDescribeQuorum(code wire.Error) *kmsg.DescribeQuorumResponse {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	resp.ErrorCode, resp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return resp
}
