//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/logbahn/logbahn/bench/load"
)

// manyTopicPartitions is how many partitions each topic of many has.
const manyTopicPartitions = 1000

// manyPause is how often thousands of partitions are looked at.
const manyPause = 200 * time.Millisecond

// many is a number of partitions, over topics.
type many struct {
	round  *round
	admin  *load.Admin
	topics []string
}

// newMany returns one without any.
func (r *round) newMany() (*many, error) {
	a, err := load.NewAdmin(r.Addrs())
	return &many{round: r, admin: a}, err
}

func (m *many) partitions() int { return len(m.topics) * manyTopicPartitions }

// grow makes topics until there are n partitions, and returns how long that took, and how long a first record to each new
// partition took after it, which is when a log's files are made.
func (m *many) grow(ctx context.Context, n int) (created, first time.Duration, err error) {
	if m.partitions() >= n {
		return 0, 0, nil
	}
	c, err := m.round.client("none")
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	fresh := map[string]int{}
	begin := time.Now()
	for m.partitions() < n {
		topic := fmt.Sprintf("many-%d", len(m.topics))
		if err := c.Create(ctx, topic, manyTopicPartitions); err != nil {
			return 0, 0, fmt.Errorf("after %d partitions: %w", m.partitions(), err)
		}
		m.topics = append(m.topics, topic)
		fresh[topic] = manyTopicPartitions
	}
	created = time.Since(begin)
	if first, err = load.Touch(ctx, m.round.Addrs(), fresh, 1<<10); err != nil {
		return 0, 0, fmt.Errorf("first records: %w", err)
	}
	if _, err := m.admin.Await(ctx, manyPause, m.topics, load.Partition.InSync); err != nil {
		return 0, 0, fmt.Errorf("in sync at first: %w", err)
	}
	return created, first, nil
}

// touch writes a record to every partition.
func (m *many) touch(ctx context.Context) (time.Duration, error) {
	all := map[string]int{}
	for _, topic := range m.topics {
		all[topic] = manyTopicPartitions
	}
	return load.Touch(ctx, m.round.Addrs(), all, 1<<10)
}

// recovery kills a node of a cluster with n partitions of three replicas, stops one, and kills all.
func recovery(n int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		m, err := r.newMany()
		if err != nil {
			return err
		}
		defer m.admin.Close()
		name := fmt.Sprintf("%d partitions, ", n)
		created, first, err := m.grow(ctx, n)
		if err != nil {
			return fmt.Errorf("%d partitions: %w", n, err)
		}
		r.record(name+"made", map[string]float64{"create_ms": millis(created), "first_ms": millis(first)})
		controller, err := m.admin.Controller(ctx)
		if err != nil {
			return err
		}
		victim := r.others(controller)[0]
		for _, step := range []struct {
			what string
			run  func(context.Context, int32) (map[string]float64, error)
		}{
			{"a node is killed and started when all leaders are known", m.killOne},
			{"a node is killed and started at once", m.bounce},
			{"a node is stopped and started", m.stopOne},
			{"all nodes are killed and started", m.killAll},
		} {
			metrics, err := step.run(ctx, victim)
			if err != nil {
				return fmt.Errorf("%s%s: %w", name, step.what, err)
			}
			r.record(name+step.what, metrics)
		}
		return nil
	}
}

// killOne kills a node, waits until others lead what it led, and starts it.
func (m *many) killOne(ctx context.Context, victim int32) (map[string]float64, error) {
	m.round.Node(victim).Kill()
	led, err := m.ledWithout(ctx, victim)
	if err != nil {
		return nil, err
	}
	synced, err := m.startOne(ctx, victim)
	return map[string]float64{"leaders_ms": millis(led), "sync_ms": millis(synced)}, err
}

// bounce kills a node and starts it at once, as a supervisor does.
func (m *many) bounce(ctx context.Context, victim int32) (map[string]float64, error) {
	m.round.Node(victim).Kill()
	begin := time.Now()
	if err := m.round.Node(victim).Launch(); err != nil {
		return nil, err
	}
	// The others may not have noticed yet: in sync counts when it is so after a write to all.
	if _, err := m.touch(ctx); err != nil {
		return nil, err
	}
	written := time.Since(begin)
	if _, err := m.admin.Await(ctx, manyPause, m.topics, load.Partition.InSync); err != nil {
		return nil, fmt.Errorf("in sync again: %w", err)
	}
	return map[string]float64{"writable_ms": millis(written), "sync_ms": millis(time.Since(begin))}, nil
}

// stopOne stops a node as an operator does, and starts it.
func (m *many) stopOne(ctx context.Context, victim int32) (map[string]float64, error) {
	begin := time.Now()
	if err := m.round.Node(victim).Terminate(ctx); err != nil {
		return nil, err
	}
	stopped := time.Since(begin)
	if _, err := m.ledWithout(ctx, victim); err != nil {
		return nil, err
	}
	synced, err := m.startOne(ctx, victim)
	return map[string]float64{"stop_ms": millis(stopped), "sync_ms": millis(synced)}, err
}

// killAll kills all nodes, and starts them.
func (m *many) killAll(ctx context.Context, _ int32) (map[string]float64, error) {
	for _, n := range m.round.Nodes {
		n.Kill()
	}
	begin := time.Now()
	for _, n := range m.round.Nodes {
		if err := n.Launch(); err != nil {
			return nil, err
		}
	}
	if _, err := m.touch(ctx); err != nil {
		return nil, err
	}
	writable := time.Since(begin)
	if _, err := m.admin.Await(ctx, manyPause, m.topics, load.Partition.InSync); err != nil {
		return nil, fmt.Errorf("in sync again: %w", err)
	}
	return map[string]float64{"writable_ms": millis(writable), "sync_ms": millis(time.Since(begin))}, nil
}

// ledWithout returns how long it took until other nodes led everything.
func (m *many) ledWithout(ctx context.Context, victim int32) (time.Duration, error) {
	others, err := load.NewAdmin(m.round.Addrs(victim))
	if err != nil {
		return 0, err
	}
	defer others.Close()
	led, err := others.Await(ctx, manyPause, m.topics, func(p load.Partition) bool { return p.Leader >= 0 && p.Leader != victim && p.ISR < p.Replicas })
	if err != nil {
		return 0, fmt.Errorf("leaders: %w", err)
	}
	return led, nil
}

// startOne starts a node and returns how long it took until it was in all in-sync sets again.
func (m *many) startOne(ctx context.Context, victim int32) (time.Duration, error) {
	begin := time.Now()
	if err := m.round.Node(victim).Launch(); err != nil {
		return 0, err
	}
	if _, err := m.admin.Await(ctx, manyPause, m.topics, load.Partition.InSync); err != nil {
		return 0, fmt.Errorf("in sync again: %w", err)
	}
	return time.Since(begin), nil
}
