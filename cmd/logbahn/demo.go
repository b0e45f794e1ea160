package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn"
	"github.com/logbahn/logbahn/apps/payd"
)

type demoFlags struct {
	dir, listen, http string
	clean             bool
	brokers           int
	cars              int
	seed              uint64
	replay            string
	speed             float64
	unit, zone        string
}

func demoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "A node and a fleet of cars: pay-as-you-drive insurance, live",
		Long: "Starts a node that listens on this machine only, and on it the pay-as-you-drive application: a simulated fleet, or\n" +
			"recorded drives with --replay, the stages that learn each driver's habits, and a page that shows every premium.\n" +
			"With --brokers 3 it is a cluster of three nodes. A button on the page, and `logbahn demo kill-leader`, kill the one\n" +
			"that leads: the cars drive on, and a counter shows what was lost and what came twice.",
		Example: "  logbahn demo\n  logbahn demo --brokers 3",
		Args:    exactArgs(0),
		RunE:    func(c *cobra.Command, _ []string) error { return demo(c, f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "data directory (default ~/.logbahn/demo)")
	c.Flags().BoolVar(&f.clean, "clean", false, "begin anew: delete the demo's data first")
	c.Flags().IntVar(&f.brokers, "brokers", 1, "how many nodes; each keeps a copy of everything, up to three")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:9092", "address of the Kafka listener; other nodes have the ports behind it")
	c.Flags().StringVar(&f.http, "http", "localhost:8080", "address of the page")
	c.Flags().IntVar(&f.cars, "cars", 0, "simulated cars (default 120)")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of the simulation")
	c.Flags().StringVar(&f.replay, "replay", "", "recorded drives instead of simulated ones: NDS-BR or DrivePlotR (.csv, .csv.gz), or lines as of 2015")
	c.Flags().Float64Var(&f.speed, "replay-speed", 0, "how much faster than recorded to replay (0: as fast as it goes)")
	c.Flags().StringVar(&f.unit, "speed-unit", "", "unit of the speed in lines: km/h, mph, m/s, kn")
	c.Flags().StringVar(&f.zone, "zone", "", "time zone of the time in lines, such as America/New_York")
	c.AddCommand(demoKillLeader(), demoStartBroker())
	return c
}

// demoFile tells a second demo on the same data where the first one is.
const demoFile = "demo.json"

type runningDemo struct {
	PID   int    `json:"pid"`
	URL   string `json:"url"`
	Kafka string `json:"kafka"`
}

func demo(c *cobra.Command, f demoFlags) error {
	out := c.OutOrStdout()
	if f.replay != "" {
		if _, err := os.Stat(f.replay); err != nil {
			return &cliError{code: exitNotFound, err: fmt.Errorf("replay: %w", err)}
		}
	}
	dir, temporary, err := f.directory()
	if err != nil {
		return err
	}
	if temporary {
		fmt.Fprintf(c.ErrOrStderr(), "no home directory: the data goes to %s and is removed at the end\n", dir)
		defer os.RemoveAll(dir)
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	nodes, err := f.start(c, dir, log)
	switch {
	case errors.Is(err, logbahn.ErrLocked), errors.Is(err, logbahn.ErrPortTaken): // a cluster takes its ports first
		return firstDemo(c, dir, err)
	case err != nil:
		return err
	}
	ctx, cancel := context.WithCancelCause(c.Context())
	go endWith(ctx, cancel, nodes)
	err = payd.Run(ctx, payd.Config{
		Brokers: nodes.addrs, Opts: nodes.options, Cluster: nodes.cluster, Listen: f.http, Cars: f.cars, Seed: f.seed,
		LineUnit: f.unit, LineZone: f.zone, Replay: payd.Replay{File: f.replay, Speed: f.speed},
		Terminal: out, Log: log,
		Ready: func(url string) {
			writeDemoFile(dir, runningDemo{os.Getpid(), url, strings.Join(nodes.addrs, ",")}, log)
			fmt.Fprintf(out, "Logbahn %s, ready in %s\n\n  Page   %s\n  Kafka  %s\n  Data   %s\n  Try    %s\n\n"+
				"Ctrl-C stops; the next demo goes on where this one ends. --clean begins anew.\n\n",
				version(), time.Since(started).Round(time.Millisecond), url, strings.Join(nodes.addrs, " "), dir, f.try(nodes))
		},
	})
	if err != nil && f.replay != "" && (f.unit == "" || f.zone == "") && strings.Contains(err.Error(), "speed unit") {
		err = &cliError{code: exitUsage, err: err, hint: "add for example --speed-unit km/h --zone America/New_York"}
	}
	cancel(nil)
	_ = os.Remove(filepath.Join(dir, demoFile))
	stop, done := context.WithTimeout(context.WithoutCancel(c.Context()), drainPatience)
	defer done()
	return errors.Join(err, nodes.stop(stop), nodes.err())
}

// try is what the demo proposes to do next.
func (f demoFlags) try(nodes *demoNodes) string {
	if nodes.cluster == nil {
		return "logbahn consume premiums --from start -b " + nodes.addrs[0]
	}
	if f.dir != "" {
		return "logbahn demo kill-leader --dir " + f.dir
	}
	return "logbahn demo kill-leader"
}

// endWith ends the application with its nodes. The goroutine ends with the context.
func endWith(ctx context.Context, cancel context.CancelCauseFunc, nodes *demoNodes) {
	select {
	case <-ctx.Done():
	case <-nodes.done:
		cancel(nodes.err())
	}
}

// directory returns the data directory, and whether it is a temporary one for want of a home.
func (f demoFlags) directory() (dir string, temporary bool, err error) {
	if f.dir != "" {
		return f.dir, false, nil
	}
	if home, err := os.UserHomeDir(); err == nil {
		dir = filepath.Join(home, ".logbahn", "demo")
		if err := os.MkdirAll(dir, 0o755); err == nil {
			return dir, false, nil
		}
	}
	dir, err = os.MkdirTemp("", "logbahn-demo")
	return dir, true, err
}

// removeData removes the demo's data, unless a demo is using it.
func (f demoFlags) removeData(dir string) error {
	if running, err := readDemoFile(dir); err == nil && alive(running) {
		return &cliError{code: exitRefused, err: fmt.Errorf("a demo is running on %s: %s", dir, running.URL), hint: "stop it before --clean"}
	}
	return os.RemoveAll(f.dataDir(dir))
}

// firstDemo answers a second demo on the same data. Where none runs, why is something else's doing.
func firstDemo(c *cobra.Command, dir string, why error) error {
	running, err := readDemoFile(dir)
	switch {
	case err == nil && (errors.Is(why, logbahn.ErrLocked) || alive(running)):
	case errors.Is(why, logbahn.ErrPortTaken):
		return &cliError{code: exitRefused, err: why, hint: "--listen names another address; without it a free port is taken"}
	default:
		return startError(why)
	}
	fmt.Fprintf(c.OutOrStdout(), "a demo is running on this data already (process %d)\n\n  Page   %s\n  Kafka  %s\n", running.PID, running.URL, running.Kafka)
	return nil
}

func readDemoFile(dir string) (runningDemo, error) {
	var running runningDemo
	b, err := os.ReadFile(filepath.Join(dir, demoFile))
	if err != nil {
		return running, err
	}
	return running, json.Unmarshal(b, &running)
}

// writeDemoFile is for the convenience of a second demo only: that it cannot be written stops nobody.
func writeDemoFile(dir string, running runningDemo, log *slog.Logger) {
	b, err := json.Marshal(running)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, demoFile), b, 0o644)
	}
	if err != nil {
		log.Warn("a second demo will not find this one", "err", err)
	}
}
