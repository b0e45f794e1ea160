package listener

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// firstChunkBytes is read of each frame before memory is claimed for the rest: requests of this size are never held up,
// and to hold up those of others a client has to send as much first.
const firstChunkBytes = 64 << 10

// grownChunkBytes is how long a frame's buffer may be before the data for it has arrived.
const grownChunkBytes = 1 << 20

var (
	errTooLarge  = errors.New("frame length out of bounds")
	errForeign   = errors.New("not a Kafka client")
	errNotServed = errors.New("API or version not served")
	errHandler   = errors.New("the handler ended the connection")
)

// judgeLength returns the length of the frame that follows, if it is one.
func (c *Conn) judgeLength() (int, error) {
	length := wire.FrameLength(c.length)
	if !c.begun {
		if protocol := foreignProtocol(c.length); protocol != "" {
			return 0, fmt.Errorf("%w: it speaks %s to a plaintext Kafka port", errForeign, protocol)
		}
		c.begun = true
	}
	if length < 0 || int(length) > c.server.cfg.RequestBytesMax {
		return 0, fmt.Errorf("%w: %d bytes announced, at most %d allowed", errTooLarge, length, c.server.cfg.RequestBytesMax)
	}
	return int(length), nil
}

// foreignProtocol names the protocol that a connection which starts like this speaks, empty for Kafka's. As lengths of
// Kafka frames all of these would be beyond 300 MiB.
func foreignProtocol(start [wire.FrameHeaderSize]byte) string {
	switch string(start[:]) {
	case "GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC", "CONN", "TRAC", "PRI ":
		return "HTTP"
	}
	if start[0] == 0x16 && start[1] == 3 && start[2] <= 4 {
		return "TLS"
	}
	return ""
}

// request reads the frame that has been announced, and starts its request.
func (c *Conn) request(length int) error {
	frame, claimed, err := c.readFrame(length)
	if err != nil {
		return err
	}
	c.server.count.requests.Add(1)
	c.server.count.requestBytes.Add(int64(length) + wire.FrameHeaderSize)
	defer c.release(frame, claimed)
	return c.start(frame.bytes)
}

func (c *Conn) release(frame *buffer, claimed int) {
	frame.free()
	if claimed > 0 {
		c.server.budget.release(claimed)
	}
}

// readFrame reads a frame of the length. Beyond the first chunk it claims memory from the budget, and says how much.
func (c *Conn) readFrame(length int) (frame *buffer, claimed int, err error) {
	limit := time.Now().Add(c.server.cfg.FrameTimeout + time.Duration(length/frameBytesPerSecondMin)*time.Second)
	frame = newBuffer(min(length, firstChunkBytes))
	if err := c.readMore(frame, min(length, firstChunkBytes), limit); err != nil {
		frame.free()
		return nil, 0, err
	}
	if length <= firstChunkBytes {
		return frame, 0, nil
	}
	if err := c.judgeSize(frame.bytes, length); err != nil {
		frame.free()
		return nil, 0, err
	}
	waited := time.Now()
	if err := c.server.budget.claim(c.ctx, length); err != nil {
		frame.free()
		return nil, 0, context.Cause(c.ctx)
	}
	limit = limit.Add(time.Since(waited)) // that was not the client's fault
	for size := grownChunkBytes; len(frame.bytes) < length; size *= 2 {
		frame = frame.grown(min(size, length))
		if err := c.readMore(frame, min(size, length), limit); err != nil {
			c.release(frame, length)
			return nil, 0, err
		}
	}
	return frame, length, nil
}

// judgeSize refuses a long frame by its API's limit, before memory is made for it.
func (c *Conn) judgeSize(start []byte, length int) error {
	key, version := int16(binary.BigEndian.Uint16(start)), int16(binary.BigEndian.Uint16(start[2:]))
	api, err := c.server.cfg.Handler.Lookup(key, version)
	if err != nil {
		return c.refused(wire.RequestHeader{Key: key, Version: version}, fmt.Errorf("%w: %w", errNotServed, err))
	}
	if api.BytesMax > 0 && length > api.BytesMax {
		return fmt.Errorf("%w: %s of %d bytes, at most %d allowed", errTooLarge, wire.APIName(key), length, api.BytesMax)
	}
	return nil
}

// readMore reads until frame has the length, which it has room for.
func (c *Conn) readMore(frame *buffer, length int, limit time.Time) error {
	for len(frame.bytes) < length {
		n, err := c.raw.Read(frame.bytes[len(frame.bytes):length])
		frame.bytes = frame.bytes[:len(frame.bytes)+n]
		if err == nil || len(frame.bytes) == length {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c.ended(err, len(frame.bytes)+wire.FrameHeaderSize)
		}
		now := time.Now()
		if c.draining.Load() {
			return errDraining
		}
		if !now.Before(limit) {
			return errSlow
		}
		c.setDeadline(now.Add(c.tick()))
	}
	return nil
}

// start decodes a request, waits for its turn and starts it.
func (c *Conn) start(frame []byte) error {
	arrived := time.Now()
	h, payload, err := wire.ReadRequestHeader(frame)
	tooNew := h.Key == wire.KeyApiVersions && errors.Is(err, wire.ErrUnsupportedVersion)
	switch {
	case err == nil || tooNew:
	case errors.Is(err, wire.ErrMalformed):
		return c.refused(h, err)
	default:
		return c.refused(h, fmt.Errorf("%w: %w", errNotServed, err))
	}
	api, err := c.server.cfg.Handler.Lookup(h.Key, h.Version)
	if err != nil {
		return c.refused(h, fmt.Errorf("%w: %s version %d: %w", errNotServed, wire.APIName(h.Key), h.Version, err))
	}
	var body any
	if !tooNew && !api.NoBody {
		if body, err = decode(h, payload); err != nil {
			return c.refused(h, err)
		}
	}
	c.barrier = !api.Pipelines
	if c.barrier && !c.awaitReplies() {
		return context.Cause(c.ctx)
	}
	finish, err := c.server.cfg.Handler.Start(c.ctx, c, h, body)
	if err != nil {
		return fmt.Errorf("%w: %s version %d: %w", errHandler, wire.APIName(h.Key), h.Version, err)
	}
	return c.enqueue(reply{header: h, body: body, finish: finish, waits: api.Waits, arrived: arrived, bytes: len(frame)})
}

// refused tells the observer of a request that ends the connection, and passes the reason on.
func (c *Conn) refused(h wire.RequestHeader, err error) error {
	if o := c.server.cfg.Observer; o != nil {
		o.Refused(c, h, err)
	}
	return err
}

// The hot requests keep the memory of their slices from one to the next.
var (
	produceRequests = sync.Pool{New: func() any { return new(wire.ProduceRequest) }}
	fetchRequests   = sync.Pool{New: func() any { return new(wire.FetchRequest) }}
)

func decode(h wire.RequestHeader, payload []byte) (any, error) {
	switch h.Key {
	case wire.KeyProduce:
		r := produceRequests.Get().(*wire.ProduceRequest)
		return r, r.Decode(h.Version, payload)
	case wire.KeyFetch:
		r := fetchRequests.Get().(*wire.FetchRequest)
		return r, r.Decode(h.Version, payload)
	}
	return wire.DecodeRequest(h.Key, h.Version, payload)
}

// recycle gives the body of an answered request back.
func recycle(body any) {
	switch r := body.(type) {
	case *wire.ProduceRequest:
		r.Release()
		produceRequests.Put(r)
	case *wire.FetchRequest:
		r.Release()
		fetchRequests.Put(r)
	}
}
