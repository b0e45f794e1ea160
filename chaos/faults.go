//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/chaos/cluster"
)

// fault is one thing that is done to the cluster. What run.heal does not undo by itself, the fault undoes.
type fault struct {
	name string
	// about says what happens, for the report.
	about string
	// serves tells whether the rest of the cluster goes on taking writes: they have to resume within the promised time
	// after the fault, else after it is healed.
	serves bool
	// dies tells whether a process ends on a machine that lives and says so, which nobody has to wait a session for.
	dies bool
	// sessions is how long it lasts in session timeouts; 0: as long as the promised time and a little more.
	sessions int
	// mayEnd tells whether a node that meets the fault may end by itself, as one without a disk does.
	mayEnd bool
	// redundant tells whether only other replicas can bring back what it destroys.
	redundant bool
	inject    func(ctx context.Context, r *run) (target string, err error)
}

// faults is every fault. The names are those of docs/reliability.md.
var faults = []fault{
	{name: "kill-leader", about: "kill -9 of the node that leads most partitions", serves: true, dies: true, inject: withLeader(kill)},
	{name: "kill-controller", about: "kill -9 of the controller", serves: true, dies: true, inject: withController(kill)},
	{name: "kill-coordinator", about: "kill -9 of the node that coordinates most groups", serves: true, dies: true, inject: withCoordinator(kill)},
	{name: "kill-one", about: "kill -9 of any node", serves: true, dies: true, inject: withAny(kill)},
	{name: "kill-all", about: "kill -9 of all nodes at once", inject: onAll(kill)},
	{name: "stop-session", about: "SIGSTOP of the leader for one session timeout", serves: true, sessions: 1, inject: withLeader(pause)},
	{name: "stop-long", about: "SIGSTOP of the leader for three session timeouts", serves: true, sessions: 3, inject: withLeader(pause)},
	{name: "stop-controller", about: "SIGSTOP of the controller for three session timeouts", serves: true, sessions: 3, inject: withController(pause)},
	{name: "isolate-leader", about: "the leader is cut off from nodes and clients", serves: true, inject: withLeader(isolate)},
	{name: "isolate-controller", about: "the controller is cut off from nodes and clients", serves: true, inject: withController(isolate)},
	{name: "partition-leader", about: "the leader is cut off from the nodes, and clients still reach it", serves: true, inject: withLeader(cutNodes)},
	{name: "deaf", about: "one way: the leader hears no other node, they hear it", serves: true, inject: withLeader(deafen)},
	{name: "mute", about: "one way: no other node hears the leader, it hears them", serves: true, inject: withLeader(mute)},
	{name: "bridge", about: "leader and another node are cut from each other, a third one sees both", serves: true, inject: withLeader(bridge)},
	{name: "cut-clients", about: "the leader is cut off from the clients alone", inject: withLeader(cutClients)},
	{name: "loss", about: "a node loses 20% of the packets that it gets", serves: true, inject: withAny(lossy)},
	{name: "power-leader", about: "power loss of the leader", serves: true, inject: withLeader(losePower)},
	{name: "power-controller", about: "power loss of the controller", serves: true, inject: withController(losePower)},
	{name: "power-two", about: "power loss of the leader and of another node at once", inject: powerTwo},
	{name: "power-rolling", about: "power loss of each node in turn, the next one as soon as the one before is ready", sessions: -1, inject: powerRolling},
	{name: "power-all", about: "power loss of all nodes at once", inject: onAll(losePower)},
	{name: "fsync-eio", about: "every fsync of the leader fails with EIO, its pages are lost, then power loss", serves: true, mayEnd: true, inject: withLeader(failSyncs)},
	{name: "disk-dead", about: "every call to the leader's disk fails with EIO", serves: true, mayEnd: true, inject: withLeader(failDisk)},
	{name: "disk-full", about: "the leader's disk is full", serves: true, mayEnd: true, inject: withLeader(fill)},
	{name: "disk-slow", about: "every fsync of the leader takes two seconds", serves: true, inject: withLeader(slow)},
	{name: "disk-slow-follower", about: "every fsync of another node takes two seconds", serves: true, inject: withFollower(slow)},
	{name: "disk-lost", about: "the leader is killed and comes back with an empty disk", serves: true, redundant: true, inject: withLeader(loseDisk)},
	{name: "rolling-restart", about: "each node in turn is stopped by SIGTERM and started, when all replicas are in sync", serves: true, sessions: -1, inject: rollingRestart},
	{name: "storm", about: "for half a minute nodes are killed, robbed of power, stopped, cut off and slowed at random", sessions: -1, inject: storm},
	{name: "restart-all", about: "all nodes are stopped by SIGTERM and started", inject: stopAll},
}

func faultNames() string {
	var names []string
	for i := range faults {
		names = append(names, faults[i].name)
	}
	return strings.Join(names, ",")
}

// chosenFaults returns the faults of these names that so many nodes can stand, or all of them that they can.
func chosenFaults(names string, nodes int) ([]fault, error) {
	var chosen []fault
	if names == "" {
		chosen = slices.Clone(faults)
	} else {
		for name := range strings.SplitSeq(names, ",") {
			i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
			if i < 0 {
				return nil, fmt.Errorf("there is no fault %q: %s", name, faultNames())
			}
			chosen = append(chosen, faults[i])
		}
	}
	chosen = slices.DeleteFunc(chosen, func(f fault) bool { return f.redundant && nodes < 3 })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("of %s there is nothing to inject into %d nodes: others have to bring back what it destroys", names, nodes)
	}
	return chosen, nil
}

// deed is what is done to one node.
type deed func(r *run, n *cluster.Node) error

func withLeader(do deed) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		id, err := r.observer.leader(ctx, topic)
		return r.toNode(id, err, do)
	}
}

func withController(do deed) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		id, err := r.observer.controller(ctx)
		return r.toNode(id, err, do)
	}
}

func withCoordinator(do deed) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		id, err := r.observer.leader(ctx, "__consumer_offsets")
		return r.toNode(id, err, do)
	}
}

func withAny(do deed) func(context.Context, *run) (string, error) {
	return func(_ context.Context, r *run) (string, error) {
		return r.toNode(1+r.random.IntN(r.options.nodes), nil, do)
	}
}

// withFollower picks a node that is not the one which leads most.
func withFollower(do deed) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		id, err := r.observer.leader(ctx, topic)
		if err == nil {
			id = r.other(id)
		}
		return r.toNode(id, err, do)
	}
}

func onAll(do deed) func(context.Context, *run) (string, error) {
	return func(_ context.Context, r *run) (string, error) {
		// All processes first: what has lost its power while another still runs is another fault.
		for _, n := range r.cluster.Nodes() {
			n.Kill()
		}
		for _, n := range r.cluster.Nodes() {
			if err := do(r, n); err != nil {
				return "", err
			}
		}
		return "all", nil
	}
}

func (r *run) toNode(id int, err error, do deed) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("node %d", id), do(r, r.cluster.Node(id))
}

// other returns a node that is not the given one, if there is any.
func (r *run) other(than int) int {
	if r.options.nodes == 1 {
		return than
	}
	return 1 + (than-1+1+r.random.IntN(r.options.nodes-1))%r.options.nodes
}

func kill(_ *run, n *cluster.Node) error {
	n.Kill()
	return nil
}

func pause(_ *run, n *cluster.Node) error { return n.Pause() }

func isolate(r *run, n *cluster.Node) error { return r.cluster.Network().Isolate(n.ID) }

// eachOther calls do for every node but n.
func eachOther(r *run, n *cluster.Node, do func(other *cluster.Node) error) error {
	for _, other := range r.cluster.Nodes() {
		if other != n {
			if err := do(other); err != nil {
				return err
			}
		}
	}
	return nil
}

func cutNodes(r *run, n *cluster.Node) error {
	return eachOther(r, n, func(other *cluster.Node) error { return r.cluster.Network().Cut(n.ID, other.ID) })
}

func deafen(r *run, n *cluster.Node) error {
	return eachOther(r, n, func(other *cluster.Node) error { return r.cluster.Network().Drop(n.ID, other.Host()) })
}

func mute(r *run, n *cluster.Node) error {
	return eachOther(r, n, func(other *cluster.Node) error { return r.cluster.Network().Drop(other.ID, n.Host()) })
}

func bridge(r *run, n *cluster.Node) error {
	if r.options.nodes < 2 {
		return nil
	}
	return r.cluster.Network().Cut(n.ID, r.other(n.ID))
}

func cutClients(r *run, n *cluster.Node) error { return r.cluster.Network().CutClients(n.ID) }

func lossy(r *run, n *cluster.Node) error { return r.cluster.Network().Lose(n.ID, 20) }

func losePower(r *run, n *cluster.Node) error {
	n.LosePower(r.random.Uint64())
	return nil
}

func powerTwo(ctx context.Context, r *run) (string, error) {
	first, err := r.observer.leader(ctx, topic)
	if err != nil {
		return "", err
	}
	second := r.other(first)
	for _, id := range []int{first, second} {
		r.cluster.Node(id).Kill()
	}
	for _, id := range []int{first, second} {
		r.cluster.Node(id).LosePower(r.random.Uint64())
	}
	return fmt.Sprintf("nodes %d and %d", first, second), nil
}

func powerRolling(ctx context.Context, r *run) (string, error) {
	for _, i := range r.random.Perm(r.options.nodes) {
		n := r.cluster.Nodes()[i]
		n.LosePower(r.random.Uint64())
		if err := n.Start(); err != nil {
			return "", err
		}
		if err := n.AwaitReady(ctx); err != nil {
			return "", err
		}
	}
	return "all", nil
}

// stormTime is how long a storm lasts.
const stormTime = 30 * time.Second

// storm does not care what is left of the cluster. What it does to machines it undoes at once, what it does to links
// and disks later or never.
func storm(ctx context.Context, r *run) (string, error) {
	restart := func(do deed) deed {
		return func(r *run, n *cluster.Node) error {
			if err := do(r, n); err != nil {
				return err
			}
			return n.Start()
		}
	}
	calmDown := func(r *run, n *cluster.Node) error {
		n.Disk.Heal()
		return r.cluster.Network().Heal()
	}
	deeds := []deed{restart(kill), restart(losePower), restart(losePower), pauseFor(time.Second), pauseFor(r.options.session), slow,
		isolate, deafen, mute, bridge, lossy, calmDown, calmDown, calmDown}
	for until := time.Now().Add(stormTime); time.Now().Before(until) && ctx.Err() == nil; {
		n := r.cluster.Nodes()[r.random.IntN(r.options.nodes)]
		if err := deeds[r.random.IntN(len(deeds))](r, n); err != nil {
			return "", err
		}
		sleep(ctx, time.Duration(r.random.Int64N(int64(2*time.Second))))
	}
	return "all", nil
}

// pauseFor stops a node and lets it go on after a while.
func pauseFor(d time.Duration) deed {
	return func(r *run, n *cluster.Node) error {
		if err := n.Pause(); err != nil {
			return err
		}
		time.Sleep(d)
		return n.Resume()
	}
}

func loseDisk(_ *run, n *cluster.Node) error {
	n.Kill()
	n.Disk.Wipe()
	return nil
}

// failSyncs leaves behind a disk that lacks what the failed syncs should have written: the node loses its power when
// the fault ends.
func failSyncs(r *run, n *cluster.Node) error {
	n.Disk.FailSyncs(0)
	r.undo(func() { n.LosePower(r.random.Uint64()) })
	return nil
}

func failDisk(r *run, n *cluster.Node) error {
	n.Disk.FailAll()
	r.undo(n.Kill)
	return nil
}

func fill(_ *run, n *cluster.Node) error { return n.Disk.Fill() }

func slow(_ *run, n *cluster.Node) error {
	n.Disk.SlowSyncs(2 * time.Second)
	return nil
}

// stopPatience is how long a node may take to stop by SIGTERM.
const stopPatience = 30 * time.Second

func rollingRestart(ctx context.Context, r *run) (string, error) {
	for _, n := range r.cluster.Nodes() {
		if err := r.stop(ctx, n); err != nil {
			return "", err
		}
		if err := n.Start(); err != nil {
			return "", err
		}
		if err := n.AwaitReady(ctx); err != nil {
			return "", err
		}
		if err := r.observer.awaitWhole(ctx, wholePatience); err != nil {
			return "", fmt.Errorf("after the restart of node %d: %w", n.ID, err)
		}
	}
	return "all", nil
}

func stopAll(ctx context.Context, r *run) (string, error) {
	stopped := make(chan error, len(r.cluster.Nodes()))
	for _, n := range r.cluster.Nodes() {
		go func() { stopped <- r.stop(ctx, n) }()
	}
	var failed error
	for range r.cluster.Nodes() {
		if err := <-stopped; err != nil {
			failed = err
		}
	}
	return "all", failed
}

func (r *run) stop(ctx context.Context, n *cluster.Node) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	return n.Stop(ctx)
}
