package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncGroup, versions 0 to 5: the group coordinator's. The reply is parked until the group's leader has sent the assignment.

func (b *Broker) syncGroup(ctx context.Context, r *Request, req *kmsg.SyncGroupRequest) func(context.Context) *kmsg.SyncGroupResponse {
	return b.cfg.Groups.SyncGroup(ctx, client(r), req)
}
