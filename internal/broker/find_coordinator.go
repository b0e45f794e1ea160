package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/wire"
)

// FindCoordinator, versions 0 to 6. v1 has kinds of keys; v4 several keys (KIP-699); v6 share groups.
//
// A group's coordinator is the leader of its partition of __consumer_offsets, which is made when the first client asks.
// A transaction's is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED: the one code that all clients, librdkafka
// included, take as final.

// The kinds of keys that have a coordinator.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
)

func (b *Broker) findCoordinator(ctx context.Context, r *Request, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	if req.CoordinatorType == groupCoordinator {
		b.ensureOffsetsTopic(ctx)
	}
	img := b.cfg.Metadata.Image()
	if req.Version >= 4 {
		for _, key := range req.CoordinatorKeys {
			resp.Coordinators = append(resp.Coordinators, b.coordinatorOf(img, r, req.CoordinatorType, key))
		}
		return resp
	}
	c := b.coordinatorOf(img, r, req.CoordinatorType, req.CoordinatorKey)
	resp.NodeID, resp.Host, resp.Port, resp.ErrorCode, resp.ErrorMessage = c.NodeID, c.Host, c.Port, c.ErrorCode, c.ErrorMessage
	return resp
}

func (b *Broker) coordinatorOf(img *cluster.Image, r *Request, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port = key, cluster.NoLeader, -1
	var code wire.Error
	switch kind {
	case groupCoordinator:
		code = b.groupCoordinator(img, r.Conn, &c)
	case transactionCoordinator:
		code = wire.TransactionalIDAuthorizationFailed
		c.ErrorMessage = kmsg.StringPtr("transactions are not served")
	default:
		code = wire.InvalidRequest
		c.ErrorMessage = kmsg.StringPtr("there is no coordinator for keys of this type")
	}
	c.ErrorCode = code.Code()
	return c
}

// groupCoordinator fills in the node that coordinates the group c.Key.
func (b *Broker) groupCoordinator(img *cluster.Image, conn *Conn, c *kmsg.FindCoordinatorResponseCoordinator) wire.Error {
	t, ok := img.Topic(offsetsTopic)
	if !ok {
		return wire.CoordinatorNotAvailable
	}
	p := &t.Partitions[coordinator.PartitionFor(c.Key, int32(len(t.Partitions)))]
	leader, code := leaderOn(img, p, conn.Listener)
	if code != wire.None {
		return wire.CoordinatorNotAvailable
	}
	node, _ := img.Broker(leader)
	e, _ := b.endpoint(&node, conn)
	c.NodeID, c.Host, c.Port = leader, e.Host, int32(e.Port)
	return wire.None
}
