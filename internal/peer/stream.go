package peer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// Stream is a connection of its own to a node, for requests that have an order among each other and nothing to do with
// anybody else's: those of one client that this node speaks for. It is one connection: when that has ended the stream has.
// All methods may be called by any goroutine.
type Stream struct {
	peers      *Peers
	conn       *conn
	unanswered atomic.Int32
	sending    vfs.Gate // one message after the other
}

// Message is a request that is sent by a stream, in the version that it has.
type Message struct {
	ClientID *string
	Request  kmsg.Request
	// Patience is how long the reply may take beyond Config.ReplyTimeout.
	Patience time.Duration
	// Arrived gets a token, if it has room for one, when the reply is there or will never be. It may be nil.
	Arrived chan<- struct{}
}

// unreachablePause is for how long a node that could not be connected to is not tried again: until the cluster gives it up,
// each request of each client would wait for it.
const unreachablePause = 500 * time.Millisecond

var errUnreachable = errors.New("it could not be connected to a moment ago")

// Open connects to a node. Its errors match ErrNotSent.
func (p *Peers) Open(ctx context.Context, node cluster.NodeID) (*Stream, error) {
	address, err := p.addressToOpen(node)
	if err != nil {
		return nil, notSent(node, err)
	}
	dialing, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	raw, err := p.cfg.Dial(dialing, address)
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.mu.nodes[node]
	switch {
	case err != nil:
		if known && n.address == address && ctx.Err() == nil { // a client that goes says nothing of the node
			n.unreachable = time.Now()
		}
		return nil, notSent(node, err)
	case !known:
		_ = raw.Close()
		return nil, notSent(node, p.unknown())
	case n.address != address:
		_ = raw.Close()
		return nil, notSent(node, errMoved)
	}
	s := &Stream{peers: p}
	s.conn = newConn(p, node, p.cfg.ReplyTimeout, &s.unanswered, raw, nil)
	n.streams[s] = struct{}{}
	return s, nil
}

func (p *Peers) addressToOpen(node cluster.NodeID) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.mu.nodes[node]
	switch {
	case !known:
		return "", p.unknown()
	case time.Since(n.unreachable) < unreachablePause:
		return "", errUnreachable
	}
	return n.address, nil
}

// EndStreams ends all streams to a node: the cluster holds it for dead, and who waits for it does so in vain.
func (p *Peers) EndStreams(node cluster.NodeID) {
	p.mu.Lock()
	n := p.mu.nodes[node]
	var streams []*Stream
	if n != nil {
		streams = n.takeStreams()
	}
	p.mu.Unlock()
	for _, s := range streams {
		s.conn.fail(errDead)
	}
}

// takeStreams returns the streams to a node, which nobody else ends any more. The caller holds the lock of the Peers.
func (n *peer) takeStreams() []*Stream {
	streams := make([]*Stream, 0, len(n.streams))
	for s := range n.streams {
		streams = append(streams, s)
	}
	clear(n.streams)
	return streams
}

// Close ends the stream; what waits for a reply fails.
func (s *Stream) Close() {
	p := s.peers
	p.mu.Lock()
	if n := p.mu.nodes[s.conn.node]; n != nil {
		delete(n.streams, s)
	}
	p.mu.Unlock()
	s.conn.fail(ErrClosed)
}

// Node returns the node at the other end.
func (s *Stream) Node() cluster.NodeID { return s.conn.node }

// Ended tells whether the stream has ended, and if so whether everything that was sent by it was answered. Of messages that
// were sent one way nobody knows whether they have arrived, unless something that was sent behind them was answered.
func (s *Stream) Ended() (ended, answered bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead != nil, c.dead != nil && c.arrived == c.oneWays && !c.cut
}

// Owes tells whether the node may not have read all that was sent, or has not answered it.
func (s *Stream) Owes() bool {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead == nil && (len(c.pending) > 0 || c.arrived < c.oneWays)
}

// Send writes a request, and returns when the node's system has taken it or the stream has ended.
func (s *Stream) Send(m Message) *Sent {
	c := s.call(m)
	s.sending.Lock()
	defer s.sending.Unlock()
	s.unanswered.Add(1)
	s.conn.send(c)
	return &Sent{request: m.Request, call: c, node: s.conn.node}
}

// SendOneWay writes a request that is never answered (Produce with acks=0). An error matches ErrNotSent.
func (s *Stream) SendOneWay(m Message) error {
	c := s.call(m)
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.conn.expectNothing(); err != nil {
		return notSent(s.conn.node, err)
	}
	s.conn.writeFrame(c.frame)
	return nil
}

func (s *Stream) call(m Message) *call {
	c := &call{
		key: m.Request.Key(), version: m.Request.GetVersion(), bytesMax: s.peers.cfg.ReplyBytesMax, done: make(chan outcome, 1),
		patience: m.Patience, arrived: m.Arrived,
		frame: wire.AppendRequest(nil, wire.RequestHeader{Key: m.Request.Key(), Version: m.Request.GetVersion(), ClientID: m.ClientID}, m.Request.AppendTo),
	}
	c.take() // it is never taken back
	return c
}

// Sent is a request that a stream has sent.
type Sent struct {
	request kmsg.Request
	node    cluster.NodeID
	call    *call
}

// Answered tells whether the reply is there, or will never be.
func (s *Sent) Answered() bool { return len(s.call.done) > 0 }

// Wait returns the reply. It is called once.
func (s *Sent) Wait(ctx context.Context) (kmsg.Response, error) {
	o := s.call.wait(ctx)
	if o.err != nil {
		return nil, fmt.Errorf("%s: %w", wire.APIName(s.request.Key()), o.err)
	}
	return readReply(s.node, s.request, o.body)
}
