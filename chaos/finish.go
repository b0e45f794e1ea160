//go:build linux

package main

import (
	"context"
	"time"

	"github.com/logbahn/logbahn/chaos/workload"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// How long the ends of a run may take.
const (
	drainPatience = deliveryPatience + 30*time.Second
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
		go func() {
			err := c.StopSending(stopping)
			if err != nil {
				err = &silence{err.Error(), []suspect{{c.Name(), workload.Producer(c.Name())}}}
			}
			results <- err
		}()
	}
	for range r.clients {
		if err := <-results; err != nil && ctx.Err() == nil {
			r.found("%v%s", err, r.dissect(err))
		}
	}
	if err := r.observer.awaitWhole(ctx, wholePatience); err != nil && ctx.Err() == nil {
		r.found("at the end: %v", err)
	}
	if err := r.awaitReads(ctx); err != nil && ctx.Err() == nil {
		r.found("%v%s", err, r.dissect(err))
	}
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
