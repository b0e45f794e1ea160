//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logbahn/logbahn/bench/load"
)

const (
	steadyTopic      = "steady"
	steadyPartitions = 6
	steadyRate       = 300

	// watchPause is how often a small topic is looked at.
	watchPause = 10 * time.Millisecond
	// calm is for how long every partition has to be written to and read, with no pause longer than calmGap, before what a
	// killed node has left behind is taken for overcome.
	calm    = 3 * time.Second
	calmGap = time.Second
)

// The workloads.
const (
	leaderKilled     = "the leader of all partitions is killed"
	controllerKilled = "the controller is killed, which leads half of the partitions"
)

// failover kills the leader of all partitions, and when it is back the controller, while records are written at a fixed rate
// and read.
func failover(ctx context.Context, r *round) error {
	a, err := load.NewAdmin(r.Addrs())
	if err != nil {
		return err
	}
	defer a.Close()
	controller, err := a.Controller(ctx)
	if err != nil {
		return err
	}
	leader := r.others(controller)[0]
	if err := a.Create(ctx, steadyTopic, r.ledBy(leader, steadyPartitions), 2); err != nil {
		return err
	}
	if _, err := a.Await(ctx, watchPause, []string{steadyTopic}, load.Partition.InSync); err != nil {
		return err
	}
	s, err := load.StartSteady(ctx, r.Addrs(), steadyTopic, steadyPartitions, steadyRate)
	if err != nil {
		return err
	}
	err = r.killBoth(ctx, a, s, leader)
	return errors.Join(err, s.Close())
}

func (r *round) killBoth(ctx context.Context, a *load.Admin, s *load.Steady, leader int32) error {
	if err := s.Calm(ctx, time.Now(), calm, calmGap); err != nil {
		return fmt.Errorf("before anything is killed: %w", err)
	}
	if err := r.killOne(ctx, s, leader, leaderKilled); err != nil {
		return err
	}
	controller, err := a.Controller(ctx)
	if err != nil {
		return err
	}
	return r.killOne(ctx, s, controller, controllerKilled)
}

// others returns all nodes but one.
func (r *round) others(node int32) []int32 {
	var list []int32
	for _, n := range r.Nodes {
		if id := int32(n.ID); id != node {
			list = append(list, id)
		}
	}
	return list
}

// ledBy places the replicas of a topic's partitions on all nodes, so that one node leads all, and each of the others would be
// the next to lead as many.
func (r *round) ledBy(leader int32, partitions int) [][]int32 {
	others := r.others(leader)
	var replicas [][]int32
	for p := range partitions {
		nodes := slices.Clone(others)
		if p%2 == 1 {
			slices.Reverse(nodes)
		}
		replicas = append(replicas, append([]int32{leader}, nodes...))
	}
	return replicas
}

// killOne kills a node, looks what becomes of the load, and starts it again.
func (r *round) killOne(ctx context.Context, s *load.Steady, victim int32, workload string) error {
	a, err := load.NewAdmin(r.Addrs(victim))
	if err != nil {
		return err
	}
	defer a.Close()
	killed := time.Now()
	r.Node(victim).Kill()
	led, err := a.Await(ctx, watchPause, []string{steadyTopic}, func(p load.Partition) bool { return p.Leader >= 0 && p.Leader != victim })
	if err != nil {
		return fmt.Errorf("%s: leaders: %w", workload, err)
	}
	if err := s.Calm(ctx, killed, calm, calmGap); err != nil {
		return fmt.Errorf("%s: %w", workload, err)
	}
	calmed := time.Now()
	m := map[string]float64{"leaders_ms": millis(led), "unwritten_ms": millis(s.Acked.Silence(killed, calmed)),
		"unread_ms": millis(s.Read.Silence(killed, calmed))}
	restarted := time.Now()
	if err := r.Node(victim).Launch(); err != nil {
		return err
	}
	if _, err := a.Await(ctx, watchPause, []string{steadyTopic}, load.Partition.InSync); err != nil {
		return fmt.Errorf("%s: in sync again: %w", workload, err)
	}
	m["sync_ms"] = millis(time.Since(restarted))
	r.record(workload, m)
	return nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
