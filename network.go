package logbahn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/logbahn/logbahn/internal/listener"
)

// network joins the nodes of a Cluster. Addresses of nodes without sockets exist in it only. The ways between two nodes
// can be cut: then what is sent arrives when the cut is healed, as it does where a switch has failed.
type network struct {
	sockets bool // nodes listen on the system's network

	mu     sync.Mutex
	places map[string]*place // by address
	ways   map[way]*gate
}

// place is an address of a node.
type place struct {
	node  int32
	bound net.Listener // a socket that is waiting for its node to listen, nil once it does
	inner *inListener  // who listens inside the process
}

// way is the way between two nodes, the lower one first.
type way struct{ one, other int32 }

// outside is where clients are. Nothing cuts their ways.
const outside int32 = -1

func newNetwork() *network {
	return &network{places: make(map[string]*place), ways: make(map[way]*gate)}
}

// claim reserves addresses for a node: an address of the process, or a socket, whose real port it returns. The name localhost
// becomes an address, since a node listens on all that the name means.
func (n *network) claim(node int32, address string) (string, error) {
	if !n.sockets {
		n.places[address] = &place{node: node}
		return address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("%w: another process listens on %s", ErrPortTaken, address)
	}
	if err != nil {
		return "", err
	}
	address = net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	n.places[address] = &place{node: node, bound: l}
	return address, nil
}

// release closes the sockets that no node has taken.
func (n *network) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.places {
		if p.bound != nil {
			p.bound.Close()
			p.bound = nil
		}
	}
}

// of is the network as a node has it. It implements node.Network.
func (n *network) of(node int32) host { return host{n, node} }

type host struct {
	network *network
	node    int32
}

// Listen takes one of the addresses that were claimed for the node.
func (h host) Listen(address string) (net.Listener, error) {
	if l, err := h.claimed(address); l != nil || err != nil {
		return l, err
	}
	return net.Listen("tcp", address) // once more, by a node that has started again
}

// claimed returns the listener of a claimed address, nil when its socket was taken before.
func (h host) claimed(address string) (net.Listener, error) {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.places[address]
	switch {
	case p == nil || p.node != h.node:
		return nil, fmt.Errorf("listen on %s: %w", address, syscall.EADDRNOTAVAIL)
	case p.bound != nil:
		l := p.bound
		p.bound = nil
		return l, nil
	case n.sockets:
		return nil, nil
	case p.inner != nil && !p.inner.isClosed():
		return nil, fmt.Errorf("listen on %s: %w", address, syscall.EADDRINUSE)
	}
	p.inner = newInListener(address)
	return p.inner, nil
}

// Dial connects to another node of the cluster, or to an address outside of it.
func (h host) Dial(ctx context.Context, address string) (net.Conn, error) {
	return h.network.dial(ctx, h.node, address)
}

func (n *network) dial(ctx context.Context, from int32, address string) (net.Conn, error) {
	n.mu.Lock()
	p := n.places[address]
	var inner *inListener
	var g *gate
	if p != nil {
		inner, g = p.inner, n.gate(from, p.node)
	}
	n.mu.Unlock()
	switch {
	case p == nil && !n.sockets:
		return nil, fmt.Errorf("dial %s: no node of this cluster has that address: %w", address, syscall.EHOSTUNREACH)
	case p == nil:
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err := g.pass(ctx.Done(), nil); err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, context.Cause(ctx))
	}
	var raw net.Conn
	var err error
	if n.sockets {
		raw, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	} else {
		raw, err = inner.dial(ctx)
	}
	if err != nil || from == outside {
		return raw, err
	}
	return newGatedConn(raw, g), nil
}

// gate returns what stands on the way between two nodes. The caller holds mu.
func (n *network) gate(from, to int32) *gate {
	w := way{min(from, to), max(from, to)}
	if n.ways[w] == nil {
		n.ways[w] = newGate()
	}
	return n.ways[w]
}

// cut closes the way between two nodes, both directions.
func (n *network) cut(one, other int32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate(one, other).close()
}

// heal opens all ways.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.ways {
		g.open()
	}
}

// inListener is a listener inside the process.
type inListener struct {
	address string
	queue   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// backlogMax is how many connections wait for being accepted.
const backlogMax = 128

func newInListener(address string) *inListener {
	return &inListener{address: address, queue: make(chan net.Conn, backlogMax), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *inListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that were not accepted break.
func (l *inListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	for {
		select {
		case c := <-l.queue:
			c.Close()
		default:
			return nil
		}
	}
}

func (l *inListener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Addr implements net.Listener: nodes expect a port. The address counts as one of the loopback interface.
func (l *inListener) Addr() net.Addr {
	_, port, _ := net.SplitHostPort(l.address)
	number, _ := strconv.Atoi(port)
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}
}

// dial returns the other end of a connection. Nobody listening on l, nil included, refuses it.
func (l *inListener) dial(ctx context.Context) (net.Conn, error) {
	if l == nil || l.isClosed() {
		return nil, &net.OpError{Op: "dial", Net: "in-process", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := listener.Pipe()
	select {
	case l.queue <- theirs:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "in-process", Err: syscall.ECONNREFUSED}
	}
	if l.isClosed() { // it may have missed what was queued
		ours.Close()
		return nil, &net.OpError{Op: "dial", Net: "in-process", Err: syscall.ECONNREFUSED}
	}
	return ours, nil
}

// gate stands on the way between two nodes, open or closed.
type gate struct{ opened atomic.Pointer[chan struct{}] } // a channel that is closed while the gate is open

func newGate() *gate {
	g := &gate{}
	open := make(chan struct{})
	close(open)
	g.opened.Store(&open)
	return g
}

// isOpen and the two below it are called with the network's lock held, or by nobody else.
func (g *gate) isOpen() bool {
	select {
	case <-*g.opened.Load():
		return true
	default:
		return false
	}
}

func (g *gate) close() {
	if g.isOpen() {
		closed := make(chan struct{})
		g.opened.Store(&closed)
	}
}

func (g *gate) open() {
	if !g.isOpen() {
		close(*g.opened.Load())
	}
}

// pass waits until the gate is open, or fails with errHeld when a channel ends first. Either may be nil.
func (g *gate) pass(end, deadline <-chan struct{}) error {
	opened := *g.opened.Load()
	select {
	case <-opened:
		return nil
	default:
	}
	select {
	case <-opened:
		return nil
	case <-end:
	case <-deadline:
	}
	return errHeld
}
