package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// conn is one connection to a node. One goroutine at a time sends by it; one of its own reads the replies, which come in
// the order of the requests.
type conn struct {
	peers    *Peers
	node     cluster.NodeID
	patience time.Duration // how long it may show no progress while something is asked
	// unanswered counts the calls of those who send: what was given to send is counted, and no more when it is answered.
	unanswered *atomic.Int32
	raw        net.Conn
	ended      func() // told of the end, nil when nobody is

	correlation int32 // of the latest request that is answered; the sender's

	mu      sync.Mutex
	pending []*call // sent, in order
	dead    error   // why it has ended
	useful  bool    // something was answered
	cut     bool    // something was not answered when it ended
	// oneWays counts what was sent and is never answered, arrived what of it the node has read: the reply to something that
	// was sent behind it says so.
	oneWays, arrived int64
}

func newConn(p *Peers, node cluster.NodeID, patience time.Duration, unanswered *atomic.Int32, raw net.Conn, ended func()) *conn {
	c := &conn{peers: p, node: node, patience: patience, unanswered: unanswered, raw: raw, ended: ended}
	p.running.Add(1)
	go c.read()
	return c
}

func (c *conn) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead != nil
}

func (c *conn) replied() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.useful
}

// send writes a request. When that fails, or the connection is gone meanwhile, the call may have arrived in part or whole.
func (c *conn) send(call *call) {
	c.correlation++
	wire.SetCorrelationID(call.frame, c.correlation)
	if c.expect(call) {
		c.writeFrame(call.frame)
	}
	call.frame = nil // it is never sent again, and its reply may take long
}

// writeFrame writes a frame whole, or the connection ends.
func (c *conn) writeFrame(frame []byte) {
	for len(frame) > 0 {
		chunk := frame[:min(len(frame), writeChunkBytes)]
		if err := c.write(chunk); err != nil {
			c.fail(err)
			return
		}
		frame = frame[len(chunk):]
	}
}

// writeChunkBytes is how much of a long request the node must take within the connection's patience.
const writeChunkBytes = 1 << 20

func (c *conn) write(chunk []byte) error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return err
	}
	_, err := c.raw.Write(chunk)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return err
}

// expect notes that a reply is due. False means that the connection has ended: nothing was sent, and the call is answered.
func (c *conn) expect(call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		c.unanswered.Add(-1)
		call.finish(nil, notSent(c.node, c.dead))
		return false
	}
	call.oneWaysBefore = c.oneWays
	c.pending = append(c.pending, call)
	if len(c.pending) == 1 {
		c.await(call)
	}
	return true
}

// expectNothing notes that something is sent that is never answered, or returns why the connection has ended.
func (c *conn) expectNothing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.oneWays++
	}
	return c.dead
}

// await gives the reply that is due next its time. The caller holds the lock.
func (c *conn) await(call *call) {
	_ = c.raw.SetReadDeadline(time.Now().Add(c.patience + call.patience))
}

// answered takes the call that has been answered off, and begins to wait for the next one. False when the connection has
// ended meanwhile: the call has failed with it.
func (c *conn) answered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return false
	}
	c.useful, c.arrived = true, c.pending[0].oneWaysBefore
	c.pending = c.pending[1:]
	if len(c.pending) > 0 {
		c.await(c.pending[0])
	} else {
		c.pending = nil
		_ = c.raw.SetReadDeadline(time.Time{})
	}
	return true
}

// next returns the call whose reply comes next, nil when nothing was asked.
func (c *conn) next() *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	return c.pending[0]
}

// fail ends the connection, once. What was sent by it fails.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.dead != nil {
		c.mu.Unlock()
		return
	}
	c.dead, c.cut = err, len(c.pending) > 0
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	_ = c.raw.Close()
	for _, call := range pending {
		c.unanswered.Add(-1)
		call.finish(nil, noAnswer(c.node, err))
	}
	if c.ended != nil {
		c.ended()
	}
}

// read is the goroutine that reads the replies. It ends with the connection.
func (c *conn) read() {
	defer c.peers.running.Done()
	for want := int32(1); ; want++ {
		if err := c.readReply(want); err != nil {
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				err = errSilent
			case errors.Is(err, io.EOF):
				err = errHungUp
			}
			c.fail(err)
			return
		}
	}
}

// readReply reads one reply and gives it to the one who waits for it.
func (c *conn) readReply(want int32) error {
	var length [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(c.raw, length[:]); err != nil {
		return err
	}
	call := c.next()
	if call == nil {
		return errors.New("the node has sent something that nobody asked for")
	}
	size := int64(wire.FrameLength(length))
	if size < 4 || size > int64(call.bytesMax) {
		return fmt.Errorf("a reply of %d bytes, between 4 and %d are allowed", size, call.bytesMax)
	}
	frame, err := readGrowing(c.raw, call.into[:0], int(size))
	if err != nil {
		return err
	}
	correlation, body, err := wire.ReadResponseHeader(frame, call.key, call.version)
	if err != nil {
		return err
	}
	if correlation != want {
		return fmt.Errorf("a reply to request %d where one to %d is due", correlation, want)
	}
	if c.answered() {
		c.unanswered.Add(-1)
		call.finish(&outcome{frame: frame, body: body}, nil)
	}
	return nil
}

// chunkBytes is how much memory an announced length gets before anything of it has arrived.
const chunkBytes = 64 << 10

// readGrowing reads size bytes behind b. Memory grows with what has arrived.
func readGrowing(r io.Reader, b []byte, size int) ([]byte, error) {
	for len(b) < size {
		n := min(size, max(chunkBytes, 4*len(b)))
		if n > cap(b) {
			b = append(make([]byte, 0, n), b...)
		} else {
			n = min(size, cap(b))
		}
		got, err := io.ReadFull(r, b[len(b):n])
		b = b[:len(b)+got]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}
