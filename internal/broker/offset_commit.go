package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit, versions 0 to 10: the group coordinator's. Clients of 2015 send v0 to the partition's leader instead of a
// coordinator: every broker takes it.

func (b *Broker) offsetCommit(_ context.Context, r *Request, req *kmsg.OffsetCommitRequest) func(context.Context) *kmsg.OffsetCommitResponse {
	return func(ctx context.Context) *kmsg.OffsetCommitResponse {
		b.ensureOffsetsTopic(ctx)
		if resp, passed := b.commitElsewhere(ctx, req); passed {
			return resp
		}
		return b.cfg.Groups.OffsetCommit(ctx, client(r), req)(ctx)
	}
}
