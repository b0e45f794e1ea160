package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddRaftVoter, versions 0 to 1 (KIP-853, KIP-1186): a node becomes a voter of the metadata quorum, once it has caught up. It
// is answered when that is committed, also when v1 asks for less.

func (b *Broker) addRaftVoter(ctx context.Context, _ *Request, req *kmsg.AddRaftVoterRequest) *kmsg.AddRaftVoterResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if resp != nil {
		return resp.(*kmsg.AddRaftVoterResponse)
	}
	failed := kmsg.NewPtrAddRaftVoterResponse()
	failed.ErrorCode, failed.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return failed
}
