//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/chaos/workload"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// How long the ends of a run may take.
const (
	drainPatience = deliveryPatience + 30*time.Second
	readPatience  = time.Minute
	endPatience   = 45 * time.Second
)

// finish lets the clients deliver and read what there is, ends them, stops the nodes and returns what their disks hold.
// When ctx is done it only ends the clients.
func (r *run) finish(ctx context.Context) []check.Final {
	if ctx.Err() == nil {
		r.drain(ctx)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	for _, c := range r.clients {
		if err := c.End(ending); err != nil && ctx.Err() == nil {
			r.found("%v", err)
		}
	}
	r.observer.client.Close()
	if ctx.Err() != nil {
		return nil
	}
	if _, err := stopAll(ctx, r); err != nil {
		r.found("%v", err)
	}
	finals, err := r.replicas()
	if err != nil {
		r.found("%v", err)
	}
	return finals
}

// drain waits until all that was sent is delivered and all that stands in the log is read.
func (r *run) drain(ctx context.Context) {
	if err := r.heal(ctx, nil); err != nil {
		r.found("at the end: %v", err)
		return
	}
	stopping, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	results := make(chan error, len(r.clients))
	for _, c := range r.clients {
		go func() { results <- c.StopSending(stopping) }()
	}
	for range r.clients {
		if err := <-results; err != nil && ctx.Err() == nil {
			r.found("%v", err)
		}
	}
	if err := r.observer.awaitWhole(ctx, wholePatience); err != nil && ctx.Err() == nil {
		r.found("at the end: %v", err)
	}
	if err := r.awaitReads(ctx); err != nil && ctx.Err() == nil {
		r.found("%v", err)
	}
}

// awaitReads waits until every consumer has read every partition to its end; of a group, one of its members.
func (r *run) awaitReads(ctx context.Context) error {
	ends, err := r.observer.ends(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for {
		more := r.history.More()
		behind := r.behind(ends)
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%v after the last write it is not read: %s", readPatience, strings.Join(behind, ", "))
		}
	}
}

// behind names who has not read to the end.
func (r *run) behind(ends map[int32]int64) []string {
	var behind []string
	for _, c := range r.clients {
		assigned, members := workload.Consumers(c.Name())
		for _, p := range slices.Sorted(maps.Keys(ends)) {
			if next := r.history.Next(assigned, p); next < ends[p] {
				behind = append(behind, fmt.Sprintf("%s is at %d of %d in partition %d", assigned, next, ends[p], p))
			}
			next := int64(0)
			for _, m := range members {
				next = max(next, r.history.Next(m, p))
			}
			if next < ends[p] {
				behind = append(behind, fmt.Sprintf("the group of %s is at %d of %d in partition %d", c.Name(), next, ends[p], p))
			}
		}
	}
	return behind
}

// judge runs the checkers.
func (r *run) judge(finals []check.Final) {
	for _, problem := range r.history.Problems() {
		r.found("%s", problem)
	}
	for _, anomaly := range check.Check(r.history.Check(finals)) {
		r.found("%s", anomaly)
	}
}

func (r *run) checkPanics() {
	for _, n := range r.cluster.Nodes() {
		text, err := n.Panicked()
		if err != nil {
			r.found("%v", err)
		}
		if text != "" {
			r.found("node %d: %s", n.ID, text)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
