//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// observer asks the cluster how it is.
type observer struct {
	client *kgo.Client
	admin  *kadm.Client
	nodes  int
	topic  string
}

const observerTimeout = 2 * time.Second

func newObserver(seeds []string, nodes int, topic string) (*observer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RequestTimeoutOverhead(observerTimeout), kgo.DialTimeout(observerTimeout),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryTimeout(observerTimeout),
		kgo.RetryBackoffFn(func(int) time.Duration { return 200 * time.Millisecond }))
	if err != nil {
		return nil, err
	}
	return &observer{client: client, admin: kadm.NewClient(client), nodes: nodes, topic: topic}, nil
}

// controller asks every node who leads the quorum, and believes the newest epoch.
func (o *observer) controller(ctx context.Context) (int, error) {
	leader, newest := int32(-1), int32(-1)
	var errs []error
	for id := 1; id <= o.nodes; id++ {
		asking, cancel := context.WithTimeout(ctx, observerTimeout)
		request := kmsg.NewPtrDescribeQuorumRequest()
		topic := kmsg.NewDescribeQuorumRequestTopic()
		topic.Topic = "__cluster_metadata"
		topic.Partitions = []kmsg.DescribeQuorumRequestTopicPartition{{}}
		request.Topics = append(request.Topics, topic)
		answer, err := o.client.Broker(id).Request(asking, request)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", id, err))
			continue
		}
		for _, t := range answer.(*kmsg.DescribeQuorumResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.LeaderEpoch > newest {
					leader, newest = p.LeaderID, p.LeaderEpoch
				}
			}
		}
	}
	if leader < 1 {
		return 0, errors.Join(append(errs, errors.New("nobody knows of a controller"))...)
	}
	return int(leader), nil
}

// leader returns the node that leads most partitions of a topic.
func (o *observer) leader(ctx context.Context, topic string) (int, error) {
	asking, cancel := context.WithTimeout(ctx, 5*observerTimeout)
	defer cancel()
	metadata, err := o.admin.Metadata(asking, topic)
	if err != nil {
		return 0, err
	}
	leads := make([]int, o.nodes+1)
	for _, p := range metadata.Topics[topic].Partitions {
		if p.Leader > 0 {
			leads[p.Leader]++
		}
	}
	most := slices.Max(leads)
	if most == 0 {
		return 0, fmt.Errorf("nobody leads a partition of %s", topic)
	}
	return slices.Index(leads, most), nil
}

// whole returns nil when every node is in the metadata, and every partition has a leader and all replicas in sync.
func (o *observer) whole(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, observerTimeout)
	defer cancel()
	metadata, err := o.admin.Metadata(asking)
	if err != nil {
		return err
	}
	if len(metadata.Brokers) != o.nodes {
		return fmt.Errorf("%d of %d brokers", len(metadata.Brokers), o.nodes)
	}
	for _, topic := range metadata.Topics.Sorted() {
		for _, p := range topic.Partitions.Sorted() {
			if p.Err != nil || p.Leader < 0 || len(p.ISR) != len(p.Replicas) {
				return fmt.Errorf("%s-%d: leader %d, in sync %v of %v, error %v", topic.Topic, p.Partition, p.Leader, p.ISR, p.Replicas, p.Err)
			}
		}
	}
	if _, ok := metadata.Topics[o.topic]; !ok {
		return fmt.Errorf("no topic %s", o.topic)
	}
	return nil
}

// awaitWhole waits until the cluster is whole, at most for the given time.
func (o *observer) awaitWhole(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := o.whole(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not whole within %v: %w", patience, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// createTopic makes the topic of the workload. A cluster that has just begun may need a moment.
func (o *observer) createTopic(ctx context.Context, partitions int) error {
	replicas, inSync := min(o.nodes, 3), "1"
	if replicas > 1 {
		inSync = "2"
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := o.admin.CreateTopic(ctx, int32(partitions), int16(replicas), map[string]*string{"min.insync.replicas": &inSync}, o.topic)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("create the topic: %w", err)
		case <-time.After(time.Second):
		}
	}
}

// ends returns the end of every partition.
func (o *observer) ends(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	listed, err := o.admin.ListEndOffsets(ctx, o.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	ends := map[int32]int64{}
	listed.Each(func(l kadm.ListedOffset) { ends[l.Partition] = l.Offset })
	return ends, nil
}
