package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaveGroup, versions 0 to 5: the group coordinator's.

func (b *Broker) leaveGroup(ctx context.Context, r *Request, req *kmsg.LeaveGroupRequest) func(context.Context) *kmsg.LeaveGroupResponse {
	return b.cfg.Groups.LeaveGroup(ctx, client(r), req)
}
