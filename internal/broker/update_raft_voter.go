package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// UpdateRaftVoter, version 0 (KIP-853): a voter says where it is reached now.

func (b *Broker) updateRaftVoter(ctx context.Context, _ *Request, req *kmsg.UpdateRaftVoterRequest) *kmsg.UpdateRaftVoterResponse {
	resp, code := b.change(ctx, req, 0)
	if resp != nil {
		return resp.(*kmsg.UpdateRaftVoterResponse)
	}
	failed := kmsg.NewPtrUpdateRaftVoterResponse()
	status := b.cfg.Metadata.Status()
	failed.ErrorCode = code.Code()
	failed.CurrentLeader.LeaderID, failed.CurrentLeader.LeaderEpoch = status.Leader, status.Epoch
	return failed
}
