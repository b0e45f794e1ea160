package peer

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Config is what Peers are made of. Zero values mean the defaults named.
type Config struct {
	Self cluster.NodeID
	// Dial connects to host:port. The context bounds the attempt.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// DialTimeout bounds an attempt to connect. 3 s.
	DialTimeout time.Duration
	// ReplyTimeout is how long the reply to the oldest request may take, a Fetch's MaxWaitMillis in addition, and how long
	// the node may take to read a request. 30 s.
	ReplyTimeout time.Duration
	// LivenessTimeout is the same for the lanes Liveness and Messages. 2 s.
	LivenessTimeout time.Duration
	// ReplyBytesMax bounds a reply. 256 MiB.
	ReplyBytesMax int
	// Severed, when not nil, is told that a connection of the lane Liveness has ended, for whatever reason: the node may
	// take that for a sign that this one has died. It must not block.
	Severed func(cluster.NodeID)
	// IdleTimeout is for how long a connection is kept without requests. It should be shorter than the nodes'
	// connections.max.idle.ms. 1 min.
	IdleTimeout time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.DialTimeout, 3*time.Second)
	setDefault(&c.ReplyTimeout, 30*time.Second)
	setDefault(&c.LivenessTimeout, 2*time.Second)
	setDefault(&c.ReplyBytesMax, 256<<20)
	setDefault(&c.IdleTimeout, time.Minute)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Lane separates requests that must not wait for each other. Each has a connection of its own to each node.
type Lane uint8

const (
	// Control is for requests to a controller, and whatever else may take its time.
	Control Lane = iota
	// Liveness is for requests that tell that this node lives: they have to arrive in time.
	Liveness
	// Messages is for the quorum's messages.
	Messages
	// fetches is for replication.
	fetches
	laneCount
)

// Peers are connections to other nodes.
type Peers struct {
	cfg    Config
	client string
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	running sync.WaitGroup // writers and readers

	mu struct {
		sync.Mutex
		nodes map[cluster.NodeID]*peer
	}
}

// peer is one node.
type peer struct {
	address     string
	lanes       [laneCount]*lane
	streams     map[*Stream]struct{}
	unreachable time.Time // when it could last not be connected to for a stream
}

// New returns Peers that know nobody.
func New(cfg Config) *Peers {
	p := &Peers{cfg: cfg.withDefaults(), client: fmt.Sprintf("logbahn-node-%d", cfg.Self)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.nodes = map[cluster.NodeID]*peer{}
	return p
}

// SetAddress says where a node is, host:port. Connections to another address of it are closed.
func (p *Peers) SetAddress(node cluster.NodeID, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.mu.nodes[node]
	switch {
	case p.ctx.Err() != nil:
	case !ok:
		p.mu.nodes[node] = p.newPeer(node, address)
	case known.address != address:
		known.address, known.unreachable = address, time.Time{}
		for _, s := range known.takeStreams() {
			s.conn.fail(errMoved)
		}
		for _, l := range known.lanes {
			l.move(address)
		}
	}
}

func (p *Peers) newPeer(node cluster.NodeID, address string) *peer {
	n := &peer{address: address, streams: map[*Stream]struct{}{}}
	for i := range n.lanes {
		n.lanes[i] = newLane(p, node, Lane(i), address)
	}
	return n
}

// Address returns where a node is, false when nobody has said.
func (p *Peers) Address(node cluster.NodeID) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.mu.nodes[node]; ok {
		return n.address, true
	}
	return "", false
}

// Forget closes the connections to a node; what waits for it fails.
func (p *Peers) Forget(node cluster.NodeID) {
	p.mu.Lock()
	n := p.mu.nodes[node]
	delete(p.mu.nodes, node)
	var streams []*Stream
	if n != nil {
		streams = n.takeStreams()
	}
	p.mu.Unlock()
	if n != nil {
		n.close(streams)
	}
}

func (n *peer) close(streams []*Stream) {
	for _, l := range n.lanes {
		l.close()
	}
	for _, s := range streams {
		s.conn.fail(ErrClosed)
	}
}

// Close closes all connections and returns when nothing runs any more. What waits fails.
func (p *Peers) Close() {
	p.cancel()
	p.mu.Lock()
	nodes := p.mu.nodes
	p.mu.nodes = nil
	p.mu.Unlock()
	for _, n := range nodes {
		n.close(n.takeStreams()) // nobody else finds them any more
	}
	p.running.Wait()
}

// lane returns a node's lane, nil when no address of it is known.
func (p *Peers) lane(node cluster.NodeID, lane Lane) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.mu.nodes[node]; ok {
		return n.lanes[lane]
	}
	return nil
}
