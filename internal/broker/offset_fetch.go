package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetFetch, versions 0 to 10: the group coordinator's. Clients of 2015 send v0 to the partition's leader instead of a
// coordinator: every broker takes it. A group that does not exist has offset -1 everywhere, without an error.

func (b *Broker) offsetFetch(_ context.Context, r *Request, req *kmsg.OffsetFetchRequest) func(context.Context) *kmsg.OffsetFetchResponse {
	return func(ctx context.Context) *kmsg.OffsetFetchResponse {
		b.ensureOffsetsTopic(ctx)
		if resp, passed := b.fetchElsewhere(ctx, req); passed {
			return resp
		}
		return b.cfg.Groups.OffsetFetch(ctx, client(r), req)(ctx)
	}
}
