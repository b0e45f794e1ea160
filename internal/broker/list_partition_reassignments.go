package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// ListPartitionReassignments, version 0 (KIP-455): the controller's, which alone knows of all that have begun.

func (b *Broker) listPartitionReassignments(ctx context.Context, _ *Request, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.ListPartitionReassignmentsResponse)
	}
	failed := kmsg.NewPtrListPartitionReassignmentsResponse()
	failed.ErrorCode, failed.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return failed
}
