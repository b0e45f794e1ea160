package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetDelete, version 0: the group coordinator's.

func (b *Broker) offsetDelete(ctx context.Context, r *Request, req *kmsg.OffsetDeleteRequest) func(context.Context) *kmsg.OffsetDeleteResponse {
	return b.cfg.Groups.OffsetDelete(ctx, client(r), req)
}
