package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn"
	"github.com/logbahn/logbahn/internal/config"
)

// drainPatience is what requests in flight get after SIGTERM.
const drainPatience = 10 * time.Second

// opsListenerDefault is where `logbahn start` has its operations endpoint. A second broker on the machine goes without.
const opsListenerDefault = "127.0.0.1:9644"

// started is when the process began, as near as a program can tell.
var started = time.Now()

func startCommand() *cobra.Command {
	var overrides, voters []string
	var nodeID, proxy string
	var strict bool
	var logs logFlags
	c := &cobra.Command{
		Use:   "start [server.properties]",
		Short: "Run a broker",
		Long: "Run a broker. Its settings are Kafka's: a server.properties, KAFKA_ variables as the Apache image has them, and\n" +
			"--override key=value, the later ones first. Without any it listens on localhost:9092, and for metrics and health on\n" +
			opsListenerDefault + ". SIGTERM and Ctrl-C finish what clients have begun and flush; a second one ends at once.\n\n" +
			"Several nodes are a cluster: each is started with its number and the same list of voters, and listens on its own\n" +
			"address in it. They find each other, whichever is first; a node whose disk was lost is started as before.",
		Example: "  logbahn start\n" +
			"  logbahn start server.properties --override log.retention.hours=24\n" +
			"  logbahn start --node-id 1 --voters 1@alpha:9092,2@beta:9092,3@gamma:9092\n" +
			"  logbahn start --node-id 1 --voters 1@alpha:9092,2@beta:9092,3@gamma:9092 --proxy-listener :9094",
		Args: checkArgs(func(n int) bool { return n <= 1 }),
	}
	c.Flags().StringVar(&nodeID, "node-id", "", "this node's number in the cluster (node.id)")
	c.Flags().StringSliceVar(&voters, "voters", nil, "the nodes that are the cluster's controllers, ID@HOST:PORT each (controller.quorum.voters)")
	c.Flags().StringVar(&proxy, "proxy-listener", "", "HOST:PORT of one more listener, whose clients see the whole cluster as this one node (proxy.listener.names)")
	c.Flags().StringArrayVar(&overrides, "override", nil, "a setting, key=value (repeatable)")
	c.Flags().BoolVar(&strict, "strict", false, "refuse settings that are not known instead of warning")
	c.RunE = func(c *cobra.Command, args []string) error {
		settings, err := readSettings(args, overrides)
		if err != nil {
			return err
		}
		settings = append(settings, memberSettings(nodeID, voters)...)
		log, err := logs.newLog(c.ErrOrStderr())
		if err != nil {
			return err
		}
		return start(c, settings, proxy, strict, log)
	}
	logs.register(c)
	return c
}

// readSettings gathers the settings, those that count last.
func readSettings(files, overrides []string) (config.Settings, error) {
	var settings config.Settings
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, &cliError{code: exitNotFound, err: fmt.Errorf("settings: %w", err), hint: "without a file `logbahn start` uses the defaults"}
		}
		read, err := parseSettings(f, name)
		_ = f.Close()
		if err != nil {
			return nil, &cliError{code: exitUsage, err: err}
		}
		settings = append(settings, read...)
	}
	settings = append(settings, config.FromEnvironment(os.Environ())...)
	for _, o := range overrides {
		key, value, ok := strings.Cut(o, "=")
		if !ok {
			return nil, usageErrorf("--override %s: it is not of the form key=value", o)
		}
		settings = append(settings, config.Setting{Name: key, Value: value, Origin: "--override"})
	}
	return settings, nil
}

// memberSettings says in Kafka's words what the flags for a node of several say.
func memberSettings(nodeID string, voters []string) config.Settings {
	var settings config.Settings
	if nodeID != "" {
		settings = append(settings, config.Setting{Name: "node.id", Value: nodeID, Origin: "--node-id"})
	}
	if len(voters) > 0 {
		settings = append(settings, config.Setting{Name: "controller.quorum.voters", Value: strings.Join(voters, ","), Origin: "--voters"})
	}
	return settings
}

// membership returns the node's id, whichever key or default says it, and the voters. What is wrong with them the node says.
func membership(values map[string]string) (node int32, voters []config.Voter) {
	b, err := (config.Layers{Static: values}).Broker()
	if err != nil {
		return 0, nil
	}
	return b.NodeID, b.Quorum.Voters
}

// addressAmong returns where a node listens that has not been told: on its own address among the voters.
func addressAmong(voters []config.Voter, node int32) string {
	for _, v := range voters {
		if v.ID == node {
			return v.Address
		}
	}
	return "localhost:9092"
}

// checkSettings refuses what is wrong and warns of the rest.
func checkSettings(settings config.Settings, strict bool, log *slog.Logger) error {
	var wrong []string
	for _, p := range settings.Check() {
		if p.Fatal || strict {
			wrong = append(wrong, strings.Replace(p.String(), "; it is ignored", "", 1))
		} else {
			log.Warn("configuration", "problem", p.String())
		}
	}
	if len(wrong) > 0 {
		return &cliError{code: exitUsage, err: errors.New(strings.Join(wrong, "\n       "))}
	}
	return nil
}

func start(c *cobra.Command, settings config.Settings, proxy string, strict bool, log *slog.Logger) error {
	if err := checkSettings(settings, strict, log); err != nil {
		return err
	}
	values := settings.Map()
	id, voters := membership(values)
	if !listens(values) {
		values["listeners"] = "PLAINTEXT://" + addressAmong(voters, id)
	}
	if err := addProxy(values, proxy); err != nil {
		return err
	}
	dir := values["log.dirs"]
	if dir == "" {
		dir = values["log.dir"]
	}
	if dir == "" && len(voters) > 1 {
		dir = fmt.Sprintf("logbahn-data-%d", id)
	} else if dir == "" {
		dir = "logbahn-data"
	}
	delete(values, "log.dirs")
	super := newSupervisor(log)
	node, err := logbahn.Start(c.Context(), logbahn.Config{
		Dir: dir, Settings: values, Log: log, Ops: opsListenerDefault, Version: version(),
	})
	if err != nil {
		return startError(err)
	}
	log.Info("ready", "kafka", node.Addr(), "metrics", metricsURL(node), "after", time.Since(started).Round(time.Millisecond).String(),
		"version", version(), "node", node.ID(), "cluster", node.ClusterID(), "data", node.Dir())
	super.tell("READY=1\nSTATUS=Kafka on " + node.Addr())
	return runUntilDone(c.Context(), node, log, super)
}

func metricsURL(node *logbahn.Node) string {
	if node.OpsAddr() == "" {
		return "none"
	}
	return "http://" + node.OpsAddr() + "/metrics"
}

// listens tells whether the settings name an address, in today's words or in those of the oldest configurations.
func listens(values map[string]string) bool {
	return values["listeners"] != "" || values["port"] != "" || values["host.name"] != ""
}

// proxyListener is the name of the listener that --proxy-listener makes.
const proxyListener = "PROXY"

// addProxy adds the listener of --proxy-listener to the settings, none for "".
func addProxy(values map[string]string, address string) error {
	switch {
	case address == "":
		return nil
	case values["listeners"] == "":
		return usageErrorf("--proxy-listener goes with listeners, not with the older keys port and host.name")
	}
	names := values["proxy.listener.names"]
	if names != "" {
		names += ","
	}
	values["listeners"] += "," + proxyListener + "://" + address
	values["proxy.listener.names"] = names + proxyListener
	return nil
}

// startError gives an error of Start its exit code and a way out.
func startError(err error) error {
	switch {
	case errors.Is(err, logbahn.ErrLocked):
		return &cliError{code: exitRefused, err: err, hint: "another logbahn runs on this directory; stop it, or give log.dirs another one"}
	case errors.Is(err, logbahn.ErrPortTaken):
		return &cliError{code: exitRefused, err: err, hint: "--override listeners=PLAINTEXT://localhost:9093 takes another port for clients, --override ops.listener=off does without metrics"}
	}
	return err
}

// runUntilDone waits for SIGTERM, Ctrl-C, or the end of a node that cannot go on. A second signal ends the process at
// once, since the first has put signals back to their defaults.
func runUntilDone(ctx context.Context, node *logbahn.Node, log *slog.Logger, super *supervisor) error {
	watching, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { super.watch(watching, func() bool { return working(node) }) })
	defer watch.Wait()
	defer endWatch()
	select {
	case <-node.Done():
		return fmt.Errorf("the node has stopped: %w", node.Err())
	case <-ctx.Done():
	}
	begin := time.Now()
	log.Info("stopping", "patience", drainPatience.String())
	super.tell("STOPPING=1\nSTATUS=finishing what clients have begun")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if err := node.Stop(drain); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	log.Info("stopped", "after", time.Since(begin).Round(time.Millisecond).String())
	return nil
}

// working tells whether the node works: it has not given up.
func working(node *logbahn.Node) bool {
	select {
	case <-node.Done():
		return false
	default:
		return true
	}
}

// logFlags say how the log is written.
type logFlags struct{ format, level string }

func (f *logFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.format, "log-format", "text", "text (key=value) or json, one object a line")
	c.Flags().StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
}

func (f *logFlags) newLog(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usageErrorf("--log-level %s: it is none of debug, info, warn, error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageErrorf("--log-format %s: it is none of text, json", f.format)
}
