//go:build linux

// Command chaos breaks a cluster of real processes while real clients use it, and judges what they have seen.
//
//	chaos [-duration 10m] [-seed n] [-binary ../bin/logbahn]
//	chaos -judge DIR      judges the histories that a run has kept once more
//
// Each node is a process in a network namespace of its own, with its data on a file system which can lose power, fail,
// fill up and become slow. franz-go, librdkafka and the Java client write, read and commit through it all, while faults
// are injected one after the other in the order that the seed gives: faults.go lists them. At the end the clients'
// histories and the replicas' files are checked for lost, doubled, moved and invented records, and the times without a
// successful write are compared with what is promised.
//
// It needs Linux and root; what else is missing it says. Everything that it makes lives in namespaces that end with
// it. The exit code is 0 when nothing is wrong, 1 when something is, and 2 when it could not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/logbahn/logbahn/chaos/sandbox"
)

const (
	exitAnomaly = 1
	exitCannot  = 2
)

// options are the flags.
type options struct {
	duration time.Duration
	seed     uint64
	binary   string
	nodes    int
	rate     int
	session  time.Duration
	faults   string
	out      string
	keep     bool
	document string
	interop  string
	clients  string
	flushOS  bool
	judge    string
}

func main() {
	o, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitCannot)
	}
	if o.judge != "" {
		os.Exit(exitCode(judgeKept(o.judge)))
	}
	if err := sandbox.Missing("ip@iproute2", "nft@nftables", "nsenter@util-linux", "javac@default-jdk-headless"); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitCannot)
	}
	within, code, err := sandbox.Enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitCannot)
	}
	if !within {
		os.Exit(code)
	}
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(exitCode(chaos(ctx, o)))
}

func exitCode(fine bool, err error) int {
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		return exitCannot
	case !fine:
		return exitAnomaly
	}
	return 0
}

func parse() (*options, error) {
	var o options
	flag.DurationVar(&o.duration, "duration", 10*time.Minute, "how long faults are injected, 30s and more")
	flag.Uint64Var(&o.seed, "seed", 0, "the order of the faults and their targets; 0 draws one")
	flag.StringVar(&o.binary, "binary", "../bin/logbahn", "Logbahn's binary")
	flag.IntVar(&o.nodes, "nodes", 3, "nodes, 1 to 5")
	flag.IntVar(&o.rate, "rate", 50, "records a second that each client sends, 1 to 1000")
	flag.DurationVar(&o.session, "session", 6*time.Second, "broker.session.timeout.ms and replica.lag.time.max.ms")
	flag.StringVar(&o.faults, "faults", "", "only these faults, separated by commas: "+faultNames())
	flag.StringVar(&o.out, "out", "", "the directory of histories, logs and the summary; kept when it is given, else only on failure")
	flag.StringVar(&o.document, "document", "", "the Markdown file whose section of this run is replaced")
	flag.StringVar(&o.interop, "interop", os.Getenv("LOGBAHN_INTEROP"), "where interop/install.sh has put the clients")
	flag.StringVar(&o.clients, "clients", "franz,librdkafka,java", "the clients, separated by commas")
	flag.BoolVar(&o.flushOS, "flush-os", false, "run the nodes with flush=os")
	flag.StringVar(&o.judge, "judge", "", "a directory with histories to judge once more, instead of a run")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.duration < 30*time.Second || o.nodes < 1 || o.nodes > 5 || o.rate < 1 || o.rate > 1000 {
		return nil, errors.New("-duration is 30s and more, -nodes 1 to 5, -rate 1 to 1000")
	}
	if o.interop == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		o.interop = filepath.Join(home, ".cache", "logbahn-interop")
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32N(1e6)) + 1
	}
	if o.judge != "" {
		return &o, nil
	}
	o.keep = o.out != ""
	return &o, o.complete()
}

// complete makes paths absolute and checks that what they name is there.
func (o *options) complete() (err error) {
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("build Logbahn first (make build): %w", err)
	}
	if _, err := chosenFaults(o.faults, o.nodes); err != nil {
		return err
	}
	if o.out == "" {
		o.out = filepath.Join(os.TempDir(), "logbahn-chaos-"+time.Now().UTC().Format("20060102-150405"))
	}
	return nil
}
