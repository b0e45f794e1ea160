package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Conditions are how one direction between two hosts behaves. The zero value loses nothing and takes no time.
type Conditions struct {
	Latency        time.Duration // of every segment
	Jitter         time.Duration // on top, up to
	BytesPerSecond int           // 0: without limit
	// Loss is the share of segments that are lost and sent again, 0 to 1. A stream keeps its order: what is behind waits.
	Loss float64
}

// LAN is what hosts in one rack have.
var LAN = Conditions{Latency: 200 * time.Microsecond, Jitter: 300 * time.Microsecond, BytesPerSecond: 125 << 20}

// retransmitMin is what a lost segment costs; it doubles with each loss in a row.
const retransmitMin = 200 * time.Millisecond

// Network connects hosts.
type Network struct {
	trace *Trace

	mu      sync.Mutex
	rand    *rand.Rand
	hosts   []*Host
	links   map[direction]*link
	conns   []*pair // open ones, oldest first
	changed chan struct{}
}

type direction struct{ from, to *Host }

// link is one direction between two hosts.
type link struct {
	Conditions
	cut    bool
	freeAt time.Time // when what was sent before has left
}

// NewNetwork returns a network without hosts, whose delays follow the seed.
func NewNetwork(seed uint64, trace *Trace) *Network {
	return &Network{trace: trace, rand: rand.New(rand.NewPCG(seed, 1)), links: make(map[direction]*link), changed: make(chan struct{})}
}

// AddHost adds a running host with an address such as 10.0.0.1.
func (n *Network) AddHost(name, ip string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &Host{Name: name, network: n, ip: net.ParseIP(ip), port: firstPort}
	n.hosts = append(n.hosts, h)
	h.process = &Process{host: h}
	return h
}

// link returns one direction, LAN until it is told otherwise.
func (n *Network) link(from, to *Host) *link {
	d := direction{from, to}
	l := n.links[d]
	if l == nil {
		l = &link{Conditions: LAN}
		n.links[d] = l
	}
	return l
}

// Condition sets how the direction from one host to another behaves from now on.
func (n *Network) Condition(from, to *Host, c Conditions) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace.Logf("network: %s to %s: %+v", from.Name, to.Name, c)
	n.link(from, to).Conditions = c
}

// Cut stops one direction: what is under way is lost until Heal.
func (n *Network) Cut(from, to *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace.Logf("network: cut %s to %s", from.Name, to.Name)
	n.link(from, to).cut = true
	now := time.Now()
	for _, p := range n.conns {
		for _, f := range p.flows {
			if f.from == from && f.to == to {
				f.stick(now)
			}
		}
	}
}

// Heal opens one direction again: what was lost meanwhile is sent again.
func (n *Network) Heal(from, to *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.link(from, to); l.cut {
		n.trace.Logf("network: heal %s to %s", from.Name, to.Name)
		l.cut = false
		n.release()
	}
}

// Isolate cuts both directions between a host and the others.
func (n *Network) Isolate(h *Host, others ...*Host) {
	for _, o := range others {
		if o != h {
			n.Cut(h, o)
			n.Cut(o, h)
		}
	}
}

// HealAll opens all directions, and makes them LAN again.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace.Logf("network: heal all")
	for _, l := range n.links { // all alike: their order does not matter
		l.cut = false
		l.Conditions = LAN
	}
	n.release()
}

// release lets go what no cut and no pause holds any more. The caller holds mu.
func (n *Network) release() {
	for _, p := range n.conns {
		for _, f := range p.flows {
			f.unstick()
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// Reset breaks a connection of a host in the middle of what is under way, and tells whether there was one.
func (n *Network) Reset(h *Host) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	var of []*pair
	for _, p := range n.conns {
		if p.flows[0].from == h || p.flows[0].to == h {
			of = append(of, p)
		}
	}
	if len(of) == 0 {
		return false
	}
	p := of[n.rand.IntN(len(of))]
	n.trace.Logf("network: reset %s", p)
	for _, f := range p.flows {
		f.tear(n.rand)
	}
	return true
}

// forget drops connections that both ends have left. The caller holds mu.
func (n *Network) forget() {
	n.conns = slices.DeleteFunc(n.conns, func(p *pair) bool { return p.ends[0].closed && p.ends[1].closed })
}

// delay draws when a segment that is sent now arrives. The caller holds mu.
func (n *Network) delay(l *link, bytes int) time.Time {
	now := time.Now()
	if l.freeAt.Before(now) {
		l.freeAt = now
	}
	if l.BytesPerSecond > 0 {
		l.freeAt = l.freeAt.Add(time.Duration(bytes) * time.Second / time.Duration(l.BytesPerSecond))
	}
	at := l.freeAt.Add(l.Latency)
	if l.Jitter > 0 {
		at = at.Add(time.Duration(n.rand.Int64N(int64(l.Jitter))))
	}
	for again := retransmitMin; l.Loss > 0 && n.rand.Float64() < l.Loss; again *= 2 {
		at = at.Add(again)
	}
	return at
}

// find returns the host with an address.
func (n *Network) find(address *net.TCPAddr) (*Host, error) {
	for _, h := range n.hosts {
		if h.ip.Equal(address.IP) {
			return h, nil
		}
	}
	return nil, fmt.Errorf("sim: no host has the address %s", address.IP)
}

// Hosts returns the hosts, by name.
func (n *Network) Hosts() []*Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	hosts := slices.Clone(n.hosts)
	slices.SortFunc(hosts, func(a, b *Host) int { return cmp.Compare(a.Name, b.Name) })
	return hosts
}
