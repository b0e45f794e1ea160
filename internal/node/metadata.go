package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/wire"
)

// metadata is the cluster's memory as this node reaches it: it reads its own image, and changes go to the controller,
// wherever that is. It implements broker.Metadata.
type metadata struct {
	*quorum.Quorum
	node *Node
}

// Pauses between attempts to reach the controller.
const (
	forwardPauseMin = 10 * time.Millisecond
	forwardPauseMax = 500 * time.Millisecond
)

// Do runs a request at the controller and returns when its changes are in this node's image. It looks for the controller as
// long as the context allows, and sends the request again only when it is certain that nothing was done of it.
func (m metadata) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.node.changing, cancel)()
	pause := forwardPauseMin
	for {
		resp, err := m.Quorum.Do(ctx, req)
		var elsewhere *quorum.NotControllerError
		if !errors.As(err, &elsewhere) {
			return resp, err
		}
		if id := elsewhere.Controller; id != cluster.NoLeader && id != m.node.broker.NodeID {
			resp, err = m.forward(ctx, id, req)
			if !errors.Is(err, peer.ErrNotSent) && !errors.Is(err, quorum.ErrNotController) {
				return resp, err
			}
		}
		if m.node.pause(ctx, pause) != nil {
			return nil, err
		}
		pause = min(2*pause, forwardPauseMax)
	}
}

// imageOffsetTag is the tagged field of an envelope's response that has the metadata offset which the controller's image
// had when it answered. It is ours: Kafka's brokers pass over it.
const imageOffsetTag = 10001

// forward sends a request to another node in an envelope (KIP-590).
func (m metadata) forward(ctx context.Context, controller cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
	asking, end := m.node.controllerWatch.while(ctx, controller)
	answer, err := m.node.controllers.Request(asking, controller, laneOf(req), wire.NewEnvelope(req))
	end()
	if err != nil {
		if errors.Is(err, peer.ErrNoAnswer) {
			err = fmt.Errorf("%w: %w", quorum.ErrOutcomeUnknown, err)
		}
		return nil, err
	}
	e := answer.(*kmsg.EnvelopeResponse)
	switch code := wire.Error(e.ErrorCode); code {
	case wire.None:
	case wire.NotController:
		return nil, &quorum.NotControllerError{Controller: cluster.NoLeader}
	case wire.RequestTimedOut:
		return nil, fmt.Errorf("node %d: %w", controller, quorum.ErrOutcomeUnknown)
	default:
		return nil, fmt.Errorf("node %d: %s: %w", controller, wire.APIName(req.Key()), code)
	}
	resp, err := wire.OpenEnvelope(e, req)
	if err != nil {
		return nil, fmt.Errorf("node %d: %w: %w", controller, quorum.ErrOutcomeUnknown, err)
	}
	return resp, m.awaitOffset(ctx, e)
}

// awaitOffset returns when this node's image has all that the controller's had.
func (m metadata) awaitOffset(ctx context.Context, e *kmsg.EnvelopeResponse) error {
	if seeded.Is(seeded.AnswerBeforeImage) {
		return nil
	}
	offset := int64(-1)
	e.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == imageOffsetTag && len(value) == 8 {
			offset = int64(binary.BigEndian.Uint64(value))
		}
	})
	if err := m.AwaitImage(ctx, offset); err != nil {
		return fmt.Errorf("%w: it has not got to metadata offset %d: %w", errBehind, offset, err)
	}
	return nil
}

// errBehind means that the controller has answered, and that this node does not have what it has answered by.
var errBehind = errors.New("this node's metadata is behind the controller's answer")

// laneOf keeps what tells that a broker lives from waiting behind anything else.
func laneOf(req kmsg.Request) peer.Lane {
	switch req.(type) {
	case *kmsg.BrokerHeartbeatRequest, *kmsg.BrokerRegistrationRequest:
		return peer.Liveness
	}
	return peer.Control
}
