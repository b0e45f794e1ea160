package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeGroups, versions 0 to 6: the group coordinator's. v3 adds what the client may do with the group: everything, as by Kafka without an authorizer.

func (b *Broker) describeGroups(ctx context.Context, r *Request, req *kmsg.DescribeGroupsRequest) func(context.Context) *kmsg.DescribeGroupsResponse {
	finish := b.cfg.Groups.DescribeGroups(ctx, client(r), req)
	if !req.IncludeAuthorizedOperations {
		return finish
	}
	return func(ctx context.Context) *kmsg.DescribeGroupsResponse {
		resp := finish(ctx)
		for i := range resp.Groups {
			resp.Groups[i].AuthorizedOperations = groupOperations
		}
		return resp
	}
}

// groupOperations is what a client may do with a group, in Kafka's AclOperation codes.
const groupOperations int32 = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
