//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/chaos/cluster"
	"github.com/logbahn/logbahn/chaos/network"
	"github.com/logbahn/logbahn/chaos/procfs"
	"github.com/logbahn/logbahn/chaos/workload"
)

const (
	topic      = "chaos"
	partitions = 6
	diskBytes  = 4 << 30
	// promised is what writes may take to resume beyond the session timeout, or beyond nothing when a process has died on
	// a machine that lives. It is below the default of -session, so that a cluster which waits for that is found.
	promised = 5 * time.Second
	// wholePatience is how long the replicas may take to be in sync again after a fault. What it bounds is the run;
	// what is promised is that writes resume.
	wholePatience = 90 * time.Second
	// deliveryPatience is how long clients try to deliver a record: longer than any fault.
	deliveryPatience = 2 * time.Minute
	calm             = 2 * time.Second
)

// run is one run of the program.
type run struct {
	options  *options
	random   *rand.Rand
	cluster  *cluster.Cluster
	observer *observer
	history  *workload.History
	clients  []workload.Client
	undos    []func()
	begin    time.Time
	spans    []span
	silent   map[reader]bool // those that have been found to stand still
	sighted  int             // files of sightings
	findings []string
}

// span is one fault from its beginning to the moment at which all was well again.
type span struct {
	*fault
	target                      string
	injected, healed, recovered time.Time
	loaded                      procfs.Load // when it was injected
	busy                        busyness    // until it had recovered
}

// limit is the time within which writes have to resume.
func (r *run) limit() time.Duration { return r.options.session + promised }

// limitUnder is the same while a fault lasts that leaves a majority alone.
func (r *run) limitUnder(f *fault) time.Duration {
	if f.dies {
		return promised
	}
	return r.limit()
}

// found keeps something that is wrong.
func (r *run) found(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	r.findings = append(r.findings, what)
	r.say("WRONG: %s", what)
}

// say prints a line with the time since the beginning.
func (r *run) say(format string, args ...any) {
	fmt.Printf("%7.1fs %s\n", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...))
}

// chaos does it all and tells whether nothing was wrong.
func chaos(ctx context.Context, o *options) (bool, error) {
	r := &run{options: o, random: rand.New(rand.NewPCG(o.seed, 0)), begin: time.Now(), history: workload.NewHistory(topic), silent: map[reader]bool{}}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	r.say("seed %d, %v, histories and logs in %s", o.seed, o.duration, o.out)
	net, err := network.New(o.nodes)
	if err != nil {
		return false, err
	}
	r.cluster, err = cluster.New(cluster.Config{Binary: o.binary, Nodes: o.nodes, DiskBytes: diskBytes, Settings: settings(o), LogDir: o.out}, net)
	if err != nil {
		return false, err
	}
	if err := r.start(ctx); err != nil {
		return false, errors.Join(err, r.cluster.Close())
	}
	r.injectAll(ctx)
	finals := r.finish(ctx)
	if ctx.Err() != nil { // also while it finished: what was not read is not judged
		return false, errors.Join(errors.New("interrupted"), r.cluster.Close())
	}
	r.judge(finals)
	r.checkPanics()
	var kept error
	if len(r.findings) > 0 {
		kept = r.keep()
	}
	if err := errors.Join(kept, r.report(), r.cluster.Close()); err != nil {
		return false, err
	}
	return len(r.findings) == 0, nil
}

// settings are those of every node.
func settings(o *options) []string {
	session := strconv.FormatInt(o.session.Milliseconds(), 10)
	all := []string{
		"broker.session.timeout.ms=" + session,
		"broker.heartbeat.interval.ms=" + strconv.FormatInt(o.session.Milliseconds()/6, 10),
		"replica.lag.time.max.ms=" + session,
		"default.replication.factor=" + strconv.Itoa(min(o.nodes, 3)),
		"min.insync.replicas=" + strconv.Itoa(min(o.nodes, 2)),
		"offsets.topic.replication.factor=" + strconv.Itoa(min(o.nodes, 3)),
		"offsets.topic.num.partitions=3",
		"group.initial.rebalance.delay.ms=0",
		// Small ones, so that rolls and their files are met by the faults too.
		"log.segment.bytes=" + strconv.Itoa(1<<20),
	}
	if o.flushOS {
		all = append(all, "flush=os")
	}
	return all
}

// start starts the nodes, makes the topic and starts the clients.
func (r *run) start(ctx context.Context) error {
	if err := r.cluster.StartAll(ctx); err != nil {
		return err
	}
	var err error
	if r.observer, err = newObserver(strings.Split(r.cluster.Bootstrap(), ","), r.options.nodes, topic); err != nil {
		return err
	}
	if err := r.observer.createTopic(ctx, partitions); err != nil {
		return err
	}
	if err := r.observer.awaitWhole(ctx, wholePatience); err != nil {
		return err
	}
	r.say("%d nodes are up", r.options.nodes)
	config := workload.Config{Bootstrap: r.cluster.Bootstrap(), Topic: topic, Partitions: partitions, Rate: r.options.rate,
		Patience: deliveryPatience, Dir: r.options.out}
	for name := range strings.SplitSeq(r.options.clients, ",") {
		client, err := r.startClient(name, config)
		if err != nil {
			return err
		}
		r.clients = append(r.clients, client)
	}
	return r.awaitWrites(ctx, time.Now(), time.Minute)
}

func (r *run) startClient(name string, config workload.Config) (workload.Client, error) {
	switch name {
	case "franz":
		return workload.StartFranz(config, r.history)
	case "librdkafka":
		return workload.StartLibrdkafka(config, r.history, filepath.Join(r.options.interop, "python", "bin", "python"), "clients/librdkafka.py")
	case "java":
		classPath, err := r.compileJava()
		if err != nil {
			return nil, err
		}
		return workload.StartJava(config, r.history, classPath)
	}
	return nil, fmt.Errorf("there is no client %q: franz, librdkafka, java", name)
}

// awaitWrites waits until every client has written to every partition after begin.
func (r *run) awaitWrites(ctx context.Context, begin time.Time, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	missing := map[write]bool{}
	for _, c := range r.clients {
		for p := range int32(partitions) {
			missing[write{c.Name(), p}] = true
		}
	}
	for looked := 0; ; {
		more := r.history.More()
		acks := r.history.Acks()
		for _, a := range acks[looked:] {
			if a.Time.After(begin) {
				delete(missing, write{a.Client, a.Partition})
			}
		}
		looked = len(acks)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return notWritten(patience, missing)
		}
	}
}

// write is what a client and a partition are waited for.
type write struct {
	client    string
	partition int32
}

func notWritten(patience time.Duration, missing map[write]bool) error {
	var names []string
	s := &silence{}
	for w := range missing {
		names = append(names, fmt.Sprintf("%s to partition %d", w.client, w.partition))
		s.suspects = append(s.suspects, suspect{w.client, workload.Producer(w.client)})
	}
	slices.Sort(names)
	s.what = fmt.Sprintf("after %v there are no writes of %s", patience, strings.Join(names, ", "))
	return s
}

// injectAll injects faults until the time is up, all of them once before the first one comes again.
func (r *run) injectAll(ctx context.Context) {
	chosen, _ := chosenFaults(r.options.faults, r.options.nodes) // checked by parse
	until := time.Now().Add(r.options.duration)
	for round := 1; ; round++ {
		for _, i := range r.random.Perm(len(chosen)) {
			if !time.Now().Before(until) {
				return
			}
			if err := r.injectOne(ctx, &chosen[i]); err != nil {
				if ctx.Err() == nil {
					r.found("%s: %v; no further faults%s", chosen[i].name, err, r.dissect(err))
				}
				return
			}
		}
	}
}

// injectOne injects a fault, holds it, heals it, and waits until all is well. An error ends the run.
func (r *run) injectOne(ctx context.Context, f *fault) error {
	loaded, err := procfs.ReadLoad()
	if err != nil {
		return err
	}
	s := span{fault: f, injected: time.Now(), loaded: loaded}
	before := r.readers()
	target, err := f.inject(ctx, r)
	s.target = target
	if err != nil && ctx.Err() == nil {
		r.found("%s of %s: %v", f.name, target, err)
	}
	r.say("%s: %s", f.name, target)
	sleep(ctx, r.hold(f))
	s.healed = time.Now()
	if err := r.heal(ctx, f); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	if err := r.awaitWrites(ctx, s.healed, wholePatience); err != nil {
		return err
	}
	if err := r.observer.awaitWhole(ctx, wholePatience); err != nil {
		return err
	}
	s.recovered = time.Now()
	if s.busy, err = s.busySince(); err != nil {
		return err
	}
	r.spans = append(r.spans, s)
	r.measure(&s)
	sleep(ctx, calm)
	r.awaitStanding(ctx, &s, before)
	return ctx.Err()
}

// hold is how long a fault lasts.
func (r *run) hold(f *fault) time.Duration {
	switch {
	case f.sessions > 0:
		return time.Duration(f.sessions) * r.options.session
	case f.sessions < 0: // it takes the time that it takes
		return 0
	case r.serves(f):
		return r.limit() + 2*time.Second
	}
	return 3 * time.Second // nothing happens before it is healed
}

// serves tells whether writes have to go on under the fault: that takes a majority which it leaves alone.
func (r *run) serves(f *fault) bool { return f.serves && r.options.nodes >= 3 }

// undo calls a function when the fault is healed, before its nodes start again.
func (r *run) undo(f func()) { r.undos = append(r.undos, f) }

// heal ends every fault and starts the nodes that do not run.
func (r *run) heal(ctx context.Context, f *fault) error {
	for _, undo := range r.undos {
		undo()
	}
	r.undos = nil
	if err := r.cluster.Network().Heal(); err != nil {
		return err
	}
	for _, n := range r.cluster.Nodes() {
		n.Disk.Heal()
		if n.Paused() {
			if err := n.Resume(); err != nil {
				return err
			}
		}
	}
	for _, death := range r.cluster.Died() {
		if f == nil || !f.mayEnd {
			r.found("%s", death)
		} else {
			r.say("%s", death)
		}
	}
	return r.cluster.StartAll(ctx)
}

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
