//go:build linux

// Command scale measures what the metadata of a cluster costs that no single machine could hold: a real controller and one
// real broker, processes of the logbahn binary, among stubs.
//
//	scale [-brokers 100] [-partitions 200000] [-binary ../bin/logbahn]
//
// A stub is what a controller sees of a broker. It registers, sends heartbeats and follows the metadata log, with Kafka's
// requests and on connections of its own. What it fetches it does not apply: the stubs share the one image of an observer
// that runs in this process. To the real broker a stub is the leader of what it leads, and answers that there is nothing new.
//
// Partitions have three replicas in three racks, topics ten partitions, one topic 10,000. Progress goes to standard error;
// the figures to standard output, as JSON. It runs on Linux: CPU time and memory are read from /proc.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary     string
	scratch    string
	profiles   string
	brokers    int
	partitions int
	patience   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "../bin/logbahn", "Logbahn's binary")
	flag.StringVar(&o.scratch, "scratch", os.TempDir(), "where data directories are made")
	flag.StringVar(&o.profiles, "profiles", "", "a directory for CPU profiles of the controller, one of each step; none without it")
	flag.IntVar(&o.brokers, "brokers", 100, "brokers, 6 to 5,000: one is real")
	flag.IntVar(&o.partitions, "partitions", 200_000, "partitions, 1,000 to 2,000,000")
	flag.DurationVar(&o.patience, "patience", 15*time.Minute, "for how long it may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	figures, err := measure(ctx, o)
	stop()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(figures)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// measure measures one size.
func measure(ctx context.Context, o options) (map[string]float64, error) {
	if o.brokers < 6 || o.brokers > 5000 || o.partitions < 1000 || o.partitions > 2_000_000 {
		return nil, fmt.Errorf("%d brokers, %d partitions: see -help for what is possible", o.brokers, o.partitions)
	}
	var err error
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.binary); err != nil {
		return nil, fmt.Errorf("build Logbahn first (make build): %w", err)
	}
	if o.scratch, err = os.MkdirTemp(o.scratch, "logbahn-scale-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(o.scratch)
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	f := newFleet(o)
	defer f.close()
	m := measurement{fleet: f, begin: time.Now(), figures: map[string]float64{}}
	if err := m.all(ctx); err != nil {
		return nil, err
	}
	return m.figures, nil
}
