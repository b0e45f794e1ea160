package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// SyncGroup, versions 0 to 5: the group coordinator's. The reply is parked until the group's leader has sent the assignment.
// v5 says what the member believes the group's protocol to be (KIP-559), and has to.

func (b *Broker) syncGroup(ctx context.Context, r *Request, req *kmsg.SyncGroupRequest) func(context.Context) *kmsg.SyncGroupResponse {
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode = wire.InconsistentGroupProtocol.Code()
		return func(context.Context) *kmsg.SyncGroupResponse { return resp }
	}
	return b.cfg.Groups.SyncGroup(ctx, client(r), req)
}
