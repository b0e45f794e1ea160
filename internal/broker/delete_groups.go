package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteGroups, versions 0 to 2: the group coordinator's.

func (b *Broker) deleteGroups(ctx context.Context, r *Request, req *kmsg.DeleteGroupsRequest) func(context.Context) *kmsg.DeleteGroupsResponse {
	return b.cfg.Groups.DeleteGroups(ctx, client(r), req)
}
