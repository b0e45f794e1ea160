package broker

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
)

// JoinGroup, versions 0 to 9: the group coordinator's. The reply is parked until all members have joined, or the rebalance timeout ends.

func (b *Broker) joinGroup(_ context.Context, r *Request, req *kmsg.JoinGroupRequest) func(context.Context) *kmsg.JoinGroupResponse {
	return func(ctx context.Context) *kmsg.JoinGroupResponse {
		// A client begins with it, at the broker that another one has named: the groups' topic may have been made just now.
		b.imageWith(ctx, func(img *cluster.Image) bool {
			_, ok := img.Topic(offsetsTopic)
			return ok
		})
		return b.cfg.Groups.JoinGroup(ctx, client(r), req)(ctx)
	}
}

// client says who sent a request, as groups show their members.
func client(r *Request) coordinator.Client {
	host, _, err := net.SplitHostPort(r.Conn.RemoteAddr)
	if err != nil {
		host = r.Conn.RemoteAddr
	}
	return coordinator.Client{ID: r.clientID(), Host: host}
}
