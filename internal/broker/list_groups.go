package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups, versions 0 to 5: the group coordinator's.

func (b *Broker) listGroups(ctx context.Context, r *Request, req *kmsg.ListGroupsRequest) func(context.Context) *kmsg.ListGroupsResponse {
	return b.cfg.Groups.ListGroups(ctx, client(r), req)
}
