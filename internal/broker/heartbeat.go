package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat, versions 0 to 4: the group coordinator's.

func (b *Broker) heartbeat(ctx context.Context, r *Request, req *kmsg.HeartbeatRequest) func(context.Context) *kmsg.HeartbeatResponse {
	return b.cfg.Groups.Heartbeat(ctx, client(r), req)
}
