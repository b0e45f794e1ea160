package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn"
	"github.com/logbahn/logbahn/apps/payd"
)

// demoNodes is what the demo runs on.
type demoNodes struct {
	addrs   []string
	options []kgo.Opt
	cluster payd.Cluster    // nil: one node, which nobody kills
	done    <-chan struct{} // closed when they cannot go on; nil: never
	err     func() error
	stop    func(context.Context) error
}

const demoNodesMax = 9

// dataDir is the nodes' directory within the demo's: --clean removes only what the demo itself has made. Each size of
// cluster has its own.
func (f demoFlags) dataDir(dir string) string {
	if f.brokers > 1 {
		return filepath.Join(dir, fmt.Sprintf("data-%d", f.brokers))
	}
	return filepath.Join(dir, "data")
}

// start starts the nodes. Ports that are taken are replaced by free ones, and that is said.
func (f demoFlags) start(c *cobra.Command, dir string, log *slog.Logger) (*demoNodes, error) {
	if f.brokers < 1 || f.brokers > demoNodesMax {
		return nil, usageErrorf("--brokers %d: possible are 1 to %d", f.brokers, demoNodesMax)
	}
	if f.clean {
		if err := f.removeData(dir); err != nil {
			return nil, err
		}
	}
	listeners, err := f.listeners()
	if err != nil {
		return nil, err
	}
	begin := f.startNode
	if f.brokers > 1 {
		begin = f.startCluster
	}
	nodes, err := begin(c.Context(), dir, listeners, log)
	if errors.Is(err, logbahn.ErrPortTaken) && !c.Flags().Changed("listen") {
		free := slices.Repeat([]string{"127.0.0.1:0"}, f.brokers)
		if nodes, err = begin(c.Context(), dir, free, log); err == nil {
			fmt.Fprintf(c.ErrOrStderr(), "%s is taken: the Kafka listener is on %s\n", f.listen, nodes.addrs[0])
		}
	}
	return nodes, err // the caller knows whether another demo is why
}

// listeners are --listen, and the ports behind it for the other nodes.
func (f demoFlags) listeners() ([]string, error) {
	host, text, err := net.SplitHostPort(f.listen)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err = errors.Join(err, portErr); err != nil || f.brokers == 1 {
		return []string{f.listen}, nil // the node says what is wrong with it
	}
	if int(port)+f.brokers-1 > 65535 {
		return nil, usageErrorf("--listen %s: there are no %d ports from there on", f.listen, f.brokers)
	}
	var list []string
	for i := range f.brokers {
		next := int(port)
		if port > 0 {
			next += i
		}
		list = append(list, net.JoinHostPort(host, strconv.Itoa(next)))
	}
	return list, nil
}

var demoSettings = map[string]string{
	"offsets.topic.num.partitions":     "4",
	"group.initial.rebalance.delay.ms": "0",
}

func (f demoFlags) startNode(ctx context.Context, dir string, listeners []string, log *slog.Logger) (*demoNodes, error) {
	node, err := logbahn.Start(ctx, logbahn.Config{Dir: f.dataDir(dir), Listeners: listeners, Log: log, Settings: demoSettings})
	if err != nil {
		return nil, err
	}
	return &demoNodes{addrs: []string{node.Addr()}, options: node.ClientOptions(), done: node.Done(), err: node.Err, stop: node.Stop}, nil
}

func (f demoFlags) startCluster(ctx context.Context, dir string, listeners []string, log *slog.Logger) (*demoNodes, error) {
	settings := map[string]string{
		// A broker that is killed is missed soon: the map should not stand still for long.
		"broker.session.timeout.ms":    "2000",
		"broker.heartbeat.interval.ms": "400",
		// One that is back leads its share again before anybody has lost patience.
		"leader.imbalance.check.interval.seconds": "5",
	}
	for key, value := range demoSettings {
		settings[key] = value
	}
	nodes, err := logbahn.StartCluster(ctx, logbahn.ClusterConfig{
		Nodes: f.brokers, Dir: f.dataDir(dir), Listeners: listeners, Log: slog.New(grave{log.Handler()}), Settings: settings,
	})
	if err != nil {
		return nil, err
	}
	return &demoNodes{
		addrs: nodes.Addrs(), options: nodes.ClientOptions(), cluster: nodes,
		err: func() error { return nil }, stop: nodes.Stop,
	}, nil
}

// grave leaves out of a log what is to be expected where somebody kills brokers: the others say that they miss one.
type grave struct{ slog.Handler }

// Enabled implements slog.Handler.
func (g grave) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && g.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (g grave) WithAttrs(attrs []slog.Attr) slog.Handler { return grave{g.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (g grave) WithGroup(name string) slog.Handler { return grave{g.Handler.WithGroup(name)} }
