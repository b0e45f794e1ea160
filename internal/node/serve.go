package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/listener"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// ErrPortTaken means that something else listens on a listener's address.
var ErrPortTaken = errors.New("the address is in use")

// stopPatience is what requests in flight get when a start has failed half-way.
const stopPatience = 5 * time.Second

// inProcessEndpoint is what a node without sockets tells its clients. They never resolve it: their dialer is the node.
var inProcessEndpoint = cluster.Endpoint{Name: "PLAINTEXT", Host: "in-process", Port: 9092}

// bind takes the addresses. Nothing is accepted before the node serves.
func (n *Node) bind(context.Context) error {
	if n.cfg.InProcess {
		n.serving = append(n.serving, &serving{Listener: config.Listener{Name: inProcessEndpoint.Name}, brokers: true})
		return nil
	}
	for _, l := range n.broker.Network.Listeners {
		s := &serving{
			Listener: l, controllers: n.controls(l.Name),
			brokers: l.Name == n.broker.Network.InterBroker, proxy: slices.Contains(n.broker.Network.ProxyListeners, l.Name),
			receiveBytes: n.broker.Network.ReceiveBufferBytes, sendBytes: n.broker.Network.SendBufferBytes,
		}
		n.serving = append(n.serving, s)
		if err := s.bind(n.cfg.Network); err != nil {
			return err
		}
	}
	return nil
}

// controls tells whether a listener is for controllers: it is named as such; or it is the one between brokers, when none is
// named and somebody has said where the voters are.
func (n *Node) controls(name string) bool {
	network := n.broker.Network
	named := func(l config.Listener) bool { return slices.Contains(network.ControllerListeners, l.Name) }
	switch {
	case !n.isController():
		return false
	case slices.ContainsFunc(network.Listeners, named):
		return slices.Contains(network.ControllerListeners, name)
	}
	return name == network.InterBroker && len(n.broker.Quorum.Voters)+len(n.broker.Quorum.BootstrapServers) > 0
}

// controllerListener returns the first listener that is for controllers.
func (n *Node) controllerListener() *serving {
	for _, s := range n.serving {
		if s.controllers {
			return s
		}
	}
	return n.serving[0]
}

// bind listens on the listener's address. The name localhost means both loopback addresses where there are two: clients
// try one or the other first, and must not find another process at one of them.
func (s *serving) bind(network Network) error {
	hosts, anyPort := []string{s.Host}, s.Port == 0
	if s.Host == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	}
	for i, host := range hosts {
		address := net.JoinHostPort(host, strconv.Itoa(s.Port))
		l, err := network.Listen(address)
		taken := errors.Is(err, syscall.EADDRINUSE)
		if err != nil && i > 0 && (anyPort || !taken) {
			continue
		}
		if taken {
			return fmt.Errorf("listener %s: %w: another process listens on %s; stop it, or give listeners another port", s.Name, ErrPortTaken, address)
		}
		if err != nil {
			return fmt.Errorf("listener %s: %w", s.Name, err)
		}
		s.sockets = append(s.sockets, withBuffers{l, s.receiveBytes, s.sendBytes})
		s.Port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// withBuffers is a listener that gives its connections' buffers a size, -1 for the system's own.
type withBuffers struct {
	net.Listener
	receiveBytes, sendBytes int
}

// Accept implements net.Listener. A size that the system does not take is no reason to refuse a client.
func (l withBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		if l.receiveBytes > 0 {
			_ = tcp.SetReadBuffer(l.receiveBytes)
		}
		if l.sendBytes > 0 {
			_ = tcp.SetWriteBuffer(l.sendBytes)
		}
	}
	return c, err
}

// advertised returns what clients are told: the configured addresses, with the real port where 0 was asked for.
func (n *Node) advertised() []cluster.Endpoint {
	if n.cfg.InProcess {
		return []cluster.Endpoint{inProcessEndpoint}
	}
	bound := map[string]int{}
	for _, s := range n.serving {
		bound[s.Name] = s.Port
	}
	var endpoints []cluster.Endpoint
	for _, a := range n.broker.Network.Advertised {
		if a.Port == 0 {
			a.Port = bound[a.Name]
		}
		if a.Host == "" {
			a.Host = hostname()
		}
		endpoints = append(endpoints, cluster.Endpoint{Name: a.Name, Host: a.Host, Port: uint16(a.Port)})
	}
	return endpoints
}

func hostname() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "localhost"
}

// serveControllers begins to accept on the listeners for controllers, where other nodes say hello: a cluster forms before
// there is anything for clients. A node that is its own controller begins with all listeners at once.
func (n *Node) serveControllers(context.Context) error {
	for _, s := range n.serving {
		if s.controllers && !n.alone() {
			if err := n.accepting(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve begins to answer clients, last those of proxies, which ask the others for them.
func (n *Node) serve(context.Context) error {
	close(n.serves)
	for _, s := range n.proxiesLast() {
		if s.server.Load() == nil {
			if err := n.accepting(s); err != nil {
				return err
			}
		}
	}
	n.limitConnections()
	return nil
}

// proxiesLast returns the listeners in the order of their start.
func (n *Node) proxiesLast() []*serving {
	return slices.SortedStableFunc(slices.Values(n.serving), func(a, b *serving) int {
		switch {
		case a.proxy == b.proxy:
			return 0
		case a.proxy:
			return 1
		}
		return -1
	})
}

// accepting begins to accept on a listener.
func (n *Node) accepting(s *serving) error {
	network := n.broker.Network
	server, err := listener.New(listener.Config{
		Handler:         n.handlerOf(s),
		Observer:        n.observer(),
		Name:            s.Name,
		RequestBytesMax: int(network.RequestBytesMax),
		BudgetBytes:     max(network.QueuedRequestBytesMax, 0),
		IdleTimeout:     idleTimeout(network),
		Log:             n.log,
	})
	if err != nil {
		return err
	}
	s.server.Store(server)
	for _, socket := range s.sockets {
		n.warnOpen(socket.Addr())
		n.running.Add(1)
		go n.accept(s, socket)
	}
	return nil
}

// limitConnections gives the listeners the limits that the image and the configuration say. It may wait for a name
// server.
func (n *Node) limitConnections() {
	n.limiting.Lock()
	defer n.limiting.Unlock()
	b, err := n.settingsNow()
	if err != nil {
		n.log.Warn("limits on connections stay what they were", "err", err)
		return
	}
	others := limitsOf(b.Network.ConnectionsPerIPOthers)
	for _, s := range n.serving {
		if server := s.server.Load(); server != nil {
			server.SetConnectionLimits(unlimited(b.Network.ConnectionsMax), unlimited(b.Network.ConnectionsPerIPMax), others)
		}
	}
}

// settingsNow returns the broker's settings with what the cluster has changed of them.
func (n *Node) settingsNow() (config.Broker, error) {
	img := n.reconfiguring.Load()
	if img == nil {
		img = n.quorum.Image()
	}
	return partition.Layers(img, n.broker.NodeID, n.static).Broker()
}

// limitsOf finds the addresses behind the names in max.connections.per.ip.overrides. A name that nobody knows is as good as
// an address from which nobody comes.
func limitsOf(others map[string]int32) map[netip.Addr]int {
	limits := make(map[netip.Addr]int)
	for host, limit := range others {
		if ip, err := netip.ParseAddr(host); err == nil {
			limits[ip.Unmap()] = int(limit)
			continue
		}
		addresses, _ := net.LookupHost(host)
		for _, address := range addresses {
			if ip, err := netip.ParseAddr(address); err == nil {
				limits[ip.Unmap()] = int(limit)
			}
		}
	}
	return limits
}

// unlimited translates Kafka's "no limit" to the listener's.
func unlimited(limit int32) int {
	const none = 1<<31 - 1
	if limit == none {
		return 0
	}
	return int(limit)
}

// warnOpen says that a listener without encryption and without access control can be reached from elsewhere.
func (n *Node) warnOpen(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		n.log.Warn("a plaintext listener can be reached from other machines: whoever reaches it can read and write everything", "address", addr.String())
	}
}

// accept is the goroutine of one socket.
func (n *Node) accept(s *serving, socket net.Listener) {
	defer n.running.Done()
	if err := s.server.Load().Serve(socket); !errors.Is(err, listener.ErrClosed) {
		n.log.Error("listener has ended", "listener", s.Name, "err", err)
	}
}

// Addr returns the first listener's host and port, as a client on this machine reaches it; "" without sockets.
func (n *Node) Addr() string {
	if n.cfg.InProcess {
		return ""
	}
	first := n.serving[0].Listener
	if ip := net.ParseIP(first.Host); first.Host == "" || ip != nil && ip.IsUnspecified() {
		first.Host = "localhost"
	}
	return first.Address()
}

// Dial returns a connection inside the process to the first listener.
func (n *Node) Dial(ctx context.Context) (net.Conn, error) {
	return n.serving[0].server.Load().DialInProcess(ctx)
}

// handlerOf returns what answers the requests of a listener.
func (n *Node) handlerOf(s *serving) listener.Handler {
	if s.proxy {
		return proxyHandler{n, s.Name}
	}
	return handler{node: n, controllers: s.controllers, brokers: s.brokers}
}

// handler gives the requests of a listener to the broker, and of a listener for controllers to the node what only nodes may
// ask.
type handler struct {
	node        *Node
	controllers bool
	brokers     bool
}

// plainBytesMax bounds the frames of everything but Produce. What describes topics, groups and offsets is far smaller.
const plainBytesMax = 16 << 20

// waits tells which APIs' replies wait for what other clients do.
func waits(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.Fetch, kmsg.JoinGroup, kmsg.SyncGroup:
		return true
	}
	return false
}

func (h handler) Lookup(key, version int16) (listener.API, error) {
	if h.controllers {
		if a, ok := lookupNodeAPI(key); ok {
			return listener.API{Pipelines: a.pipelines, BytesMax: a.bytesMax}, nil
		}
	}
	if h.brokers && key == wire.KeyProxied {
		return listener.API{BytesMax: plainBytesMax}, nil
	}
	return lookup(key, version)
}

// lookup tells how to treat requests of the broker's APIs.
func lookup(key, version int16) (listener.API, error) {
	api, ok := broker.Lookup(key)
	if !ok {
		return listener.API{}, broker.ErrNotServed
	}
	if version < api.Min || version > api.Max {
		if key == wire.KeyApiVersions {
			return listener.API{NoBody: true}, nil
		}
		return listener.API{}, broker.ErrNotServed
	}
	limits := listener.API{Pipelines: api.Pipelines, Waits: waits(key), BytesMax: plainBytesMax}
	if key == wire.KeyProduce {
		limits.BytesMax = 0
	}
	return limits, nil
}

func (h handler) Start(ctx context.Context, c *listener.Conn, header wire.RequestHeader, body any) (listener.Finish, error) {
	if h.controllers {
		if a, ok := lookupNodeAPI(header.Key); ok {
			return a.start(h.node, ctx, body.(kmsg.Request)), nil
		}
		if err := h.node.awaitServing(ctx); err != nil {
			return nil, err
		}
	}
	state := stateOf(c)
	if header.Key == wire.KeyProxied {
		return h.node.startProxied(state, body.(*wire.ProxiedRequest)), nil
	}
	h.node.place(state)
	finish, err := h.node.server.Start(ctx, &broker.Request{Header: header, Body: body, Conn: &state.Conn})
	return listener.Finish(finish), err
}

// awaitServing lets a client that has come early wait, as others do before anybody accepts their connections.
func (n *Node) awaitServing(ctx context.Context) error {
	select {
	case <-n.serves:
		return nil
	default:
	}
	select {
	case <-n.serves:
		return nil
	case <-n.stop:
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
