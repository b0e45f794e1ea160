package node

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/proxy"
	"github.com/logbahn/logbahn/internal/wire"
)

// proxyHandler gives the requests of a listener to the proxy, but for what is about the connection itself.
type proxyHandler struct {
	node *Node
	name string // the listener's
}

// Lookup implements listener.Handler.
func (h proxyHandler) Lookup(key, version int16) (listener.API, error) {
	if key != wire.KeyApiVersions && !proxy.Serves(key) {
		return listener.API{}, broker.ErrNotServed
	}
	return lookup(key, version)
}

// Start implements listener.Handler.
func (h proxyHandler) Start(ctx context.Context, c *listener.Conn, header wire.RequestHeader, body any) (listener.Finish, error) {
	state := stateOf(c)
	if header.Key == wire.KeyApiVersions {
		finish, err := h.node.server.Start(ctx, &broker.Request{Header: header, Body: body, Conn: &state.Conn})
		return listener.Finish(finish), err
	}
	if state.proxied == nil {
		state.proxied = h.node.proxy.Connect(ctx, proxy.Client{Address: state.RemoteAddr, Told: h.node.told(&state.Conn)})
	}
	finish, err := state.proxied.Start(ctx, header, body)
	return listener.Finish(finish), err
}

// told returns where the client of a proxy is told that this node is: what is advertised, else the address that it has
// reached.
func (n *Node) told(c *broker.Conn) cluster.Endpoint {
	for _, e := range n.advertised() {
		if e.Name == c.Listener {
			if reached, ok := n.reached(c.Listener, c.LocalAddr); ok {
				return reached
			}
			return e
		}
	}
	reached, _ := endpointAt(c.Listener, c.LocalAddr)
	return reached
}

// reached returns the address by which a client has reached a listener of which nobody has said where it is. False when
// somebody has, or the address is none that others could use.
func (n *Node) reached(name, localAddr string) (cluster.Endpoint, bool) {
	if n.tellsReached(name) {
		return endpointAt(name, localAddr)
	}
	return cluster.Endpoint{}, false
}

// tellsReached tells whether clients of a listener are told the address that they have reached.
func (n *Node) tellsReached(name string) bool {
	return slices.ContainsFunc(n.broker.Network.Advertised, func(l config.Listener) bool { return l.Name == name && l.Reached })
}

// place finds out where the client of a connection is told that this node is, once.
func (n *Node) place(c *conn) {
	if c.placed {
		return
	}
	c.placed = true
	if reached, ok := n.reached(c.Listener, c.LocalAddr); ok {
		c.Reached = &reached
	}
}

func endpointAt(name, address string) (cluster.Endpoint, bool) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().IsUnspecified() {
		return cluster.Endpoint{Name: name}, false
	}
	return cluster.Endpoint{Name: name, Host: at.Addr().Unmap().String(), Port: at.Port()}, true
}

// clientAddressBytes is how much of a client's address another node may tell.
const clientAddressBytes = 256

// proxiedPatience bounds how long a proxied request waits for this node to know what its proxy knew.
const proxiedPatience = 2 * time.Second

// startProxied notes for whom another node speaks by a connection. What follows is not looked at before this node's image is as
// new as the one by which it was sent here.
func (n *Node) startProxied(c *conn, req *wire.ProxiedRequest) listener.Finish {
	c.Proxied = true
	if req.Client != "" && len(req.Client) <= clientAddressBytes {
		c.RemoteAddr = strings.Clone(req.Client)
		c.address = hostOf(c.RemoteAddr)
	}
	return func(ctx context.Context) wire.Response {
		ctx, cancel := context.WithTimeout(ctx, proxiedPatience)
		defer cancel()
		_ = n.quorum.AwaitImage(ctx, req.ImageOffset) // who cannot get there answers as it knows
		resp := &wire.ProxiedResponse{}
		resp.SetVersion(req.GetVersion())
		return wire.Message(resp)
	}
}
