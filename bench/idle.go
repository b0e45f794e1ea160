//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// settle is how long a cluster has after the last partition was made, so that what that left to do is done.
	settle = 5 * time.Second
	// idleSpan is how long it is watched then.
	idleSpan = 20 * time.Second
)

// idlePartitions watches clusters that have so many partitions of three replicas, each with one record, and nothing to do.
func idlePartitions(counts ...int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		m, err := r.newMany()
		if err != nil {
			return err
		}
		defer m.admin.Close()
		for _, n := range counts {
			created, first, err := m.grow(ctx, n)
			if err != nil {
				return fmt.Errorf("%d partitions: %w", n, err)
			}
			idle, err := r.idle(ctx)
			if err != nil {
				return fmt.Errorf("%d partitions: %w", n, err)
			}
			if n > 0 {
				idle["create_ms"], idle["first_ms"] = millis(created), millis(first)
			}
			r.record(fmt.Sprintf("%d partitions", n), idle)
		}
		return nil
	}
}

// idle returns what a node uses while nothing is asked of it, the mean of all.
func (r *round) idle(ctx context.Context) (map[string]float64, error) {
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	before, err := r.CPU()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := pause(ctx, idleSpan); err != nil {
		return nil, err
	}
	after, err := r.CPU()
	if err != nil {
		return nil, err
	}
	span := time.Since(begin)
	rss, err := r.ResidentBytes()
	if err != nil {
		return nil, err
	}
	nodes := float64(len(r.Nodes))
	return map[string]float64{"node_cpu_pct": 100 * (after - before).Seconds() / span.Seconds() / nodes, "node_rss_mb": float64(rss) / 1e6 / nodes}, nil
}
