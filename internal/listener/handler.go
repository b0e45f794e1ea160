package listener

import (
	"context"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// Handler answers requests. Its methods are called by many connections at once.
type Handler interface {
	// Lookup tells how to treat requests of an API and version. An error closes the connection.
	Lookup(key, version int16) (API, error)
	// Start begins a request: whatever must happen in the order of arrival. Body is a *wire.ProduceRequest, a
	// *wire.FetchRequest, a kmsg request, or nil with API.NoBody. It holds until the reply has been encoded, but record
	// sets of a Produce request only until Start returns. Start must not wait for other requests of the same connection.
	// An error closes the connection. The context ends with the connection.
	Start(ctx context.Context, c *Conn, h wire.RequestHeader, body any) (Finish, error)
}

// Finish does what remains of a request and returns its reply; nil sends none (acks=0). It may wait until the context
// ends: with the connection, and for an API that waits also with Shutdown, whose reply is then still sent. A reply whose
// encoding fails closes the connection.
//
// Of an API that pipelines, asking the context for Done has the replies before this one leave, which may have been held
// back to leave with it: a Finish that waits for anything asks first, from the goroutine that it was called in.
type Finish func(ctx context.Context) wire.Response

// Releaser is a reply that holds something: Release is called once, when the reply has left or never will.
type Releaser interface {
	Release()
}

// Observer is told what becomes of requests. It is called by many connections at once, but for one connection Finished
// and Sent come from one goroutine at a time. It must not wait: what it does is part of every request's way.
type Observer interface {
	// Finished is called with a reply before it is encoded, and with nil when none is sent (acks=0).
	Finished(c *Conn, h wire.RequestHeader, reply wire.Response)
	// Sent is called when the reply of a request has left, or would have left had there been one. arrived is when the
	// request was there whole. The sizes are those of whole frames, in bytes.
	Sent(c *Conn, h wire.RequestHeader, arrived, left time.Time, requestBytes, replyBytes int)
	// Refused is called with a request that ends its connection: its API or version is not served, or its body is no
	// request. h has what could be read of its header. It comes from the goroutine that reads.
	Refused(c *Conn, h wire.RequestHeader, err error)
}

// API is how requests of an API and version are treated.
type API struct {
	// Pipelines lets the next request start before this one's reply has left.
	Pipelines bool
	// Waits tells that a reply may wait for what other clients do (a long poll, a group's rebalance), not only for this
	// node's work: Shutdown does not, and wants what there is.
	Waits bool
	// NoBody leaves the body undecoded: the answer does not depend on it, or its version is unknown (KIP-511).
	NoBody bool
	// BytesMax bounds the frame. Zero or more than Config.RequestBytesMax means that.
	BytesMax int
}
