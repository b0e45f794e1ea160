package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// windowBytes is what one direction holds before its writer waits.
const windowBytes = 256 << 10

// pair is a connection: two ends, two flows.
type pair struct {
	ends  [2]*conn
	flows [2]*flow // flows[0] is written by ends[0]
}

func newPair(n *Network, from, to *Process, local, remote *net.TCPAddr) *pair {
	there, back := newFlow(n, from.host, to.host), newFlow(n, to.host, from.host)
	p := &pair{flows: [2]*flow{there, back}}
	p.ends[0] = &conn{network: n, process: from, in: back, out: there, local: local, remote: remote}
	p.ends[1] = &conn{network: n, process: to, in: there, out: back, local: remote, remote: local}
	return p
}

func (p *pair) String() string { return fmt.Sprintf("%s>%s", p.ends[0].local, p.ends[0].remote) }

// conn is one end of a connection. It implements net.Conn.
type conn struct {
	network       *Network
	process       *Process
	in, out       *flow
	local, remote *net.TCPAddr
	closed        bool // guarded by the network's lock
}

func (c *conn) host() *Host { return c.process.host }

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Close lets what was written arrive, and the other end read its end.
func (c *conn) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.in.closeReader()
	c.out.finish(io.EOF)
	c.abandon()
	c.network.forget()
	return nil
}

// abandon ends the use of this end, by whoever waits as well. The caller holds the network's lock.
func (c *conn) abandon() {
	c.closed = true
	c.in.reader.stop()
	c.out.writer.stop()
	c.in.reader.notify()
	c.out.writer.notify()
}

func (c *conn) fail(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err, done := c.tryRead(b)
		if err != nil {
			return n, c.fail("read", err)
		}
		if done {
			return n, nil
		}
		<-c.in.reader.wake
	}
}

// tryRead takes what has arrived. It is done when it has something, or never will.
func (c *conn) tryRead(b []byte) (n int, err error, done bool) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	switch {
	case c.closed:
		c.in.reader.notify()
		return 0, net.ErrClosed, true
	case c.in.reader.expired():
		return 0, os.ErrDeadlineExceeded, true
	case len(b) == 0:
		return 0, nil, true
	case c.host().paused:
		return 0, nil, false
	}
	return c.in.take(b)
}

func (c *conn) Write(b []byte) (int, error) {
	written := 0
	for {
		n, err, done := c.tryWrite(b[written:])
		written += n
		if err != nil {
			return written, c.fail("write", err)
		}
		if done {
			return written, nil
		}
		<-c.out.writer.wake
	}
}

// tryWrite sends what the window has room for. It is done when all of b is sent, or never will be.
func (c *conn) tryWrite(b []byte) (n int, err error, done bool) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	switch {
	case c.closed:
		c.out.writer.notify()
		return 0, net.ErrClosed, true
	case c.in.broken(time.Now()):
		return 0, syscall.EPIPE, true
	case c.out.writer.expired():
		return 0, os.ErrDeadlineExceeded, true
	}
	n = min(len(b), windowBytes-c.out.bytes)
	if n > 0 {
		c.out.send(b[:n])
	}
	return n, nil, n == len(b)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.in.reader.set(t)
	c.out.writer.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.in.reader.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.out.writer.set(t)
	return nil
}

// segment is something that arrives: bytes, or the end of the flow.
type segment struct {
	at    time.Time
	stuck bool // lost until the way is open again
	data  []byte
	err   error
}

// flow is one direction of a connection. All is guarded by the network's lock.
type flow struct {
	network        *Network
	from, to       *Host
	segments       []segment
	bytes          int   // in segments
	readerGone     bool  // what arrives is dropped
	gone           bool  // the sender has lost power: nothing comes any more
	answer         *flow // when the reader does not know the connection any more: where it says so to who sends
	ended          bool  // an end is among the segments, or was read
	reader, writer side
	timer          *time.Timer // wakes the reader when the next segment arrives
}

func newFlow(n *Network, from, to *Host) *flow {
	f := &flow{network: n, from: from, to: to}
	f.reader.wake, f.writer.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	return f
}

// send puts bytes on the way.
func (f *flow) send(b []byte) {
	n := f.network
	n.trace.sent(f.from.Name, f.to.Name, b)
	if f.answer != nil {
		f.answer.finish(syscall.ECONNRESET)
	}
	if f.readerGone || f.ended {
		return
	}
	f.put(segment{data: append([]byte(nil), b...)})
	f.bytes += len(b)
}

// finish ends the flow behind what is under way.
func (f *flow) finish(err error) {
	if f.ended || f.gone {
		return
	}
	f.put(segment{err: err})
	f.ended = true
}

func (f *flow) put(s segment) {
	n := f.network
	l := n.link(f.from, f.to)
	s.at = n.delay(l, len(s.data)+60)
	s.stuck = l.cut || f.from.paused
	if len(f.segments) > 0 {
		last := f.segments[len(f.segments)-1]
		s.stuck = s.stuck || last.stuck
		if s.at.Before(last.at) {
			s.at = last.at
		}
	}
	f.segments = append(f.segments, s)
	f.arm()
}

// stick loses what has not arrived.
func (f *flow) stick(now time.Time) {
	for i := range f.segments {
		if f.segments[i].at.After(now) {
			f.segments[i].stuck = true
		}
	}
}

// unstick sends again what was lost, when nothing holds it any more.
func (f *flow) unstick() {
	if f.network.link(f.from, f.to).cut || f.from.paused {
		f.arm() // what has arrived before
		return
	}
	at := time.Now().Add(time.Duration(f.network.rand.Int64N(int64(retransmitMin))))
	for i := range f.segments {
		if s := &f.segments[i]; s.stuck {
			s.stuck = false
			s.at = at
		}
	}
	f.arm()
}

// arm wakes the reader when the first segment arrives.
func (f *flow) arm() {
	if len(f.segments) == 0 || f.segments[0].stuck || f.to.paused {
		return
	}
	wait := time.Until(f.segments[0].at)
	switch {
	case wait <= 0:
		f.reader.notify()
	case f.timer == nil:
		f.timer = time.AfterFunc(wait, f.reader.notify)
	default:
		f.timer.Reset(wait)
	}
}

// take reads what has arrived.
func (f *flow) take(b []byte) (n int, err error, done bool) {
	now := time.Now()
	for n < len(b) && len(f.segments) > 0 {
		s := &f.segments[0]
		if s.stuck || s.at.After(now) {
			break
		}
		if s.err != nil {
			if n == 0 {
				f.reader.notify() // for the next read: it ends as this one
				return 0, s.err, true
			}
			break
		}
		k := copy(b[n:], s.data)
		n += k
		f.bytes -= k
		if s.data = s.data[k:]; len(s.data) == 0 {
			f.segments = f.segments[1:]
		}
	}
	if n > 0 {
		f.writer.notify()
	}
	f.arm()
	return n, nil, n > 0
}

// broken tells whether the reader has been told that the other end is gone.
func (f *flow) broken(now time.Time) bool {
	if !f.ended || len(f.segments) == 0 {
		return false
	}
	last := f.segments[len(f.segments)-1]
	return last.err != nil && !last.stuck && !last.at.After(now)
}

// closeReader drops what nobody will read.
func (f *flow) closeReader() {
	f.readerGone = true
	f.segments, f.bytes = nil, 0
	f.reader.notify()
	f.writer.notify()
}

// tear ends the flow at a random byte of what is under way.
func (f *flow) tear(r *rand.Rand) {
	if f.bytes > 0 {
		f.cutTo(r.IntN(f.bytes + 1))
	}
	f.ended = false
	f.segments = deleteEnd(f.segments)
	f.finish(syscall.ECONNRESET)
	f.writer.notify()
}

// cutTo keeps the first bytes of what is under way.
func (f *flow) cutTo(keep int) {
	f.bytes = keep
	for i := range f.segments {
		s := &f.segments[i]
		if len(s.data) >= keep {
			s.data = s.data[:keep]
			f.segments = f.segments[:i+1]
			return
		}
		keep -= len(s.data)
	}
}

func deleteEnd(segments []segment) []segment {
	if k := len(segments); k > 0 && segments[k-1].err != nil {
		return segments[:k-1]
	}
	return segments
}

// side is how the reader or the writer of a flow waits: its wake channel holds one token.
type side struct {
	wake     chan struct{}
	deadline time.Time
	timer    *time.Timer
}

func (w *side) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *side) expired() bool { return !w.deadline.IsZero() && !time.Now().Before(w.deadline) }

// set changes the deadline. One timer serves all deadlines of a side; a stale one only wakes it in vain.
func (w *side) set(t time.Time) {
	w.deadline = t
	w.stop()
	switch {
	case t.IsZero():
	case w.timer == nil:
		w.timer = time.AfterFunc(time.Until(t), w.notify)
	default:
		w.timer.Reset(time.Until(t))
	}
}

func (w *side) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
