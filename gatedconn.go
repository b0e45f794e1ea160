package logbahn

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// errHeld means that a wait at a closed gate was given up.
var errHeld = errors.New("the way is cut")

// gatedConn is the dialer's end of a connection between two nodes: what is written to it and read from it waits while the
// way is cut. One reader and one writer at a time.
type gatedConn struct {
	net.Conn
	gate    *gate
	once    sync.Once
	closed  chan struct{}
	reading deadline
	writing deadline
	held    []byte // was read, and could not be handed out in time
}

func newGatedConn(raw net.Conn, g *gate) *gatedConn {
	return &gatedConn{Conn: raw, gate: g, closed: make(chan struct{}), reading: newDeadline(), writing: newDeadline()}
}

// Read implements net.Conn. What has arrived below is held back while the way is cut.
func (c *gatedConn) Read(b []byte) (int, error) {
	if len(c.held) == 0 {
		n, err := c.Conn.Read(b)
		if passed := c.pass(&c.reading); passed != nil {
			c.held = append(c.held[:0], b[:n]...)
			return 0, passed
		}
		return n, err
	}
	if err := c.pass(&c.reading); err != nil {
		return 0, err
	}
	n := copy(b, c.held)
	c.held = c.held[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *gatedConn) Write(b []byte) (int, error) {
	if err := c.pass(&c.writing); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// pass waits for the way.
func (c *gatedConn) pass(d *deadline) error {
	if c.gate.pass(c.closed, d.wait()) == nil {
		return nil
	}
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
		return os.ErrDeadlineExceeded
	}
}

// Close implements net.Conn.
func (c *gatedConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.reading.set(time.Time{})
		c.writing.set(time.Time{})
	})
	return c.Conn.Close()
}

// SetDeadline implements net.Conn.
func (c *gatedConn) SetDeadline(t time.Time) error {
	c.reading.set(t)
	c.writing.set(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *gatedConn) SetReadDeadline(t time.Time) error {
	c.reading.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *gatedConn) SetWriteDeadline(t time.Time) error {
	c.writing.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// deadline ends waits at a time.
type deadline struct {
	mu     *sync.Mutex
	timer  *time.Timer
	passed chan struct{}
}

func newDeadline() deadline { return deadline{mu: &sync.Mutex{}, passed: make(chan struct{})} }

// wait returns a channel that is closed when the time has come.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// set changes the time, for waits that have begun as well; the zero one never comes.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		d.passed = make(chan struct{}) // the timer has closed it, or is about to
	}
	d.timer = nil
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	passed := d.passed
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(passed) })
	} else {
		close(passed)
	}
}
