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
		streams map[cluster.NodeID]*link
		routes  map[routeKey]*route
		closed  bool
	}
}

// link is a stream, and the metadata offset that its node was told: it answers what comes behind when it has got there.
type link struct {
	*peer.Stream
	told int64 // of whoever sends for the client, one at a time
}

// noOffset is before the offset of every image.
const noOffset = -2

var (
	errClosed = errors.New("the client's connection has ended")
	// errUnknownOutcome means that a node has gone after it was sent something that is never answered (acks=0).
	errUnknownOutcome = errors.New("the connection to the node has ended, and nobody knows what became of the latest requests")
)

// lingerPatience is how long a client's streams outlive its connection: a client that sends something and goes has sent it
// (acks=0, LeaveGroup), as if it had been connected to the node itself.
const lingerPatience = 10 * time.Second

// close ends the streams, when their nodes have read what was sent. A Fetch that waits is ended.
func (c *Conn) close() {
	c.mu.Lock()
	streams := c.mu.streams
	c.mu.streams, c.mu.closed = nil, true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), lingerPatience)
	defer cancel()
	var last []*peer.Sent
	for _, s := range streams {
		if s.Owes() {
			last = append(last, s.Send(c.introduction(c.proxy.cfg.Image().Offset())))
		}
	}
	for _, sent := range last {
		_, _ = sent.Wait(ctx) // whatever it is, nobody is there to be told
	}
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
	r.req = body.(kmsg.Request)
	if group, only := groupOf(r.req); only {
		return r.ofGroup(ctx, group)
	}
	answer, ok := routes[h.Key]
	if !ok {
		return nil, broker.ErrNotServed
	}
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
// cannot be reached. The node is told by which image it was chosen: otherwise it might not have heard yet of a topic that
// the client has just made here, or that it leads a partition.
func (r *call) stream(ctx context.Context, node cluster.NodeID) (*peer.Stream, error) {
	l, err := r.link(node)
	if err != nil {
		return nil, err
	}
	if l == nil {
		s, err := r.proxy.cfg.Peers.Open(ctx, node)
		if err != nil {
			return nil, err
		}
		l = &link{s, noOffset}
		if !r.keep(l) {
			s.Close()
			return nil, errClosed
		}
	}
	if l.told < r.img.Offset() {
		l.told = r.img.Offset()
		l.Send(r.introduction(l.told))
	}
	return l.Stream, nil
}

// link returns the link to a node, nil when there is none, or none any more by which nothing was lost.
func (c *Conn) link(node cluster.NodeID) (*link, error) {
	c.mu.Lock()
	l, closed := c.mu.streams[node], c.mu.closed
	c.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if l == nil {
		return nil, nil
	}
	switch ended, answered := l.Ended(); {
	case !ended:
		return l, nil
	case !answered:
		return nil, fmt.Errorf("node %d: %w", node, errUnknownOutcome)
	}
	l.Close()
	return nil, nil
}

// keep keeps a link until the client's connection ends, false when it has.
func (c *Conn) keep(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.closed {
		c.mu.streams[l.Node()] = l
	}
	return !c.mu.closed
}

// introduction says for whom a stream is and by which image its node was chosen; and that the client waits for no more than
// there is. Nobody needs its reply.
func (c *Conn) introduction(imageOffset int64) peer.Message {
	return peer.Message{Request: &wire.ProxiedRequest{Client: c.client.Address, ImageOffset: imageOffset}}
}

// reach returns the way to a node, or to this one when the node cannot be reached: it knows how to say that it is not the
// one that was asked for.
func (r *call) reach(ctx context.Context, node cluster.NodeID) (*peer.Stream, error) {
	s, err := r.stream(ctx, node)
	if errors.Is(err, peer.ErrNotSent) && node != r.proxy.cfg.NodeID {
		r.proxy.cfg.Log.Debug("a node cannot be reached for a client", "client", r.client.Address, "err", err)
		return r.stream(ctx, r.proxy.cfg.NodeID)
	}
	return s, err
}

// reachable returns the node that reach would reach.
func (r *call) reachable(ctx context.Context, node cluster.NodeID) (cluster.NodeID, error) {
	s, err := r.reach(ctx, node)
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
