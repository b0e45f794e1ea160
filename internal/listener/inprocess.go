package listener

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns both ends of a connection inside the process. Unlike net.Pipe each direction has a buffer, so that both
// ends may write at once. Blocked readers and writers wait on channels and hold no lock, which testing/synctest takes
// for idle.
func Pipe() (net.Conn, net.Conn) {
	there, back := newStream(), newStream()
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

// pipeEnd is one end: what it reads the other has written.
type pipeEnd struct {
	in, out *stream
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }

// Close ends both directions: the other end reads what was written before, then io.EOF, and cannot write any more.
func (p *pipeEnd) Close() error {
	p.in.closeReader()
	p.out.closeWriter()
	return nil
}

func (p *pipeEnd) LocalAddr() net.Addr  { return inProcess{} }
func (p *pipeEnd) RemoteAddr() net.Addr { return inProcess{} }

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.in.reader.set(t)
	p.out.writer.set(t)
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.in.reader.set(t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.out.writer.set(t)
	return nil
}

type inProcess struct{}

func (inProcess) Network() string { return "in-process" }
func (inProcess) String() string  { return "in-process" }

// pipeBytes is what one direction holds before its writer waits.
const pipeBytes = 256 << 10

// stream is one direction of a Pipe. Whoever changes its state wakes the sides that may wait for that.
type stream struct {
	mu      sync.Mutex
	data    []byte // data[start:] is unread
	start   int
	closedR bool // the reader is gone: writes fail
	closedW bool // the writer is gone: reads end
	reader  side
	writer  side
}

func newStream() *stream {
	s := &stream{}
	s.reader = side{mu: &s.mu, wake: make(chan struct{}, 1)}
	s.writer = side{mu: &s.mu, wake: make(chan struct{}, 1)}
	return s
}

func (s *stream) read(b []byte) (int, error) {
	for {
		n, err, done := s.tryRead(b)
		if done {
			return n, err
		}
		<-s.reader.wake
	}
}

// tryRead takes what there is. It is done when it has something, or never will.
func (s *stream) tryRead(b []byte) (n int, err error, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closedR:
		s.reader.notify()
		return 0, io.ErrClosedPipe, true
	case s.reader.expired():
		s.reader.notify()
		return 0, os.ErrDeadlineExceeded, true
	case s.start < len(s.data):
		return s.take(b), nil, true
	case s.closedW:
		s.reader.notify()
		return 0, io.EOF, true
	}
	return 0, nil, len(b) == 0
}

func (s *stream) take(b []byte) int {
	n := copy(b, s.data[s.start:])
	s.start += n
	if s.start == len(s.data) {
		s.data, s.start = s.data[:0], 0
	} else {
		s.reader.notify() // for another reader
	}
	s.writer.notify()
	return n
}

func (s *stream) write(b []byte) (int, error) {
	written := 0
	for {
		n, err, done := s.tryWrite(b[written:])
		written += n
		if done {
			return written, err
		}
		<-s.writer.wake
	}
}

// tryWrite puts what fits. It is done when all of b is in, or never will be.
func (s *stream) tryWrite(b []byte) (n int, err error, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closedR || s.closedW:
		s.writer.notify()
		return 0, io.ErrClosedPipe, true
	case s.writer.expired():
		s.writer.notify()
		return 0, os.ErrDeadlineExceeded, true
	}
	n = min(len(b), pipeBytes-(len(s.data)-s.start))
	if n > 0 {
		s.put(b[:n])
	}
	if n == len(b) {
		s.writer.notify() // for another writer
	}
	return n, nil, n == len(b)
}

// put appends b, moving unread bytes to the front when that avoids growing.
func (s *stream) put(b []byte) {
	if s.start > 0 && len(s.data)+len(b) > cap(s.data) {
		s.data = s.data[:copy(s.data, s.data[s.start:])]
		s.start = 0
	}
	s.data = append(s.data, b...)
	s.reader.notify()
}

func (s *stream) closeReader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closedR = true
	s.data, s.start = nil, 0
	s.wakeAll()
}

func (s *stream) closeWriter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closedW = true
	s.wakeAll()
}

func (s *stream) wakeAll() {
	s.reader.stop()
	s.writer.stop()
	s.reader.notify()
	s.writer.notify()
}

// side is how the reader or the writer of a stream waits. Its wake channel holds one token: who takes it looks at the
// stream again, and passes it on when others have to look too.
type side struct {
	mu       *sync.Mutex // the stream's
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

func (w *side) expired() bool {
	return !w.deadline.IsZero() && !time.Now().Before(w.deadline)
}

// set changes the deadline. One timer serves all deadlines of a side; a stale one only wakes it in vain.
func (w *side) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	switch {
	case t.IsZero():
		w.stop()
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
