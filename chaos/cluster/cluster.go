package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/logbahn/logbahn/chaos/disk"
	"github.com/logbahn/logbahn/chaos/network"
	"github.com/logbahn/logbahn/chaos/sandbox"
)

// Config is how the nodes are run.
type Config struct {
	Binary string
	Nodes  int
	// DiskBytes is the size of each node's disk, which is kept in memory.
	DiskBytes int64
	// Settings are given to every node beside its own id and addresses.
	Settings []string
	// LogDir gets what the nodes print.
	LogDir string
}

const (
	port    = 9092
	opsPort = 9644
)

// Cluster is the nodes 1 to n.
type Cluster struct {
	config  Config
	network *network.Network
	nodes   []*Node

	mu   sync.Mutex
	died []string
}

// New mounts the disks. No node runs yet.
func New(config Config, net *network.Network) (*Cluster, error) {
	c := &Cluster{config: config, network: net}
	for id := 1; id <= config.Nodes; id++ {
		dir := filepath.Join(sandbox.Dir, "node-"+strconv.Itoa(id))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		d, err := disk.Mount(dir, config.DiskBytes)
		if err != nil {
			return nil, err
		}
		log, err := os.OpenFile(filepath.Join(config.LogDir, fmt.Sprintf("node-%d.log", id)), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, &Node{ID: id, Disk: d, cluster: c, dir: dir, log: log})
	}
	return c, nil
}

// Close kills the nodes and unmounts their disks.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.nodes {
		n.Kill()
		errs = append(errs, n.Disk.Unmount(), n.log.Close())
	}
	return errors.Join(errs...)
}

// Nodes returns all nodes.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Node returns the node of an id.
func (c *Cluster) Node(id int) *Node { return c.nodes[id-1] }

// Network returns what joins the nodes.
func (c *Cluster) Network() *network.Network { return c.network }

// Bootstrap is every node's address.
func (c *Cluster) Bootstrap() string {
	var addresses []string
	for _, n := range c.nodes {
		addresses = append(addresses, n.Address())
	}
	return strings.Join(addresses, ",")
}

// StartAll starts the nodes that do not run and waits until all are ready.
func (c *Cluster) StartAll(ctx context.Context) error {
	var starting []*Node
	for _, n := range c.nodes {
		if !n.Running() {
			if err := n.Start(); err != nil {
				return err
			}
			starting = append(starting, n)
		}
	}
	for _, n := range starting {
		if err := n.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Died returns what is known of nodes that ended without having been told to since the last call.
func (c *Cluster) Died() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	died := c.died
	c.died = nil
	return died
}

func (c *Cluster) noteDeath(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.died = append(c.died, what)
}

// voters is every node as controller.quorum.voters names it.
func (c *Cluster) voters() string {
	var voters []string
	for _, n := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", n.ID, n.Address()))
	}
	return strings.Join(voters, ",")
}

// readyPatience is how long a node may take to become ready when nothing hinders it.
const readyPatience = time.Minute
