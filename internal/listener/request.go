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

// A frame's buffer grows with what has arrived of it, by growth at a time: to announce a length costs nothing here.
const (
	startBytes = 4 << 10
	growth     = 4
	// unclaimedBytes of each frame are read before memory is claimed for the rest: requests of this size are never held
	// up, and to hold up those of others a client has to send as much first.
	unclaimedBytes = 64 << 10
	// grownChunkBytes is how long the buffer may be at once when the rest has been claimed.
	grownChunkBytes = 1 << 20
)

// Of a client that pipelines, what follows a frame is read with it: several short frames at once, of what follows a long
// one what tells its length and API.
const (
	aheadBytes     = 16 << 10
	aheadFrameMax  = 4 << 10
	aheadBytesLong = wire.FrameHeaderSize + 4
)

// While others wait for memory, a frame that holds some has to arrive at this pace or its connection is closed.
const (
	paceTick      = time.Second
	paceBytesTick = 256 << 10
)

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
	in := arrival{length: length, began: time.Now()}
	defer func() { c.release(&in) }()
	if err := c.readFrame(&in); err != nil {
		return err
	}
	c.server.count.requests.Add(1)
	c.server.count.requestBytes.Add(int64(length) + wire.FrameHeaderSize)
	return c.start(in.frame.bytes)
}

// arrival is a frame on its way in.
type arrival struct {
	length int
	frame  *buffer
	budget *budget // that has paid for the frame, nil while none had to
	began  time.Time
	waited time.Duration // for the budget, which is not the client's fault
	seen   int           // bytes that had arrived when its pace was last looked at
}

func (c *Conn) release(in *arrival) {
	if in.frame != nil {
		in.frame.free()
	}
	if in.budget != nil {
		in.budget.release(in.length)
	}
}

// read reads what comes next.
func (c *Conn) read(b []byte) (int, error) {
	if c.ahead == nil {
		return c.raw.Read(b)
	}
	n := copy(b, c.ahead.bytes[c.aheadAt:])
	if c.aheadAt += n; c.aheadAt == len(c.ahead.bytes) {
		c.ahead.free()
		c.ahead = nil
	}
	return n, nil
}

// readFrame reads a frame. For what lies beyond the unclaimed bytes it claims memory from the budget.
func (c *Conn) readFrame(in *arrival) error {
	size, err := c.firstSize(in)
	if err != nil {
		return err
	}
	room := size
	if size == in.length && c.readsAhead(in.length) == aheadBytes {
		room = max(size, aheadBytes)
	}
	in.frame = newBuffer(room)
	for {
		if err := c.readMore(in, size); err != nil {
			return err
		}
		if size == in.length {
			break
		}
		switch {
		case size < unclaimedBytes:
			size = min(size*growth, in.length, unclaimedBytes)
		case in.budget == nil:
			if err := c.claim(in); err != nil {
				return err
			}
			size = min(grownChunkBytes, in.length)
		default:
			size = min(2*size, in.length)
		}
		in.frame = in.frame.grown(size)
	}
	c.keepAhead(in)
	c.proven = in.length
	return nil
}

// firstSize returns how long the frame's buffer is to begin with: short, unless the client has just sent a frame as long
// whole. Then the memory for all of it is claimed at once, if nobody has to wait for that.
func (c *Conn) firstSize(in *arrival) (int, error) {
	switch {
	case in.length > 2*c.proven:
		return min(in.length, startBytes), nil
	case in.length <= unclaimedBytes:
		return in.length, nil
	case c.ahead == nil || len(c.ahead.bytes)-c.aheadAt < aheadBytesLong-wire.FrameHeaderSize:
		return unclaimedBytes, nil
	}
	if err := c.judgeSize(c.ahead.bytes[c.aheadAt:], in.length); err != nil {
		return 0, err
	}
	budget := c.server.budgetOf(in.length)
	if !budget.tryClaim(in.length) {
		return unclaimedBytes, nil
	}
	in.budget = budget
	c.setDeadline(in.began.Add(min(paceTick, c.tick())))
	return in.length, nil
}

// readsAhead returns how much may be read beyond a frame of the length.
func (c *Conn) readsAhead(length int) int {
	switch {
	case c.barrier || c.proven == 0:
		return 0
	case length <= aheadFrameMax:
		return aheadBytes
	}
	return aheadBytesLong
}

// keepAhead takes what was read beyond the frame out of its buffer.
func (c *Conn) keepAhead(in *arrival) {
	beyond := in.frame.bytes[in.length:]
	in.frame.bytes = in.frame.bytes[:in.length]
	if len(beyond) == 0 {
		return
	}
	c.ahead, c.aheadAt = newBuffer(len(beyond)), 0
	c.ahead.bytes = append(c.ahead.bytes, beyond...)
}

// claim waits until the budget has granted the frame's memory.
func (c *Conn) claim(in *arrival) error {
	if err := c.judgeSize(in.frame.bytes, in.length); err != nil {
		return err
	}
	asked := time.Now()
	budget := c.server.budgetOf(in.length)
	if err := budget.claim(c.ctx, in.length); err != nil {
		return context.Cause(c.ctx)
	}
	in.budget = budget
	now := time.Now()
	in.waited, in.seen = now.Sub(asked), len(in.frame.bytes)
	c.setDeadline(now.Add(min(paceTick, c.tick())))
	return nil
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

// readMore reads until the frame has the length, which it has room for, and when that is all of it perhaps more.
func (c *Conn) readMore(in *arrival, length int) error {
	frame := in.frame
	for len(frame.bytes) < length {
		limit := length
		if length == in.length && c.ahead == nil {
			limit = min(length+c.readsAhead(length), cap(frame.bytes))
		}
		n, err := c.read(frame.bytes[len(frame.bytes):limit])
		frame.bytes = frame.bytes[:len(frame.bytes)+n]
		if err == nil || len(frame.bytes) >= length {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c.ended(err, len(frame.bytes)+wire.FrameHeaderSize)
		}
		if c.draining.Load() {
			return errDraining
		}
		if err := c.judgePace(in); err != nil {
			return err
		}
	}
	return nil
}

// judgePace decides, when a read deadline has passed in the middle of a frame, whether to wait for longer, and sets the
// next deadline.
func (c *Conn) judgePace(in *arrival) error {
	now, got := time.Now(), len(in.frame.bytes)
	patience := c.server.cfg.FrameTimeout + in.waited + time.Duration(got/frameBytesPerSecondMin)*time.Second
	if now.Sub(in.began) >= patience {
		return errSlow
	}
	tick := c.tick()
	if in.budget != nil {
		if in.budget.contended() && got-in.seen < paceBytesTick {
			return fmt.Errorf("%w, while others wait for memory: %d bytes in a second", errSlow, got-in.seen)
		}
		in.seen, tick = got, min(tick, paceTick)
	}
	c.setDeadline(now.Add(tick))
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
	r := replies.Get().(*reply)
	*r = reply{header: h, body: body, finish: finish, waits: api.Waits, pipelines: api.Pipelines, arrived: arrived, bytes: len(frame)}
	return c.enqueue(r)
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
