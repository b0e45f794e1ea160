package listener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// Conn is one client's connection, as the handler sees it.
type Conn struct {
	ID       string // unique in this process
	Listener string // the name of the server's listener
	// State belongs to the handler. It is read and written in Start, or in a Finish of an API that does not pipeline.
	State any

	server *Server
	raw    net.Conn
	peer   netip.Addr // invalid inside the process
	ctx    context.Context
	cancel context.CancelCauseFunc
	// patience ends with ctx, or before it when the server shuts down: it is what APIs that wait are given. Connections
	// that never asked for such an API have none.
	patience struct {
		sync.Mutex
		ctx context.Context
		end context.CancelCauseFunc
	}

	// Of the reader.
	length   [wire.FrameHeaderSize]byte
	begun    bool      // a frame has been announced
	quiet    bool      // silent for so long that the connection has shrunk
	barrier  bool      // the latest request must be answered before the next may start
	deadline time.Time // set on raw for reading
	latest   time.Time // when the latest frame ended
	proven   int       // bytes of the latest frame: what the client has shown to send whole; 0 when quiet
	ahead    *buffer   // what was read beyond that frame, nil when there is nothing
	aheadAt  int       // how much of it was taken
	writer   *writer   // nil when retired

	// next has a token after the next request has been announced behind one that must be answered first; nil while nobody
	// has asked for it.
	next atomic.Pointer[chan struct{}]

	pending  atomic.Int32  // requests started whose replies have not left
	drained  chan struct{} // has a token after pending has come down to zero
	draining atomic.Bool   // no further request is to be read
}

// Reasons to close a connection that the reader finds.
var (
	errDraining = errors.New("the server shuts down")
	errIdle     = errors.New("idle for too long")
	errQuiet    = errors.New("nothing to do for now") // not the end: see serve
	errSlow     = errors.New("the rest of a frame did not arrive in time")
	errHangUp   = errors.New("the client closed the connection")
)

// LocalAddr is the address that the client connected to.
func (c *Conn) LocalAddr() string { return c.raw.LocalAddr().String() }

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() string { return c.raw.RemoteAddr().String() }

// serve reads requests until the connection ends. A connection that has fallen silent goes on in a new goroutine, whose
// stack is as small as waiting needs, while the old one has grown with the requests it started and stays so.
func (c *Conn) serve() {
	err := c.readAll()
	if errors.Is(err, errQuiet) {
		go c.serve()
		return
	}
	if errors.Is(err, errDraining) {
		c.awaitReplies()
	}
	c.cancel(err)
	_ = c.raw.Close() // before the writer is awaited, which may be stuck in it
	c.retireWriter()
	c.report(err)
	c.server.dismiss(c)
}

// readAll reads and starts requests, and returns why it ended.
func (c *Conn) readAll() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	for {
		length, err := c.awaitFrame()
		if err != nil {
			return err
		}
		// What follows a request that does not pipeline is not even read before that has been answered: a client that
		// sends ahead of a long poll takes no memory meanwhile.
		c.announce()
		if c.barrier && !c.awaitReplies() {
			return context.Cause(c.ctx)
		}
		if err := c.request(length); err != nil {
			return err
		}
		c.latest = time.Now()
	}
}

// Next returns a channel that receives when the peer has sent a further request while one waits that must be answered
// first. A token may be left of the request before: take it out in Start, which runs before the next frame is looked at.
func (c *Conn) Next() <-chan struct{} {
	if next := c.next.Load(); next != nil {
		return *next
	}
	next := make(chan struct{}, 1)
	c.next.CompareAndSwap(nil, &next)
	return *c.next.Load()
}

// announce says that the next frame has begun.
func (c *Conn) announce() {
	next := c.next.Load()
	if next == nil || !c.barrier || c.pending.Load() == 0 {
		return
	}
	select {
	case *next <- struct{}{}:
	default:
	}
}

// panicError is a panic of the handler's, a defect, as the reason to close a connection.
type panicError struct {
	value any
	stack []byte
}

func panicked(p any) error { return &panicError{p, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("a handler panicked: %v", e.value) }

// tick is how far ahead read deadlines are set while a connection is busy: they are renewed rarely, and looked at when
// they pass.
func (c *Conn) tick() time.Duration {
	return min(10*time.Second, c.server.cfg.IdleTimeout, c.server.cfg.FrameTimeout)
}

// awaitFrame reads the length of the next frame, however long it takes to come.
func (c *Conn) awaitFrame() (int, error) {
	got := 0
	started := c.latest
	if !c.quiet {
		c.keepDeadline(started)
	}
	for got < len(c.length) {
		n, err := c.read(c.length[got:])
		if n > 0 && got == 0 {
			started = time.Now()
			c.quiet = false
			c.keepDeadline(started)
		}
		got += n
		if got == len(c.length) {
			break
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, c.ended(err, got)
		}
		if err := c.waitOn(got, started); err != nil {
			return 0, err
		}
	}
	return c.judgeLength()
}

// ended turns the error of a read into the reason: a client that leaves between frames is nothing unusual.
func (c *Conn) ended(err error, got int) error {
	switch {
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case errors.Is(err, io.EOF) && got == 0:
		return errHangUp
	}
	return fmt.Errorf("%w in the middle of a frame or by force: %w", errHangUp, err)
}

// waitOn decides, when a read deadline has passed, whether to wait for longer, and sets the next deadline. A silent
// connection gives up its writer and is not looked at again until it has been idle for too long.
func (c *Conn) waitOn(got int, started time.Time) error {
	now := time.Now()
	switch {
	case c.draining.Load():
		return errDraining
	case got > 0:
		if now.Sub(started) >= c.server.cfg.FrameTimeout {
			return errSlow
		}
	case c.pending.Load() > 0:
		c.latest = now
	case now.Sub(c.latest) >= c.server.cfg.IdleTimeout:
		return errIdle
	default:
		c.retireWriter()
		c.quiet, c.proven = true, 0
		c.setDeadline(c.latest.Add(c.server.cfg.IdleTimeout))
		return errQuiet
	}
	c.setDeadline(now.Add(c.tick()))
	return nil
}

// keepDeadline sees that the read deadline is neither near nor, after a long silence, further than a tick ahead.
func (c *Conn) keepDeadline(now time.Time) {
	if ahead := c.deadline.Sub(now); ahead < c.tick()/2 || ahead > c.tick() {
		c.setDeadline(now.Add(c.tick()))
	}
}

func (c *Conn) setDeadline(t time.Time) {
	c.deadline = t
	_ = c.raw.SetReadDeadline(t)
	if c.draining.Load() {
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// stopReading ends the wait for a next request, and that of requests for other clients. It is called by any goroutine.
func (c *Conn) stopReading() {
	c.draining.Store(true)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	c.patience.Lock()
	defer c.patience.Unlock()
	if c.patience.end != nil {
		c.patience.end(ErrClosed)
	}
}

// patient returns the context of requests that wait for other clients.
func (c *Conn) patient() context.Context {
	c.patience.Lock()
	defer c.patience.Unlock()
	if c.patience.ctx == nil {
		c.patience.ctx, c.patience.end = context.WithCancelCause(c.ctx)
		if c.draining.Load() {
			c.patience.end(ErrClosed)
		}
	}
	return c.patience.ctx
}

// awaitReplies waits until every reply has left. It returns false when the connection has ended instead.
func (c *Conn) awaitReplies() bool {
	for c.pending.Load() > 0 {
		select {
		case <-c.drained:
		case <-c.ctx.Done():
			return false
		}
	}
	return c.ctx.Err() == nil
}

// replied counts a request as answered, and tells the observer.
func (c *Conn) replied(r heldReply) {
	if o := c.server.cfg.Observer; o != nil {
		o.Sent(c, r.header, r.arrived, time.Now(), r.requestBytes, r.replyBytes)
	}
	if c.pending.Add(-1) == 0 {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	}
}

// report counts and logs why the connection ended. Only what an operator may want to act on is a warning.
func (c *Conn) report(err error) {
	n := &c.server.count
	log := c.server.cfg.Log.With("conn", c.ID, "peer", c.RemoteAddr())
	var panicErr *panicError
	closed := func(counter *atomic.Int64) {
		counter.Add(1)
		log.Warn("connection closed", "err", err)
	}
	switch {
	case errors.As(err, &panicErr):
		n.byPanic.Add(1)
		log.Error("connection closed: a defect, please report it", "err", err, "stack", string(panicErr.stack))
	case errors.Is(err, errForeign):
		closed(&n.foreign)
	case errors.Is(err, errTooLarge):
		closed(&n.tooLarge)
	case errors.Is(err, errSlow):
		closed(&n.slowFrame)
	case errors.Is(err, wire.ErrMalformed):
		closed(&n.malformed)
	case errors.Is(err, errNotServed):
		closed(&n.notServed)
	case errors.Is(err, errNotReading):
		closed(&n.notReading)
	case errors.Is(err, errHandler) && !errors.Is(context.Cause(c.ctx), errHandler): // client or server has gone: nobody misses the reply
		log.Debug("connection closed", "err", err)
	case errors.Is(err, errHandler):
		closed(&n.byHandler)
	case errors.Is(err, errIdle):
		n.idle.Add(1)
		log.Info("connection closed", "err", err)
	default:
		log.Debug("connection closed", "err", err)
	}
}
