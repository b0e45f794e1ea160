//go:build linux

package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Protocol is what a system's clients speak.
type Protocol int

// The protocols.
const (
	Kafka Protocol = iota
	JetStream
	Bare // frames as long as Kafka's, with replies that say nothing
)

// System is a program with one way of keeping what it acknowledges.
type System struct {
	Key      string // unique, as results name it
	Name     string // as tables name it
	Protocol Protocol
	// Slow systems need longer to start and to warm up: the JVM's.
	Slow bool
	// Size is how many nodes it has; 0 for a system that is one process and no cluster.
	Size int
	// prepare makes a node's directory ready before the clock starts; nil when nothing has to be done.
	prepare func(ctx context.Context, env *Env, at seat) error
	command func(env *Env, at seat) *exec.Cmd
}

// Env says where the programs are.
type Env struct {
	Logbahn string // the binary
	Self    string // this benchmark's binary
	KafkaCP string // Kafka's class path, "" when it is not installed
	Scratch string // where data directories are made
}

// ErrNotInstalled is returned for a system whose program is not there.
var ErrNotInstalled = errors.New("not installed")

// Cluster is a running system: one process, or the nodes of a cluster.
type Cluster struct {
	System
	Addr    string        // of the first node
	Nodes   []*Process    // by id, which begins with 1
	Started time.Duration // from exec to the first answer of the last node
}

// startPatience is how long a system may take to answer.
const startPatience = 2 * time.Minute

// Start runs a system in fresh directories and returns when all nodes have answered.
func (s System) Start(ctx context.Context, env *Env) (*Cluster, error) {
	c := &Cluster{System: s}
	if err := c.start(ctx, env); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, env *Env) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	for id := 1; id <= max(c.Size, 1); id++ {
		dir, err := os.MkdirTemp(env.Scratch, c.Key+"-")
		if err != nil {
			return err
		}
		at := seat{id: id, size: c.Size, port: port, dir: dir}
		c.Nodes = append(c.Nodes, &Process{System: c.System, ID: id, Addr: at.addr(id), Dir: dir, at: at, env: env})
	}
	c.Addr = c.Nodes[0].Addr
	if c.prepare != nil {
		if err := c.each(func(p *Process) error { return p.prepare(ctx, env, p.at) }); err != nil {
			return err
		}
	}
	begin := time.Now()
	for _, p := range c.Nodes {
		if err := p.Launch(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := c.each(func(p *Process) error { return p.AwaitAnswer(ctx) }); err != nil {
		return err
	}
	c.Started = time.Since(begin)
	return nil
}

// each does something for all nodes at once.
func (c *Cluster) each(f func(*Process) error) error {
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, p := range c.Nodes {
		wg.Go(func() { errs[i] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Node returns the node with the id.
func (c *Cluster) Node(id int32) *Process { return c.Nodes[id-1] }

// Addrs returns the nodes' addresses but for those of the nodes that are left out.
func (c *Cluster) Addrs(without ...int32) []string {
	var addrs []string
	for _, p := range c.Nodes {
		out := false
		for _, id := range without {
			out = out || int32(p.ID) == id
		}
		if !out {
			addrs = append(addrs, p.Addr)
		}
	}
	return addrs
}

// OpsAddr returns the address of the first Logbahn's operations endpoint.
func (c *Cluster) OpsAddr() string { return c.Nodes[0].OpsAddr() }

// CPU returns the processor time of all nodes together.
func (c *Cluster) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, p := range c.Nodes {
		used, err := p.CPU()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// ResidentBytes returns the resident memory of all nodes together.
func (c *Cluster) ResidentBytes() (int64, error) {
	var sum int64
	for _, p := range c.Nodes {
		rss, err := p.ResidentBytes()
		if err != nil {
			return 0, err
		}
		sum += rss
	}
	return sum, nil
}

// DropCache writes the nodes' files to disk and has the kernel forget them, so that the next read is a cold one.
func (c *Cluster) DropCache() error { return c.each((*Process).DropCache) }

// Stop ends the system and removes its data.
func (c *Cluster) Stop() {
	_ = c.each(func(p *Process) error { p.remove(); return nil })
}

// seat is the place of one process of a system.
type seat struct {
	id   int // from 1
	size int // of the cluster, 0 where there is none
	port int // the same for all nodes, each on addresses of its own
	dir  string
}

func (s seat) data() string { return filepath.Join(s.dir, "data") }

// addr returns where clients reach a node. Those of a cluster have addresses of loopback from which no connection begins: no
// client's socket takes a node's port while the node is down.
func (s seat) addr(id int) string {
	if s.size == 0 {
		return loopback(1, s.port)
	}
	return loopback(10+id, s.port)
}

// controller returns where a node that has another listener for controllers has it. Kafka wants another port, too.
func (s seat) controller(id int) string { return loopback(20+id, s.port+1) }

// ops returns where a Logbahn has its operations endpoint.
func (s seat) ops() string { return loopback(30+s.id, s.port) }

// voters names all nodes, each with an address.
func (s seat) voters(addr func(id int) string) string {
	var list []string
	for id := 1; id <= s.size; id++ {
		list = append(list, fmt.Sprintf("%d@%s", id, addr(id)))
	}
	return strings.Join(list, ",")
}

func loopback(host, port int) string { return fmt.Sprintf("127.0.0.%d:%d", host, port) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Versions returns what is compared, a line each.
func Versions(env *Env) []string {
	out, err := exec.Command(env.Logbahn, "version").CombinedOutput()
	lines := []string{"Logbahn: " + strings.TrimSpace(string(out))}
	if err != nil {
		lines[0] = "Logbahn: " + err.Error()
	}
	return append(lines, libraryVersions(env)...)
}
