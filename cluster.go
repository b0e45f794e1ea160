package logbahn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/node"
	"github.com/logbahn/logbahn/internal/vfs"
)

var (
	// ErrNoNode means that a cluster has no node of that id, or that it does not run.
	ErrNoNode = errors.New("no such node")
	// ErrStopped means that the cluster has been stopped: nothing starts any more.
	ErrStopped = errors.New("the cluster has been stopped")
)

// ClusterConfig says what a cluster inside one program is like. The zero value is three nodes in memory that only their
// own program reaches.
type ClusterConfig struct {
	Nodes int // 3 when 0; their ids begin with 1
	// Dir has the nodes' data directories, node-1 and so on. "" keeps everything in memory: it outlives a node, and is gone
	// with the cluster.
	Dir string
	// Listeners are the addresses of the nodes, one each, such as "127.0.0.1:9092"; port 0 is any free one. None: no
	// sockets are opened, and only this program can connect.
	Listeners []string
	// Settings are Kafka's broker settings, of every node. Ids, listeners and voters are set already, and, where there are
	// several nodes, three replicas of which two are in sync for every topic, internal ones too.
	Settings map[string]string
	// Version is what the nodes tell as the version of the program.
	Version string
	// Log gets the nodes' logs; nil discards them.
	Log *slog.Logger
}

// Cluster is several nodes in one program: broker and voter each. Nodes can be killed, stopped and started again, and the
// ways between them cut. Its methods may be called by any goroutine.
type Cluster struct {
	network *network
	members []*member       // by id, from 1 on
	life    context.Context // ends with Stop
	stop    context.CancelFunc
}

// member is a node's place in the cluster, whether it runs or not.
type member struct {
	id      int32
	address string
	config  node.Config

	starting vfs.Gate // held while it starts, so that it starts once
	mu       sync.Mutex
	node     *Node // nil while it does not run
}

// StartCluster starts all nodes and returns when they answer requests. The context bounds the start only. An error leaves
// nothing running.
func StartCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	c, err := newCluster(cfg)
	if err != nil {
		return nil, err
	}
	defer c.network.release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var starting sync.WaitGroup
	errs := make([]error, len(c.members))
	for i, m := range c.members {
		starting.Go(func() {
			if errs[i] = m.start(ctx, c.life); errs[i] != nil {
				cancel(errs[i]) // the others wait for it in vain
			}
		})
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		c.killAll()
		return nil, context.Cause(ctx)
	}
	return c, nil
}

func newCluster(cfg ClusterConfig) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	if cfg.Nodes < 0 || len(cfg.Listeners) > 0 && len(cfg.Listeners) != cfg.Nodes {
		return nil, fmt.Errorf("a cluster of %d nodes with %d listeners", cfg.Nodes, len(cfg.Listeners))
	}
	c := &Cluster{network: newNetwork()}
	c.life, c.stop = context.WithCancel(context.Background())
	c.network.sockets = len(cfg.Listeners) > 0
	var voters []string
	for i := range cfg.Nodes {
		m := &member{id: int32(i + 1)}
		address := fmt.Sprintf("node-%d:9092", m.id)
		if c.network.sockets {
			address = cfg.Listeners[i]
		}
		var err error
		if m.address, err = c.network.claim(m.id, address); err != nil {
			c.network.release()
			return nil, fmt.Errorf("node %d: %w", m.id, err)
		}
		voters = append(voters, fmt.Sprintf("%d@%s", m.id, m.address))
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		m.config = cfg.of(m, strings.Join(voters, ","))
		m.config.Network = c.network.of(m.id)
	}
	return c, nil
}

// What loses nothing while one node is lost.
const (
	replicas       = 3
	insyncReplicas = 2
)

// of returns what a node is started with, each time.
func (cfg ClusterConfig) of(m *member, voters string) node.Config {
	own := map[string]string{"node.id": fmt.Sprint(m.id), "controller.quorum.voters": voters}
	if cfg.Nodes > 1 {
		for _, key := range []string{"default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor"} {
			own[key] = fmt.Sprint(min(replicas, cfg.Nodes))
		}
		for _, key := range []string{"min.insync.replicas", "transaction.state.log.min.isr"} {
			own[key] = fmt.Sprint(insyncReplicas)
		}
	}
	maps.Copy(own, cfg.Settings)
	one := Config{Listeners: []string{m.address}, Settings: own}
	inner := node.Config{Version: cfg.Version, Log: cfg.Log}
	if cfg.Log != nil {
		inner.Log = cfg.Log.With("node", m.id)
	}
	if cfg.Dir == "" {
		inner.FS = vfs.NewMem()
	} else {
		one.Dir = path.Join(cfg.Dir, fmt.Sprintf("node-%d", m.id))
	}
	inner.Settings = one.settings()
	return inner
}

// Size returns how many nodes the cluster has, running or not.
func (c *Cluster) Size() int { return len(c.members) }

// Node returns the node of an id, from 1 on, nil while it does not run.
func (c *Cluster) Node(id int32) *Node {
	m, err := c.member(id)
	if err != nil {
		return nil
	}
	return m.running()
}

// Running tells whether a node runs.
func (c *Cluster) Running(id int32) bool { return c.Node(id) != nil }

func (c *Cluster) member(id int32) (*member, error) {
	if id < 1 || int(id) > len(c.members) {
		return nil, fmt.Errorf("%w: %d of %d nodes", ErrNoNode, id, len(c.members))
	}
	return c.members[id-1], nil
}

// running returns the node, nil when it does not run, or has ended by itself.
func (m *member) running() *Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil {
		return nil
	}
	select {
	case <-m.node.Done():
		return nil
	default:
		return m.node
	}
}

// started is running, when no start is under way any more.
func (m *member) started() *Node {
	m.starting.Lock()
	defer m.starting.Unlock()
	return m.running()
}

// start does nothing when the node runs. It fails once the cluster's life has ended.
func (m *member) start(ctx, life context.Context) error {
	m.starting.Lock()
	defer m.starting.Unlock()
	if life.Err() != nil {
		return ErrStopped
	}
	if m.running() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	inner, err := node.Start(ctx, m.config)
	switch {
	case err != nil && life.Err() != nil:
		return ErrStopped
	case err != nil:
		return fmt.Errorf("node %d: %w", m.id, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = &Node{inner}
	return nil
}

// Start starts a node that was killed or stopped, with the data that it left, and returns when it answers. The context
// bounds the start only. After Stop nothing starts any more: ErrStopped.
func (c *Cluster) Start(ctx context.Context, id int32) error {
	m, err := c.member(id)
	if err != nil {
		return err
	}
	return m.start(ctx, c.life)
}

// Kill ends a node at once: see Node.Kill. A node that does not run stays as it is.
func (c *Cluster) Kill(id int32) error {
	m, err := c.member(id)
	if err != nil {
		return err
	}
	m.kill()
	return nil
}

func (m *member) kill() {
	m.mu.Lock()
	n := m.node
	m.mu.Unlock()
	if n != nil {
		n.Kill()
	}
}

func (c *Cluster) killAll() {
	for _, m := range c.members {
		m.kill()
	}
}

// StopNode stops a node in order: it gives its leaderships away first. See Node.Stop.
func (c *Cluster) StopNode(ctx context.Context, id int32) error {
	m, err := c.member(id)
	if err != nil {
		return err
	}
	if n := m.running(); n != nil {
		return n.Stop(ctx)
	}
	return nil
}

// Cut cuts the way between two nodes: what they send to each other arrives once Heal is called. Clients reach both.
func (c *Cluster) Cut(one, other int32) error {
	for _, id := range []int32{one, other} {
		if _, err := c.member(id); err != nil {
			return err
		}
	}
	c.network.cut(one, other)
	return nil
}

// Heal ends all cuts.
func (c *Cluster) Heal() { c.network.heal() }

// Addrs returns host and port of each node, by id.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, m := range c.members {
		addrs = append(addrs, m.address)
	}
	return addrs
}

// ClusterID returns the id of the cluster, "" while no node runs.
func (c *Cluster) ClusterID() string {
	for _, m := range c.members {
		if n := m.running(); n != nil {
			return n.ClusterID()
		}
	}
	return ""
}

// Dial returns a connection to the node that has an address, inside the process where it has no socket. The signature is
// that of a client's dialer.
func (c *Cluster) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	return c.network.dial(ctx, outside, address)
}

// ClientOptions make a franz-go client of the cluster, which finds the nodes that run. It asks for a new leader four times a
// second, not every five seconds as it would by itself: the question costs little here.
func (c *Cluster) ClientOptions() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial), kgo.MetadataMinAge(metadataMinAge)}
}

const metadataMinAge = 250 * time.Millisecond

// Stop heals the network and stops all nodes at once: nobody hands anything over, nobody would be left to take it. What is in
// flight gets as long as the context allows. Starts that are under way end with ErrStopped.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stop()
	c.Heal()
	var stopping sync.WaitGroup
	errs := make([]error, len(c.members))
	for i, m := range slices.Backward(c.members) {
		stopping.Go(func() {
			if n := m.started(); n != nil {
				errs[i] = n.inner.StopUndrained(ctx)
			}
		})
	}
	stopping.Wait()
	return errors.Join(errs...)
}
