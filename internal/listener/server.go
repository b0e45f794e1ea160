package listener

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned by Serve and DialInProcess after Shutdown or Close.
var ErrClosed = errors.New("the listener is closed")

// Server serves one Kafka listener: any number of sockets, and connections inside the process, under one budget.
type Server struct {
	cfg    Config  // the limits on connections are guarded by mu
	common *budget // of frames that are not large
	large  *budget
	count  counters
	nextID atomic.Int64

	ctx    context.Context // of all requests
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	closing bool
	sockets map[net.Listener]struct{}
	conns   map[*Conn]struct{}
	ofPeer  map[netip.Addr]int
	running sync.WaitGroup // connections; added to under mu while not closing
}

// New returns a Server that serves nothing yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg.withDefaults(), sockets: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{}, ofPeer: map[netip.Addr]int{},
	}
	s.large = newBudget(max(s.cfg.BudgetBytes/2, 1), &s.count)
	s.common = newBudget(max(s.cfg.BudgetBytes-s.cfg.BudgetBytes/2, 1), &s.count)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// Serve accepts connections until the server or l is closed, and closes l. It returns ErrClosed when the server is, and
// otherwise why it could not go on. It may be called for several sockets at once.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.addSocket(l) {
		return ErrClosed
	}
	defer s.removeSocket(l)
	pause := time.Duration(0)
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(raw)
		case s.isClosing():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		default: // out of file descriptors, most likely: it passes
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.cfg.Log.Warn("cannot accept a connection", "err", err, "retry in", pause)
			s.pause(pause)
		}
	}
}

func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

func (s *Server) addSocket(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.sockets[l] = struct{}{}
	return true
}

func (s *Server) removeSocket(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, l)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// DialInProcess returns the client's end of a new connection. It never waits.
func (s *Server) DialInProcess(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := Pipe()
	if err := s.accept(server); err != nil {
		return nil, err
	}
	return client, nil
}

// accept starts to serve a connection, or closes it and says why.
func (s *Server) accept(raw net.Conn) error {
	c := s.newConn(raw)
	if err := s.admit(c); err != nil {
		s.cfg.Log.Warn("connection refused", "peer", c.RemoteAddr(), "err", err)
		raw.Close()
		return err
	}
	s.count.accepted.Add(1)
	s.count.open.Add(1)
	go c.serve()
	return nil
}

func (s *Server) newConn(raw net.Conn) *Conn {
	c := &Conn{ID: s.cfg.Name + "-" + strconv.FormatInt(s.nextID.Add(1), 10), Listener: s.cfg.Name, raw: raw, server: s, latest: time.Now()}
	if addr, err := netip.ParseAddrPort(raw.RemoteAddr().String()); err == nil {
		c.peer = addr.Addr().Unmap()
	}
	c.drained = make(chan struct{}, 1)
	return c
}

// admit counts the connection in, within the limits.
func (s *Server) admit(c *Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosed
	case s.cfg.ConnectionsMax > 0 && len(s.conns) >= s.cfg.ConnectionsMax:
		s.count.refused.Add(1)
		return fmt.Errorf("there are %d connections already, the most allowed", len(s.conns))
	case c.peer.IsValid() && s.ofPeer[c.peer] >= s.cfg.connectionsMaxOf(c.peer):
		s.count.refusedOfPeer.Add(1)
		return fmt.Errorf("%s has %d connections already, the most allowed", c.peer, s.ofPeer[c.peer])
	}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	s.conns[c] = struct{}{}
	if c.peer.IsValid() {
		s.ofPeer[c.peer]++
	}
	s.running.Add(1)
	return nil
}

// SetConnectionLimits replaces the limits on connections, as Config has them. Connections that are there stay.
func (s *Server) SetConnectionLimits(all, perIP int, ofIP map[netip.Addr]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.ConnectionsMax, s.cfg.ConnectionsPerIPMax, s.cfg.ConnectionsOfIPMax = all, perIP, ofIP
}

// connectionsMaxOf returns how many connections an address may have.
func (c *Config) connectionsMaxOf(peer netip.Addr) int {
	if limit, ok := c.ConnectionsOfIPMax[peer]; ok {
		return limit
	}
	if c.ConnectionsPerIPMax == 0 {
		return math.MaxInt
	}
	return c.ConnectionsPerIPMax
}

// dismiss counts the connection out again.
func (s *Server) dismiss(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.peer.IsValid() {
		if s.ofPeer[c.peer]--; s.ofPeer[c.peer] == 0 {
			delete(s.ofPeer, c.peer)
		}
	}
	s.mu.Unlock()
	s.count.open.Add(-1)
	s.running.Done()
}

// Shutdown stops accepting, lets each connection finish the requests it has started, and closes it. Requests that wait
// for other clients (API.Waits) are woken and answer with what they have. When ctx ends first, the rest is cut off and its error returned. All goroutines have ended when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopReading()
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		s.cut()
		<-ended
	}
	s.cancel(ErrClosed)
	return err
}

// Close cuts all connections off and returns when their goroutines have ended.
func (s *Server) Close() error {
	s.stopReading()
	s.cut()
	s.running.Wait()
	return nil
}

// stopReading closes the sockets and ends every wait for a next request.
func (s *Server) stopReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.sockets {
		l.Close()
	}
	for c := range s.conns {
		c.stopReading()
	}
}

func (s *Server) cut() {
	s.cancel(ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}
