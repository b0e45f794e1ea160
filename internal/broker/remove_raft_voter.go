package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// RemoveRaftVoter, version 0 (KIP-853): a voter of the metadata quorum becomes an observer. It is answered when that is
// committed.

func (b *Broker) removeRaftVoter(ctx context.Context, _ *Request, req *kmsg.RemoveRaftVoterRequest) *kmsg.RemoveRaftVoterResponse {
	resp, code := b.change(ctx, req, 0)
	if resp != nil {
		return resp.(*kmsg.RemoveRaftVoterResponse)
	}
	failed := kmsg.NewPtrRemoveRaftVoterResponse()
	failed.ErrorCode, failed.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return failed
}
