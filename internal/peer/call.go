package peer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// call is one request on its way.
type call struct {
	lane         *lane
	key, version int16
	frame        []byte        // whole, but for the correlation id; the sender's, nil when it was sent
	patience     time.Duration // beyond the lane's own
	into         []byte        // memory for the reply, nil for new memory
	bytesMax     int           // of the reply
	state        atomic.Int32
	done         chan outcome // capacity 1
	// oneWaysBefore is how many of the connection's messages that are never answered were sent before it.
	oneWaysBefore int64
	arrived       chan<- struct{} // of a stream's Message
}

// outcome is a reply's body, in memory that is the caller's, or an error.
type outcome struct {
	frame []byte // what body is part of
	body  []byte
	err   error
}

// The states of a call. Who waits may take it back while it is queued.
const (
	queued int32 = iota
	sent
	abandoned
)

// take takes a call in order to send it, false when nobody waits for it any more.
func (c *call) take() bool { return c.state.CompareAndSwap(queued, sent) }

func (c *call) finish(o *outcome, err error) {
	if o == nil {
		o = &outcome{err: err}
	}
	c.done <- *o
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// wait returns the outcome. A context that ends before has the call forgotten when it has not been sent yet.
func (c *call) wait(ctx context.Context) outcome {
	if len(c.done) > 0 { // whoever asks a context of the listener's for Done has replies leave
		return <-c.done
	}
	select {
	case o := <-c.done:
		return o
	case <-ctx.Done():
	}
	if c.state.CompareAndSwap(queued, abandoned) {
		return outcome{err: fmt.Errorf("%w: %w", ErrNotSent, context.Cause(ctx))}
	}
	select {
	case o := <-c.done: // both at once
		return o
	default:
		return outcome{err: fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))}
	}
}
