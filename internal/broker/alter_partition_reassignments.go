package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// AlterPartitionReassignments, versions 0 and 1 (KIP-455, KIP-860): the controller's.

func (b *Broker) alterPartitionReassignments(ctx context.Context, _ *Request, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	resp, code := b.change(ctx, req, req.TimeoutMillis)
	if code == wire.None {
		return resp.(*kmsg.AlterPartitionAssignmentsResponse)
	}
	failed := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	failed.ErrorCode, failed.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
	return failed
}
