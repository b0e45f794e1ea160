package listener

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	waits  bool // as of its API

	arrived time.Time
	bytes   int // of the request, without its length
}

// writer answers the requests of one connection in order. It ends when its queue is closed.
type writer struct {
	queue chan reply
	ended chan struct{}
}

// replyChunkBytes is how much of a long reply must be taken within WriteTimeout.
const replyChunkBytes = 1 << 20

// enqueue hands a started request to the writer, which it starts if there is none. It waits when too many are queued.
func (c *Conn) enqueue(r reply) error {
	if c.writer == nil {
		c.writer = &writer{queue: make(chan reply, c.server.cfg.PipelinedMax), ended: make(chan struct{})}
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
		if err := c.answer(r); err != nil {
			c.cancel(err)
			_ = c.raw.Close() // ends the reader
			return
		}
		c.replied()
	}
}

// answer finishes one request and sends its reply.
func (c *Conn) answer(r reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	ctx := c.ctx
	if r.waits {
		ctx = c.patience
	}
	response := r.finish(ctx)
	if held, ok := response.(Releaser); ok {
		defer held.Release()
	}
	if c.ctx.Err() != nil {
		if d, ok := response.(wire.Discarder); ok {
			d.Discard()
		}
		return context.Cause(c.ctx)
	}
	observer := c.server.cfg.Observer
	if observer != nil {
		observer.Finished(c, r.header, response)
	}
	size := 0
	if response == nil {
		recycle(r.body)
	} else if size, err = c.encodeAndSend(r, response); err != nil {
		return err
	}
	if observer != nil {
		observer.Sent(c, r.header, r.arrived, time.Now(), r.bytes+wire.FrameHeaderSize, size)
	}
	return nil
}

// encodeAndSend sends a reply and returns the size of its frame.
func (c *Conn) encodeAndSend(r reply, response wire.Response) (size int, err error) {
	out := newBuffer(wire.ReplySize(response))
	out.bytes, err = wire.AppendReply(out.bytes, r.header, response)
	size = len(out.bytes)
	if err == nil {
		recycle(r.body)
		held := int64(cap(out.bytes))
		c.server.count.replyHeld.Add(held)
		err = c.send(out.bytes)
		c.server.count.replyHeld.Add(-held)
	} else {
		err = fmt.Errorf("%w: %w", errHandler, err)
	}
	out.free()
	return size, err
}

// send writes a reply. A short one leaves in one write; of a long one each chunk has the timeout to itself.
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
