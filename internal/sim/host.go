package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

const (
	firstPort   = 40_000 // of those that are given out
	backlog     = 128
	synInterval = time.Second // after which a SYN that got no answer is sent again
	connectMax  = 127 * time.Second
)

// Host is a machine on the network.
type Host struct {
	Name    string
	network *Network
	ip      net.IP

	// Guarded by the network's lock.
	port    int // the last that was given out
	process *Process
	off     bool // without power
	paused  bool
}

// Process is what a process of a host sees of the network. It implements node.Network. When its host has been killed or
// has lost power, all that it has fails, whoever still holds it.
type Process struct {
	host      *Host
	dead      bool
	listeners []*listener
}

// Address returns the host's address with a port.
func (h *Host) Address(port int) string { return net.JoinHostPort(h.ip.String(), strconv.Itoa(port)) }

// Process returns the process that runs now.
func (h *Host) Process() *Process {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	return h.process
}

// Kill ends the process as kill -9 does: the system closes its sockets, and its peers hear of that. A new process begins.
func (h *Host) Kill() {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	h.end(func(p *pair, end *conn) {
		end.in.closeReader()
		end.out.finish(syscall.ECONNRESET)
	})
	h.process = &Process{host: h}
	h.paused = false
	n.release()
}

// PowerOff ends the process, and nobody hears of it.
func (h *Host) PowerOff() {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	h.off, h.paused = true, false
	h.end(func(p *pair, end *conn) { end.out.gone = true })
}

// Boot lets the host run again, with a new process. Who still talks to the old one is told.
func (h *Host) Boot() {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	h.off = false
	h.process = &Process{host: h}
	for _, p := range n.conns {
		for _, end := range p.ends {
			if end.closed && end.host() == h && end.out.gone {
				end.out.gone = false
				if end.in.bytes > 0 { // it is sent again and again
					end.out.finish(syscall.ECONNRESET)
				}
				end.in.closeReader()
				end.in.answer = end.out
			}
		}
	}
	n.release()
}

// end takes the sockets from the process. The caller holds the network's lock.
func (h *Host) end(hang func(*pair, *conn)) {
	h.process.dead = true
	for _, l := range h.process.listeners {
		l.close()
	}
	for _, p := range h.network.conns {
		for _, end := range p.ends {
			if end.process == h.process && !end.closed {
				hang(p, end)
				end.abandon()
			}
		}
	}
	h.network.forget()
}

// Pause holds what the process sends and what it would read, until Resume.
func (h *Host) Pause() {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	h.paused = true
}

// Resume ends a Pause.
func (h *Host) Resume() {
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	h.paused = false
	h.network.release()
}

// listener implements net.Listener.
type listener struct {
	process *Process
	addr    *net.TCPAddr
	queue   chan *conn
	closed  bool // guarded by the network's lock
	done    chan struct{}
}

// Listen implements node.Network.
func (p *Process) Listen(address string) (net.Listener, error) {
	addr, err := parse(address)
	if err != nil {
		return nil, err
	}
	h, n := p.host, p.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.dead {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.ENETDOWN}
	}
	if !addr.IP.IsUnspecified() && !addr.IP.Equal(h.ip) {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRNOTAVAIL}
	}
	addr.IP = h.ip
	if addr.Port == 0 {
		h.port++
		addr.Port = h.port
	}
	if p.listener(addr.Port) != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRINUSE}
	}
	l := &listener{process: p, addr: addr, queue: make(chan *conn, backlog), done: make(chan struct{})}
	p.listeners = append(p.listeners, l)
	return l, nil
}

func (p *Process) listener(port int) *listener {
	for _, l := range p.listeners {
		if l.addr.Port == port && !l.closed {
			return l
		}
	}
	return nil
}

func parse(address string) (*net.TCPAddr, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addr := &net.TCPAddr{IP: net.ParseIP(host)}
	if addr.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("sim: port of %s: %w", address, err)
	}
	if host == "" {
		addr.IP = net.IPv4zero
	}
	if addr.IP == nil {
		return nil, fmt.Errorf("sim: %s: this network has no names", address)
	}
	return addr, nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.process.host.network.mu.Lock()
	defer l.process.host.network.mu.Unlock()
	l.close()
	return nil
}

// close refuses those who wait to be accepted. The caller holds the network's lock.
func (l *listener) close() {
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	for {
		select {
		case c := <-l.queue:
			c.in.closeReader()
			c.out.finish(syscall.ECONNRESET)
			c.abandon()
		default:
			return
		}
	}
}

// Dial implements node.Network. It hangs as long as either direction is cut, or the host is without power or paused.
func (p *Process) Dial(ctx context.Context, address string) (net.Conn, error) {
	addr, err := parse(address)
	if err != nil {
		return nil, err
	}
	c, err := p.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: err}
	}
	return c, nil
}

func (p *Process) dial(ctx context.Context, addr *net.TCPAddr) (net.Conn, error) {
	until := time.Now().Add(connectMax)
	for time.Now().Before(until) {
		wait, changed, err := p.roundTrip(addr)
		if err != nil {
			return nil, err
		}
		reached := wait >= 0
		if !reached {
			wait = synInterval
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
			if !reached {
				continue
			}
			if c, err := p.connect(addr); c != nil || err != nil {
				return c, err
			}
		case <-changed:
			timer.Stop()
		}
	}
	return nil, syscall.ETIMEDOUT
}

// roundTrip returns how long a handshake takes now, or -1 and who says when to try again.
func (p *Process) roundTrip(addr *net.TCPAddr) (time.Duration, <-chan struct{}, error) {
	n := p.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	to, err := n.find(addr)
	if err != nil {
		return 0, nil, err
	}
	if p.dead {
		return 0, nil, syscall.ENETDOWN
	}
	if !n.open(p.host, to) || !n.open(to, p.host) {
		return -1, n.changed, nil
	}
	now := time.Now()
	return n.delay(n.link(p.host, to), 60).Sub(now) + n.delay(n.link(to, p.host), 60).Sub(now), nil, nil
}

// open tells whether anything gets from one host to another.
func (n *Network) open(from, to *Host) bool {
	return !n.link(from, to).cut && !from.off && !to.off && !from.paused && !to.paused
}

// connect ends a handshake. It returns nothing when the way was cut meanwhile.
func (p *Process) connect(addr *net.TCPAddr) (net.Conn, error) {
	n := p.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	to, err := n.find(addr)
	if err != nil {
		return nil, err
	}
	if p.dead {
		return nil, syscall.ENETDOWN
	}
	if !n.open(p.host, to) || !n.open(to, p.host) {
		return nil, nil
	}
	l := to.process.listener(addr.Port)
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	p.host.port++
	pair := newPair(n, p, to.process, &net.TCPAddr{IP: p.host.ip, Port: p.host.port}, addr)
	select {
	case l.queue <- pair.ends[1]:
	default:
		return nil, errors.New("sim: the listener's backlog is full")
	}
	n.conns = append(n.conns, pair)
	n.trace.Countf("dial %s", pair)
	return pair.ends[0], nil
}
