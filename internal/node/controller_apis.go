package node

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// nodeAPI is one row of what only nodes ask of each other. It is served by listeners for controllers and told to no client.
type nodeAPI struct {
	key int16
	// pipelines: the next request starts before this one's reply has left. What waits for the quorum must not hold up others.
	pipelines bool
	bytesMax  int // 0: as the listener allows
	start     func(*Node, context.Context, kmsg.Request) listener.Finish
}

// nodeAPIs is the table of them.
var nodeAPIs = [...]nodeAPI{
	{wire.KeyRaftMessages, true, 0, (*Node).startRaftMessages},
	{wire.KeyHello, false, plainBytesMax, (*Node).startHello},
	{int16(kmsg.Envelope), true, 2 * plainBytesMax, (*Node).startEnvelope},
}

func lookupNodeAPI(key int16) (*nodeAPI, bool) {
	for i := range nodeAPIs {
		if a := &nodeAPIs[i]; a.key == key {
			return a, true
		}
	}
	return nil, false
}

// replied is the Finish of a request whose reply is known.
func replied(req kmsg.Request, resp kmsg.Response) listener.Finish {
	resp.SetVersion(req.GetVersion())
	return func(context.Context) wire.Response { return wire.Message(resp) }
}

// startRaftMessages hands messages to the quorum. Until it is open they are lost, as on the way.
func (n *Node) startRaftMessages(ctx context.Context, r kmsg.Request) listener.Finish {
	req := r.(*wire.RaftMessagesRequest)
	resp := &wire.RaftMessagesResponse{}
	q := n.openedQuorum()
	switch {
	case req.To != n.broker.NodeID:
		resp.ErrorCode = wire.BrokerIDNotRegistered.Code()
	case q == nil:
	case req.ClusterID != n.dir.ClusterID():
		resp.ErrorCode = wire.InconsistentClusterID.Code()
	default:
		messages, err := peer.ParseRaftMessages(req)
		if err != nil {
			n.log.Warn("a node sends what is no message of the quorum", "node", req.From, "err", err)
			resp.ErrorCode = wire.InvalidRequest.Code()
		}
		if _, known := n.controllers.Address(req.From); !known && req.Address != "" {
			n.controllers.SetAddress(req.From, req.Address)
		}
		n.lookout.spoke(ctx, req.From, asMember, -1)
		for _, m := range messages {
			n.raft.SetVoter(m.GetFrom(), req.From) // this node's log may not know of that member yet
			q.Step(m)
		}
	}
	return replied(req, resp)
}

// decision is what the quorum made of a request.
type decision struct {
	resp kmsg.Response
	err  error
}

// decidePatience bounds how long a request of another node waits for the quorum. The node gives up before.
const decidePatience = 30 * time.Second

// decide begins to run a request at this node's quorum, and never at another's. The channel gets what comes of it.
func (n *Node) decide(ctx context.Context, req kmsg.Request) <-chan decision {
	done := make(chan decision, 1)
	q := n.openedQuorum()
	if q == nil {
		done <- decision{err: &quorum.NotControllerError{Controller: -1}}
		return done
	}
	go func() { // ends with the connection, or the quorum
		ctx, cancel := context.WithTimeout(ctx, decidePatience)
		defer cancel()
		defer context.AfterFunc(n.changing, cancel)()
		resp, err := q.Do(ctx, req)
		if err == nil && resp == nil {
			err = wire.InvalidRequest
		}
		done <- decision{resp, err}
	}()
	return done
}

// decisionError returns the code for what the quorum could not decide.
func (n *Node) decisionError(req kmsg.Request, err error) wire.Error {
	var code wire.Error
	switch {
	case errors.As(err, &code):
		return code
	case errors.Is(err, quorum.ErrNotController):
		return wire.NotController
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, quorum.ErrOutcomeUnknown),
		errors.Is(err, quorum.ErrClosed), errors.Is(err, quorum.ErrFailed):
		return wire.RequestTimedOut
	}
	n.log.Error("request of another node failed", "api", wire.APIName(req.Key()), "err", err)
	return wire.UnknownServerError
}

// startEnvelope runs a request that another node has passed on (KIP-590). The response carries the offset of the image that
// has its changes.
func (n *Node) startEnvelope(ctx context.Context, r kmsg.Request) listener.Finish {
	req := r.(*kmsg.EnvelopeRequest)
	resp := kmsg.NewPtrEnvelopeResponse()
	h, body, err := wire.ReadRequestHeader(req.RequestData)
	var inner kmsg.Request
	if err == nil {
		inner, err = wire.DecodeRequest(h.Key, h.Version, body)
	}
	if err != nil {
		n.log.Warn("a node passes on what is no request", "err", err)
		resp.ErrorCode = wire.InvalidRequest.Code()
		return replied(req, resp)
	}
	if n.openedQuorum() != nil {
		n.lookout.spokeOf(ctx, inner)
	}
	decided := n.decide(ctx, inner)
	return func(ctx context.Context) wire.Response {
		ctx.Done() // replies before this one leave
		d := <-decided
		if d.err != nil {
			resp.ErrorCode = n.decisionError(inner, d.err).Code()
			return wire.Message(resp)
		}
		d.resp.SetVersion(h.Version)
		reply, err := wire.AppendReply(nil, h, wire.Message(d.resp))
		if err != nil {
			resp.ErrorCode = n.decisionError(inner, err).Code()
			return wire.Message(resp)
		}
		resp.ResponseData = reply[wire.FrameHeaderSize:]
		resp.UnknownTags.Set(imageOffsetTag, binary.BigEndian.AppendUint64(nil, uint64(n.quorum.Image().Offset())))
		return wire.Message(resp)
	}
}
