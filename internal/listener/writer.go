package listener

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// errNotReading is the reason when a client does not take its replies.
var errNotReading = errors.New("the client did not read its reply in time")

// reply is a request that has been started and waits for its turn to be answered.
type reply struct {
	header wire.RequestHeader
	body   any
	finish Finish
	// As of its API.
	waits, pipelines bool

	arrived time.Time
	bytes   int // of the request, without its length
}

var replies = sync.Pool{New: func() any { return new(reply) }}

// writer answers the requests of one connection in order. It ends when its queue is closed.
//
// Replies that are ready one after the other leave together: one is held back while the next request is in the queue
// already, and leaves at the latest when that one has to wait.
type writer struct {
	queue chan *reply // pointers: most connections never need the room that is made for PipelinedMax of them
	ended chan struct{}

	// Of the writer's goroutine.
	held    *buffer         // encoded replies that have not left, nil when there are none
	answers []heldReply     // what they answer
	ctx     context.Context // of requests that pipeline
}

// heldReply is what is to be told of a reply when it has left.
type heldReply struct {
	header                   wire.RequestHeader
	arrived                  time.Time
	requestBytes, replyBytes int
}

// heldBytesMax is from how many bytes on replies are not held back.
const heldBytesMax = 64 << 10

// replyContext is the context of requests that pipeline. A Finish asks it for Done when it is about to wait: what was held
// back leaves then.
type replyContext struct {
	context.Context
	conn   *Conn
	writer *writer
}

func (r *replyContext) Done() <-chan struct{} {
	if err := r.conn.sendHeld(r.writer); err != nil {
		r.conn.cancel(err)
	}
	return r.Context.Done()
}

// replyChunkBytes is how much of a long reply must be taken within WriteTimeout.
const replyChunkBytes = 1 << 20

// enqueue hands a started request to the writer, which it starts if there is none. It waits when too many are queued.
func (c *Conn) enqueue(r *reply) error {
	if c.writer == nil {
		c.writer = &writer{queue: make(chan *reply, c.server.cfg.PipelinedMax), ended: make(chan struct{})}
		c.writer.ctx = &replyContext{c.ctx, c, c.writer}
		go c.write(c.writer)
	}
	c.pending.Add(1)
	select {
	case c.writer.queue <- r:
		return nil
	case <-c.writer.ended:
		return context.Cause(c.ctx)
	}
}

// retireWriter ends the writer when it has answered what is queued, and waits for that.
func (c *Conn) retireWriter() {
	if c.writer != nil {
		close(c.writer.queue)
		<-c.writer.ended
		c.writer = nil
	}
}

// write answers requests until the queue is closed or one cannot be answered, which ends the connection.
func (c *Conn) write(w *writer) {
	defer close(w.ended)
	for r := range w.queue {
		err := c.answer(w, r)
		*r = reply{}
		replies.Put(r)
		if err != nil {
			c.cancel(err)
			_ = c.raw.Close() // ends the reader
			return
		}
	}
}

// answer finishes one request, and sends its reply or holds it back.
func (c *Conn) answer(w *writer, r *reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	ctx := c.ctx
	switch {
	case r.waits:
		ctx = c.patient()
	case r.pipelines:
		ctx = w.ctx
	}
	response := r.finish(ctx)
	releaser, releases := response.(Releaser)
	if releases {
		defer releaser.Release()
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if observer := c.server.cfg.Observer; observer != nil {
		observer.Finished(c, r.header, response)
	}
	if response == nil {
		recycle(r.body)
		c.replied(heldReply{r.header, r.arrived, r.bytes + wire.FrameHeaderSize, 0})
	} else if err := c.encode(w, r, response); err != nil {
		return errors.Join(err, c.sendHeld(w))
	}
	if r.pipelines && !releases && len(w.queue) > 0 && (w.held == nil || len(w.held.bytes) < heldBytesMax) {
		return nil
	}
	return c.sendHeld(w)
}

// encode puts a reply behind those that are held back.
func (c *Conn) encode(w *writer, r *reply, response wire.Response) error {
	if w.held == nil {
		w.held = newBuffer(wire.ReplySize(response))
	}
	before := len(w.held.bytes)
	out, err := wire.AppendReply(w.held.bytes, r.header, response)
	if err != nil {
		return fmt.Errorf("%w: %w", errHandler, err)
	}
	recycle(r.body)
	w.held.bytes = out
	w.answers = append(w.answers, heldReply{r.header, r.arrived, r.bytes + wire.FrameHeaderSize, len(out) - before})
	return nil
}

// sendHeld sends what is held back.
func (c *Conn) sendHeld(w *writer) error {
	if w.held == nil {
		return nil
	}
	held := int64(cap(w.held.bytes))
	c.server.count.replyHeld.Add(held)
	err := c.send(w.held.bytes)
	c.server.count.replyHeld.Add(-held)
	w.held.free()
	w.held = nil
	if err != nil {
		return err
	}
	for i := range w.answers {
		c.replied(w.answers[i])
	}
	clear(w.answers)
	w.answers = w.answers[:0]
	return nil
}

// send writes replies. Short ones leave in one write; of long ones each chunk has the timeout to itself.
func (c *Conn) send(b []byte) error {
	c.server.count.replyBytes.Add(int64(len(b)))
	for len(b) > 0 {
		chunk := b[:min(len(b), replyChunkBytes)]
		if err := c.sendChunk(chunk); err != nil {
			return err
		}
		b = b[len(chunk):]
	}
	return nil
}

// sendTick is how often a client that does not read is looked at.
const sendTick = time.Second

// sendChunk waits until the client has taken the chunk. While replies take too much memory, a client that takes nothing
// at all for a tick is given up.
func (c *Conn) sendChunk(chunk []byte) error {
	s := c.server
	tick := min(sendTick, s.cfg.WriteTimeout)
	for waited := time.Duration(0); ; {
		if err := c.raw.SetWriteDeadline(time.Now().Add(tick)); err != nil {
			return c.ended(err, 1)
		}
		n, err := c.raw.Write(chunk)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c.ended(err, 1)
		}
		chunk, waited = chunk[n:], waited+tick
		if waited >= s.cfg.WriteTimeout || n == 0 && s.count.replyHeld.Load() > s.cfg.ReplyBytesMax {
			return errNotReading
		}
	}
}
