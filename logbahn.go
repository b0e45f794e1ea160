// Package logbahn is an Apache-Kafka-compatible log inside your program: the same engine that the logbahn binary runs.
//
//	node, err := logbahn.Start(ctx, logbahn.Config{Dir: "data"})
//	if err != nil { ... }
//	defer node.Stop(context.Background())
//	client, err := kgo.NewClient(node.ClientOptions()...)
//
// A node without listeners is reached by its own program only, over connections that never leave the process. With
// listeners it is a broker like any other. A [Cluster] is several nodes in one program.
package logbahn

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/node"
	"github.com/logbahn/logbahn/internal/vfs"
)

// Errors of Start that a program may want to tell apart.
var (
	// ErrLocked means that another process, or another node of this one, uses the data directory.
	ErrLocked = commitlog.ErrLocked
	// ErrPortTaken means that something else listens on the address of a listener.
	ErrPortTaken = node.ErrPortTaken
)

// Config says what a node is like. The zero value is a node in memory that only its own program reaches.
type Config struct {
	// Dir is the data directory, made and formatted when it is empty. "" keeps everything in memory: it is gone when the
	// node stops.
	Dir string
	// Listeners are addresses to serve on, such as "127.0.0.1:9092"; port 0 is any free one. None: only this program can
	// connect, with Dial or ClientOptions. Settings["listeners"] says the same in Kafka's words.
	Listeners []string
	// Settings are Kafka's broker settings, by the keys of server.properties: "num.partitions": "12".
	Settings map[string]string
	// Ops is where the operations endpoint (metrics, health, clients, profiles) listens, such as "127.0.0.1:9644"; ""
	// is nowhere. That the address is taken is a warning. Settings["ops.listener"] goes before it, and insists.
	Ops string
	// Version is what the endpoint tells as the version of the program.
	Version string
	// Log gets the node's log; nil discards it.
	Log *slog.Logger
}

// Node is a running node. Its methods may be called by any goroutine.
type Node struct{ inner *node.Node }

// memoryDir is the name of the data directory of a node in memory.
const memoryDir = "memory"

// Start starts a node and returns when it answers requests. The context bounds the start only; the node runs until
// Stop. An error says what to do, and leaves nothing running.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	settings := cfg.settings()
	inner := node.Config{Log: cfg.Log, Settings: settings, OpsListener: cfg.Ops, Version: cfg.Version}
	if v := settings.Map(); v["listeners"] == "" && v["port"] == "" && v["host.name"] == "" {
		inner.InProcess = true
	}
	if cfg.Dir == "" {
		inner.FS = vfs.NewMem()
	}
	n, err := node.Start(ctx, inner)
	if err != nil {
		return nil, err
	}
	return &Node{n}, nil
}

// settings are Settings, and before them what the other fields say.
func (c Config) settings() config.Settings {
	dir := c.Dir
	if dir == "" {
		dir = memoryDir
	}
	settings := config.Settings{{Name: "log.dirs", Value: dir, Origin: "Config.Dir"}}
	if len(c.Listeners) > 0 {
		list := ""
		for i, address := range c.Listeners {
			if i > 0 {
				list += ","
			}
			list += listenerName(i) + "://" + address
		}
		settings = append(settings, config.Setting{Name: "listeners", Value: list, Origin: "Config.Listeners"})
		if len(c.Listeners) > 1 {
			settings = append(settings, config.Setting{Name: "listener.security.protocol.map", Value: protocolMap(len(c.Listeners)), Origin: "Config.Listeners"})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		settings = append(settings, config.Setting{Name: key, Value: c.Settings[key], Origin: "Config.Settings"})
	}
	return settings
}

// listenerName names the i-th listener: Kafka wants names, and each of them once.
func listenerName(i int) string {
	if i == 0 {
		return "PLAINTEXT"
	}
	return "PLAINTEXT" + string(rune('A'+i-1))
}

func protocolMap(n int) string {
	list := ""
	for i := range n {
		if i > 0 {
			list += ","
		}
		list += listenerName(i) + ":PLAINTEXT"
	}
	return list
}

// Addr returns host and port of the first listener, "" when there is none.
func (n *Node) Addr() string { return n.inner.Addr() }

// OpsAddr returns host and port of the operations endpoint, "" when there is none.
func (n *Node) OpsAddr() string { return n.inner.OpsAddr() }

// Dir returns the data directory.
func (n *Node) Dir() string { return n.inner.Dir() }

// ID returns the node's id, node.id in its settings.
func (n *Node) ID() int32 { return n.inner.NodeID() }

// ClusterID returns the id of the cluster, drawn when the data directory was formatted.
func (n *Node) ClusterID() string { return n.inner.ClusterID() }

// Dial returns a connection to the node inside the process. Network and address are not looked at: the signature is
// that of a client's dialer.
func (n *Node) Dial(ctx context.Context, _, _ string) (net.Conn, error) { return n.inner.Dial(ctx) }

// ClientOptions make a franz-go client of this node, over connections inside the process.
func (n *Node) ClientOptions() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers("in-process:9092"), kgo.Dialer(n.Dial)}
}

// Stop takes no more requests, finishes those in flight as long as the context allows, flushes, and ends everything
// that the node has started.
func (n *Node) Stop(ctx context.Context) error { return n.inner.Stop(ctx) }

// Kill ends the node as kill -9 ends a process, for tests of what that does: nothing more is written, answered or said, and
// all goroutines have ended when it returns. The next start recovers the directory. Err stays nil.
func (n *Node) Kill() { n.inner.Kill() }

// Done is closed when the node has stopped, by Stop, by Kill or because it could not go on; Err tells which.
func (n *Node) Done() <-chan struct{} { return n.inner.Done() }

// Err returns why a node has stopped by itself, nil otherwise.
func (n *Node) Err() error { return n.inner.Err() }
