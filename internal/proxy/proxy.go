package proxy

import (
	"context"
	"log/slog"
	"time"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

// Config is what a Proxy is made of.
type Config struct {
	NodeID cluster.NodeID
	// Image returns the newest image that this node has applied.
	Image func() *cluster.Image
	// Peers are the ways to the brokers, by their listeners between brokers. This node is one of them.
	Peers         *peer.Peers
	FetchBytesMax int // of record data in one reply
	SessionsMax   int // of fetch sessions
	LogDir        string
	Now           func() time.Time
	Log           *slog.Logger
}

// Proxy speaks to the cluster for clients.
type Proxy struct {
	cfg         Config
	sessions    *broker.FetchSessions
	fetchMemory *broker.FetchMemory
}

// New returns a Proxy for any number of clients.
func New(cfg Config) *Proxy {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Proxy{cfg: cfg, sessions: broker.NewFetchSessions(cfg.SessionsMax, cfg.Now), fetchMemory: broker.NewFetchMemory()}
}

// Client is what is known of a client's connection.
type Client struct {
	// Address is the client's, host:port.
	Address string
	// Told is where the client is told that this node is: the one place that it reaches.
	Told cluster.Endpoint
}

// Connect returns what answers a client's connection, until the context ends.
func (p *Proxy) Connect(ctx context.Context, client Client) *Conn {
	c := &Conn{proxy: p, client: client}
	c.mu.streams = make(map[cluster.NodeID]*link)
	c.mu.routes = make(map[routeKey]*route)
	context.AfterFunc(ctx, c.close)
	return c
}

// self is this node as clients see it.
func (c *Conn) self() wire.NodeEndpoint {
	e := wire.NodeEndpoint{NodeID: c.proxy.cfg.NodeID, Host: c.client.Told.Host, Port: int32(c.client.Told.Port)}
	if b, ok := c.proxy.cfg.Image().Broker(e.NodeID); ok && b.Rack != "" {
		e.Rack = &b.Rack
	}
	return e
}
