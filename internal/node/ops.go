package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/ops"
)

// openOps opens the operations endpoint, before the data is: who waits for a long recovery can see that it goes on.
func (n *Node) openOps(context.Context) error {
	address, insists := n.broker.Ops.Listener, true
	if address == "" {
		address, insists = n.cfg.OpsListener, false
	}
	if address == "" || address == config.OpsOff {
		return nil
	}
	l, err := net.Listen("tcp", address)
	switch {
	case err != nil && !insists:
		n.log.Warn("no metrics and no health checks: the address of the operations endpoint cannot be had; ops.listener names another, or off",
			"address", address, "err", err)
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("ops.listener: %w: another process listens on %s; stop it, or name another port, or off", ErrPortTaken, address)
	case err != nil:
		return fmt.Errorf("ops.listener: %w", err)
	}
	requests := &ops.Requests{}
	n.clients = ops.NewClients(requests, time.Now())
	n.ops = ops.New(ops.Config{
		Version: n.cfg.Version, SeriesMax: int(n.broker.Ops.SeriesMax), NoConsumerLag: !n.broker.Ops.ConsumerLag,
		Hosts: n.hostNames(address), Requests: requests, Clients: n.clients, Changes: &n.changes, Log: n.log,
	}, l)
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		n.log.Warn("the operations endpoint can be reached from other machines: whoever reaches it reads the names of topics, groups and clients", "address", l.Addr().String())
	}
	return nil
}

// hostNames are the names that the configuration gives this node.
func (n *Node) hostNames(opsAddress string) []string {
	var names []string
	if host, _, err := net.SplitHostPort(opsAddress); err == nil && host != "" {
		names = append(names, strings.ToLower(host))
	}
	for _, l := range n.broker.Network.Advertised {
		if l.Host != "" {
			names = append(names, strings.ToLower(l.Host))
		}
	}
	return names
}

// attachOps shows the endpoint the node's parts.
func (n *Node) attachOps() {
	if n.ops == nil {
		return
	}
	n.ops.Attach(ops.Sources{
		NodeID: n.broker.NodeID, ClusterID: n.dir.ClusterID(), Dir: n.dir.Path(),
		Image: n.quorum.Image, Quorum: n.quorum.Status, Partitions: n.set, Groups: n.groups,
		Listeners: n.listenerStats,
		Free:      func() (int64, error) { return n.fs.Free(n.dir.Path()) },
	})
}

func (n *Node) opsState(s ops.State) {
	if n.ops != nil {
		n.ops.SetState(s)
	}
}

// observer returns who counts the requests of clients, nil without an endpoint that could tell.
func (n *Node) observer() listener.Observer {
	if n.ops == nil {
		return nil
	}
	return observer{n.clients}
}

// listenerStats returns the counters of the listeners that serve.
func (n *Node) listenerStats() []ops.ListenerStats {
	var stats []ops.ListenerStats
	for _, s := range n.serving {
		if server := s.server.Load(); server != nil {
			stats = append(stats, ops.ListenerStats{Name: s.Name, Stats: server.Stats()})
		}
	}
	return stats
}

// OpsAddr returns host and port of the operations endpoint, "" when there is none.
func (n *Node) OpsAddr() string {
	if n.ops == nil {
		return ""
	}
	return n.ops.Addr().String()
}
