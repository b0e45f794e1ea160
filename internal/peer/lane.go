package peer

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

const (
	callsMax   = 1024 // requests of a lane that are queued or wait for their reply
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Second
)

// lane is the way to one node for one kind of requests: a queue, and the connection that it is sent by.
type lane struct {
	peers *Peers
	node  cluster.NodeID
	kind  Lane
	wake  chan struct{} // capacity 1: something was queued, or the lane is closed

	mu      sync.Mutex
	address string
	queue   []*call
	running bool // there is a writer
	closed  bool
	conn    *conn              // nil while there is none
	dialing context.CancelFunc // of the attempt to connect, nil while there is none

	unanswered atomic.Int32 // calls that are queued or wait for their reply

	// Of the writer.
	failures int       // attempts to connect in a row that led to no reply
	latest   time.Time // of these attempts
}

func newLane(p *Peers, node cluster.NodeID, kind Lane, address string) *lane {
	return &lane{peers: p, node: node, kind: kind, address: address, wake: make(chan struct{}, 1)}
}

// begin queues a call, or refuses it.
func (l *lane) begin(c *call) {
	c.lane = l
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		c.finish(nil, notSent(l.node, ErrClosed))
		return
	case l.unanswered.Load() >= callsMax:
		c.finish(nil, notSent(l.node, ErrBusy))
		return
	}
	l.unanswered.Add(1)
	l.queue = append(l.queue, c)
	if !l.running {
		l.running = true
		l.peers.running.Add(1)
		go l.write()
	}
	l.notify()
}

func (l *lane) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// move gives the node another address.
func (l *lane) move(address string) {
	l.mu.Lock()
	l.address = address
	conn := l.conn
	l.interruptDial()
	l.mu.Unlock()
	if conn != nil {
		conn.fail(errMoved)
	}
}

// close ends the lane: its writer fails what waits.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.interruptDial()
	l.notify()
	l.mu.Unlock()
	if conn != nil {
		conn.fail(ErrClosed)
	}
}

func (l *lane) interruptDial() {
	if l.dialing != nil {
		l.dialing()
	}
}

// write is the lane's writer: a goroutine, while there is something to send and some time more.
func (l *lane) write() {
	defer l.peers.running.Done()
	idle := time.NewTimer(l.peers.cfg.IdleTimeout)
	defer idle.Stop()
	for {
		switch waiting, closed := l.waiting(); {
		case closed:
			return
		case waiting:
			l.sendNext()
			continue
		}
		idle.Reset(l.peers.cfg.IdleTimeout)
		select {
		case <-l.wake:
		case <-idle.C:
			if l.retire() {
				return
			}
		}
	}
}

// waiting tells whether somebody waits for something to be sent. closed tells that the lane is, and that nothing is left
// in it.
func (l *lane) waiting() (waiting, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.failQueue(ErrClosed)
		l.running = false
		return false, true
	}
	for len(l.queue) > 0 && l.queue[0].state.Load() == abandoned {
		l.queue = l.queue[1:]
		l.unanswered.Add(-1)
	}
	return len(l.queue) > 0, false
}

// retire ends a writer that has nothing to do, and the connection.
func (l *lane) retire() bool {
	l.mu.Lock()
	if len(l.queue) > 0 || l.unanswered.Load() > 0 || l.closed {
		l.mu.Unlock()
		return false
	}
	l.running = false
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		conn.fail(errIdle)
	}
	return true
}

// failQueue answers all that is queued. The caller holds the lock.
func (l *lane) failQueue(err error) {
	for _, c := range l.queue {
		l.unanswered.Add(-1)
		c.finish(nil, notSent(l.node, err))
	}
	l.queue = nil
}

// sendNext sends the next call, over a new connection if there is none. When none can be had, all calls that wait fail.
func (l *lane) sendNext() {
	conn, err := l.connected()
	l.mu.Lock()
	if err != nil {
		l.failQueue(err)
		l.mu.Unlock()
		return
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	l.mu.Unlock()
	if !c.take() { // nobody waits for it any more
		l.unanswered.Add(-1)
		return
	}
	conn.send(c)
}

// connected returns the connection, a new one if the last has ended.
func (l *lane) connected() (*conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil && !conn.isDead() {
		return conn, nil
	}
	if conn != nil {
		l.count(conn)
	}
	if err := l.pause(); err != nil {
		return nil, err
	}
	return l.connect()
}

// count remembers whether a connection that has ended was of any use.
func (l *lane) count(ended *conn) {
	l.mu.Lock()
	l.conn = nil
	l.mu.Unlock()
	if ended.replied() {
		l.failures = 0
	} else {
		l.failures++
	}
}

// pause waits until the next attempt to connect is due.
func (l *lane) pause() error {
	if l.failures == 0 {
		return nil
	}
	backoff := min(backoffMin<<min(l.failures-1, 10), backoffMax)
	wait := time.Until(l.latest.Add(backoff/2 + rand.N(backoff/2)))
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case <-l.wake:
			if l.isClosed() {
				return ErrClosed
			}
		}
	}
}

func (l *lane) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// connect makes one attempt, which ends early when the address changes.
func (l *lane) connect() (*conn, error) {
	ctx, cancel := context.WithTimeout(l.peers.ctx, l.peers.cfg.DialTimeout)
	defer cancel()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	address := l.address
	l.dialing = cancel
	l.mu.Unlock()
	l.latest = time.Now()
	raw, err := l.peers.cfg.Dial(ctx, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialing = nil
	switch {
	case err == nil && l.address != address:
		raw.Close()
		return nil, errMoved
	case err == nil && l.closed:
		raw.Close()
		return nil, ErrClosed
	case err != nil:
		l.failures++
		return nil, err
	}
	l.conn = newConn(l.peers, l.node, l.patience(), &l.unanswered, raw, l.severed())
	return l.conn, nil
}

// severed returns who is told of a connection's end, nil when nobody is.
func (l *lane) severed() func() {
	if told := l.peers.cfg.Severed; told != nil && l.kind == Liveness {
		return func() { told(l.node) }
	}
	return nil
}

// patience is how long a connection of the lane may show no progress while something is asked.
func (l *lane) patience() time.Duration {
	switch l.kind {
	case Liveness, Messages:
		return l.peers.cfg.LivenessTimeout
	}
	return l.peers.cfg.ReplyTimeout
}
