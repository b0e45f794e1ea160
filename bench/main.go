//go:build linux

// Command bench measures Logbahn beside Apache Kafka, kfake, NATS JetStream and the bare loops that say what the machine
// can do, and writes docs/benchmarks.md. It runs on Linux: CPU time and memory are read from /proc.
//
//	bench run [-section produce,latency] [-rounds 3] [-budget 60m]    measures, and keeps a JSON file for each section
//	bench report                                                      writes the document from those files
//	bench figures                                                     start time, idle memory, size of the binary
//	bench profile [-load produce-large]                               profiles the broker under a raw load
//
// Systems take turns, A B C A B C, each run with a fresh process and a fresh directory. Ratios are formed within one
// round, so that what else the machine did meanwhile weighs on both sides, and printed with their spread over the rounds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/logbahn/logbahn/bench/system"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// options are the flags of all commands.
type options struct {
	env      system.Env
	sections string
	systems  string
	rounds   int
	budget   time.Duration
	results  string
	document string
	load     string
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to do: run, report, figures or profile")
	}
	if args[0] == "serve" {
		return system.Serve(args[1:])
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.StringVar(&o.env.Logbahn, "binary", "../bin/logbahn", "Logbahn's binary")
	flags.StringVar(&o.env.Scratch, "scratch", os.TempDir(), "where data directories are made: on the disk that is to be measured")
	kafka := flags.String("kafka", kafkaJars(), "the directory of Kafka's jars, which interop/install.sh fills")
	flags.StringVar(&o.sections, "section", "", "the sections to measure, separated by commas; all without it: "+sectionNames())
	flags.StringVar(&o.systems, "system", "", "only these systems, separated by commas; the document needs all of them")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of each section, 1 to 100")
	flags.DurationVar(&o.budget, "budget", time.Hour, "time for all sections; what does not fit loses rounds")
	flags.StringVar(&o.results, "results", "results", "the directory of the sections' JSON files")
	flags.StringVar(&o.document, "document", "../docs/benchmarks.md", "the document to write")
	flags.StringVar(&o.load, "load", "", "the load to profile: "+profileNames())
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.rounds = min(max(o.rounds, 1), 100)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.env.Self = self
	if o.env.Logbahn, err = filepath.Abs(o.env.Logbahn); err != nil {
		return err
	}
	if jars, _ := filepath.Glob(filepath.Join(*kafka, "kafka_2*.jar")); len(jars) > 0 {
		o.env.KafkaCP = filepath.Join(*kafka, "*") + ":" + jars[0]
	}
	switch args[0] {
	case "run":
		return run(ctx, &o, strings.Join(os.Args, " "))
	case "report":
		return report(&o)
	case "figures":
		return figures(ctx, &o)
	case "profile":
		return profile(ctx, &o)
	}
	return fmt.Errorf("there is no command %q: run, report, figures or profile", args[0])
}

// kafkaJars is where interop/install.sh puts Kafka.
func kafkaJars() string {
	dir := os.Getenv("LOGBAHN_INTEROP")
	if dir == "" {
		home, _ := os.UserHomeDir()
		dir = filepath.Join(home, ".cache", "logbahn-interop")
	}
	return filepath.Join(dir, "java", "lib")
}
