package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

// Conn is one client's connection.
type Conn struct {
	proxy  *Proxy
	client Client

	mu struct {
		sync.Mutex
		streams map[cluster.NodeID]*peer.Stream
		routes  map[routeKey]*route
		closed  bool
	}
}

var (
	errClosed = errors.New("the client's connection has ended")
	// errUnknownOutcome means that a node has gone after it was sent something that is never answered (acks=0).
	errUnknownOutcome = errors.New("the connection to the node has ended, and nobody knows what became of the latest requests")
)

// close ends the streams, and with them whatever the client still waits for.
func (c *Conn) close() {
	c.mu.Lock()
	streams := c.mu.streams
	c.mu.streams, c.mu.closed = nil, true
	c.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}

// call is one request of a client.
type call struct {
	*Conn
	header wire.RequestHeader
	img    *cluster.Image
	req    kmsg.Request // nil for Produce and Fetch
}

// Start begins a request, as broker.Broker's Start does. The memory that body aliases may be reused when it has returned.
func (c *Conn) Start(ctx context.Context, h wire.RequestHeader, body any) (broker.Finish, error) {
	r := &call{Conn: c, header: h, img: c.proxy.cfg.Image()}
	switch body := body.(type) {
	case *wire.ProduceRequest:
		return r.produce(ctx, body)
	case *wire.FetchRequest:
		return func(ctx context.Context) wire.Response { return r.fetch(ctx, body) }, nil
	}
	answer, ok := routes[h.Key]
	if !ok {
		return nil, broker.ErrNotServed
	}
	r.req = body.(kmsg.Request)
	return func(ctx context.Context) wire.Response {
		resp, err := answer(r, ctx)
		if err != nil {
			return lost{err}
		}
		return wire.Message(resp)
	}, nil
}

// lost is the reply that closes the connection, because there is none: an answer was lost.
type lost struct{ err error }

// AppendTo implements wire.Response.
func (l lost) AppendTo(dst []byte) ([]byte, error) { return dst, l.err }

// stream returns the way to a node, which is made if there is none. An error that matches peer.ErrNotSent means that the node
// cannot be reached.
func (c *Conn) stream(ctx context.Context, node cluster.NodeID) (*peer.Stream, error) {
	c.mu.Lock()
	s, closed := c.mu.streams[node], c.mu.closed
	c.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if s != nil {
		switch ended, answered := s.Ended(); {
		case !ended:
			return s, nil
		case !answered:
			return nil, fmt.Errorf("node %d: %w", node, errUnknownOutcome)
		}
		s.Close()
	}
	s, err := c.proxy.cfg.Peers.Open(ctx, node)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if closed = c.mu.closed; !closed {
		c.mu.streams[node] = s
	}
	c.mu.Unlock()
	if closed {
		s.Close()
		return nil, errClosed
	}
	s.Send(c.introduction())
	return s, nil
}

// introduction says for whom a stream is; and, later, that the client waits for no more than there is. Nobody needs its reply.
func (c *Conn) introduction() peer.Message {
	return peer.Message{Request: &wire.ProxiedRequest{Client: c.client.Address}}
}

// reach returns the way to a node, or to this one when the node cannot be reached: it knows how to say that it is not the
// one that was asked for.
func (c *Conn) reach(ctx context.Context, node cluster.NodeID) (*peer.Stream, error) {
	s, err := c.stream(ctx, node)
	if errors.Is(err, peer.ErrNotSent) && node != c.proxy.cfg.NodeID {
		c.proxy.cfg.Log.Debug("a node cannot be reached for a client", "client", c.client.Address, "err", err)
		return c.stream(ctx, c.proxy.cfg.NodeID)
	}
	return s, err
}

// reachable returns the node that reach would reach.
func (c *Conn) reachable(ctx context.Context, node cluster.NodeID) (cluster.NodeID, error) {
	s, err := c.reach(ctx, node)
	if err != nil {
		return 0, err
	}
	return s.Node(), nil
}

// send sends a request to a node.
func (r *call) send(ctx context.Context, node cluster.NodeID, req kmsg.Request) (*peer.Sent, error) {
	s, err := r.reach(ctx, node)
	if err != nil {
		return nil, err
	}
	return s.Send(r.message(req)), nil
}

// ask sends a request to a node and returns the answer.
func (r *call) ask(ctx context.Context, node cluster.NodeID, req kmsg.Request) (kmsg.Response, error) {
	sent, err := r.send(ctx, node, req)
	if err != nil {
		return nil, err
	}
	return sent.Wait(ctx)
}

// message makes a request of the client's version and name.
func (r *call) message(req kmsg.Request) peer.Message {
	req.SetVersion(r.header.Version)
	return peer.Message{ClientID: r.header.ClientID, Request: req, Patience: patienceFor(req)}
}

// changePatience is how long a node may let a change of the cluster take, whatever its client says.
const changePatience = 5 * time.Minute

// patienceFor is how long a request may wait at its node for what others do.
func patienceFor(req kmsg.Request) time.Duration {
	millis := int64(0)
	switch req := req.(type) {
	case *kmsg.FetchRequest:
		millis = int64(req.MaxWaitMillis)
	case *kmsg.JoinGroupRequest:
		millis = int64(max(req.RebalanceTimeoutMillis, req.SessionTimeoutMillis))
	case *kmsg.SyncGroupRequest: // until the group's leader has decided, or its session has ended
		return changePatience
	case kmsg.TimeoutRequest:
		millis = int64(req.Timeout())
	}
	return time.Duration(max(millis, 0)) * time.Millisecond
}
