//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/logbahn/logbahn/bench/load"
	"github.com/logbahn/logbahn/bench/system"
)

// Clusters of three nodes, by what they promise.
var (
	threeBothWays = []string{system.ThreeLogbahnSync, system.ThreeKafkaFlush, system.ThreeLogbahnOS, system.ThreeKafkaDefault}
	threeDefaults = []string{system.ThreeLogbahnSync, system.ThreeKafkaDefault}
	threeSessions = []string{system.ThreeLogbahnSync, system.ThreeKafkaDefault, system.ThreeLogbahnQuick, system.ThreeKafkaQuick}
)

// threeNodes writes to topics of three replicas: through the client library, with raw frames, and at a fixed rate.
func threeNodes(ctx context.Context, r *round) error {
	for _, partitions := range []int{1, 6} {
		if err := r.produceConsume(ctx, "1 KiB, "+plural(partitions, "partition"), "none", 1<<10, partitions); err != nil {
			return err
		}
	}
	for _, partitions := range []int{1, 6} {
		if err := r.replicatedFrames(ctx, partitions); err != nil {
			return err
		}
	}
	return latency(pacedReplicated)(ctx, r)
}

// pacedReplicated is a rate, in requests a second, that all systems keep up with on two processors.
const pacedReplicated = 500

// replicatedFrames writes the same frames to a topic of one replica and to one of three. What the second costs more, on all
// nodes together, is what replication costs.
func (r *round) replicatedFrames(ctx context.Context, partitions int) error {
	workload := "raw produce 6 x 16.6 KB, " + plural(partitions, "partition")
	alone, err := r.framesTo(ctx, partitions, load.OneCopy)
	if err != nil {
		return fmt.Errorf("%s, one replica: %w", workload, err)
	}
	m, err := r.framesTo(ctx, partitions, r.copies())
	if err != nil {
		return fmt.Errorf("%s: %w", workload, err)
	}
	m["replication_s_gb"] = m["cpu_s_gb"] - alone["cpu_s_gb"]
	m["replication_pct"] = 100 * m["replication_s_gb"] / m["cpu_s_gb"]
	r.record(workload, only(m, "mb_s", "cpu_s_gb", "replication_s_gb", "replication_pct", "p50_ms", "p99_ms"))
	r.record(workload+", one replica", only(alone, "mb_s", "cpu_s_gb", "p50_ms", "p99_ms"))
	return nil
}

// framesTo measures raw frames to the leaders of a new topic.
func (r *round) framesTo(ctx context.Context, partitions int, copies load.Copies) (map[string]float64, error) {
	topic := fmt.Sprintf("frames-%d-%d", partitions, copies.Replicas)
	c, err := load.NewKafka(r.Addrs(), copies, load.Codecs["none"])
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Create(ctx, topic, partitions); err != nil {
		return nil, err
	}
	leaders, err := r.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	l := load.ProduceLoad{Leaders: leaders, Topic: topic, Partitions: partitions, Conns: 6, InFlight: 5, Acks: -1,
		Batch: load.Batch(16, 1<<10), Records: 16, Limits: load.Limits{Time: r.warmUp(), Bytes: rawBytes / 4}}
	if _, err := l.Run(ctx); err != nil {
		return nil, err
	}
	l.Limits = load.Limits{Time: replicatedTime, Bytes: rawBytes}
	_, m, err := r.measured(func() (*load.Result, error) { return l.Run(ctx) })
	return m, err
}

// replicatedTime is how long a load of three nodes is measured: the kernel counts processor time in steps of 10 ms for each.
const replicatedTime = 2 * time.Second

// leaders returns the address of each partition's leader, nil where one process leads all.
func (r *round) leaders(ctx context.Context, topic string) ([]string, error) {
	if r.Size == 0 {
		return nil, nil
	}
	a, err := load.NewAdmin(r.Addrs())
	if err != nil {
		return nil, err
	}
	defer a.Close()
	ids, err := a.Leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	var addrs []string
	for p, id := range ids {
		if id < 0 {
			return nil, fmt.Errorf("%s-%d has no leader", topic, p)
		}
		addrs = append(addrs, r.Node(id).Addr)
	}
	return addrs, nil
}
