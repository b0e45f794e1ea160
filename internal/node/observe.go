package node

import (
	"net"
	"strings"
	"time"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/ops"
	"github.com/logbahn/logbahn/internal/proxy"
	"github.com/logbahn/logbahn/internal/wire"
)

// conn is what a node keeps of a client's connection.
type conn struct {
	broker.Conn
	address string      // of the client, without the port
	proxied *proxy.Conn // of a client of a proxy, from its first request on
	placed  bool        // Reached is known

	// Of the goroutine that answers. asked is what client was found by: a client that found no room is not looked for
	// with every request.
	asked  ops.Identity
	client *ops.Client
}

// stateOf returns what the node keeps of a connection, from its first request on.
func stateOf(c *listener.Conn) *conn {
	if state, ok := c.State.(*conn); ok {
		return state
	}
	state := &conn{
		Conn:    broker.Conn{ID: c.ID, Listener: c.Listener, LocalAddr: c.LocalAddr(), RemoteAddr: c.RemoteAddr(), Next: c.Next},
		address: hostOf(c.RemoteAddr()),
	}
	c.State = state
	return state
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// observer counts what clients do, for the operations endpoint.
type observer struct{ clients *ops.Clients }

// Finished implements listener.Observer.
func (o observer) Finished(c *listener.Conn, h wire.RequestHeader, reply wire.Response) {
	wire.CountErrors(reply, o.client(c, h).API(h.Key))
}

// Sent implements listener.Observer.
func (o observer) Sent(c *listener.Conn, h wire.RequestHeader, arrived, left time.Time, requestBytes, replyBytes int) {
	stateOf(c).client.API(h.Key).Sent(h.Version, arrived, left, requestBytes, replyBytes)
}

// Refused implements listener.Observer. It comes from the goroutine that reads, while another may still answer: it finds
// the client by itself.
func (o observer) Refused(c *listener.Conn, h wire.RequestHeader, err error) {
	now := time.Now()
	o.clients.Client(stateOf(c).identity(h), now).Refused(h, err.Error(), now)
}

// client returns the client behind a connection, as its latest request says who it is.
func (o observer) client(c *listener.Conn, h wire.RequestHeader) *ops.Client {
	state := stateOf(c)
	id := state.identity(h)
	if state.client == nil || state.asked != id || state.client.Forgotten() {
		state.asked, state.client = id, o.clients.Client(id, time.Now())
	}
	return state.client
}

// identity says who sends a request. What ApiVersions said is settled before anything behind it is read.
func (c *conn) identity(h wire.RequestHeader) ops.Identity {
	id := ops.Identity{Software: c.ClientSoftware, SoftwareVersion: c.ClientSoftwareVersion, Address: c.address}
	if h.ClientID != nil {
		id.ClientID = *h.ClientID
	}
	if len(id.ClientID) > clientIDBytes { // a connection that idles must not hold a long one
		id.ClientID = strings.Clone(id.ClientID[:clientIDBytes])
	}
	return id
}

// clientIDBytes is how much of a client id is looked at. All but freaks are shorter.
const clientIDBytes = 256
