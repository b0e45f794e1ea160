package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Admin asks the nodes of a cluster what it looks like, one after the other until one answers, and makes topics on it.
type Admin struct {
	client *kgo.Client
}

// NewAdmin returns an Admin that asks the nodes at the addresses only.
func NewAdmin(addrs []string) (*Admin, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return nil, err
	}
	return &Admin{client}, nil
}

// Close closes its connections.
func (a *Admin) Close() { a.client.Close() }

// askPatience bounds what one node may take for an answer.
const askPatience = 30 * time.Second

// ask returns the first answer.
func (a *Admin) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var errs []error
	for _, b := range a.client.SeedBrokers() {
		resp, err := b.Request(ctx, req)
		if err == nil {
			return resp, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Controller returns the node that leads the quorum of the controllers.
func (a *Admin) Controller(ctx context.Context) (int32, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = "__cluster_metadata"
	t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	resp, err := a.ask(ctx, req)
	if err != nil {
		return 0, err
	}
	described := resp.(*kmsg.DescribeQuorumResponse)
	if err := kerr.ErrorForCode(described.ErrorCode); err != nil {
		return 0, err
	}
	if len(described.Topics) == 0 || len(described.Topics[0].Partitions) == 0 {
		return 0, errors.New("the answer describes no quorum")
	}
	p := &described.Topics[0].Partitions[0]
	return p.LeaderID, kerr.ErrorForCode(p.ErrorCode)
}

// Create makes a topic whose partitions have their replicas on the nodes that are named, the first of which is to lead.
func (a *Admin) Create(ctx context.Context, topic string, replicas [][]int32, minInSync int) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(askPatience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	for p, nodes := range replicas {
		assigned := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		assigned.Partition, assigned.Replicas = int32(p), nodes
		t.ReplicaAssignment = append(t.ReplicaAssignment, assigned)
	}
	setting, value := kmsg.NewCreateTopicsRequestTopicConfig(), fmt.Sprint(minInSync)
	setting.Name, setting.Value = "min.insync.replicas", &value
	t.Configs = append(t.Configs, setting)
	req.Topics = append(req.Topics, t)
	resp, err := a.ask(ctx, req)
	if err != nil {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("create %s: %w", topic, err)
		}
	}
	return nil
}

// Partition is what a node says of one.
type Partition struct {
	Topic    string
	Index    int32
	Leader   int32 // -1: nobody
	ISR      int
	Replicas int
}

// InSync tells whether all replicas of a partition are in sync.
func (p Partition) InSync() bool { return p.Leader >= 0 && p.ISR == p.Replicas }

// Leaders returns who leads each partition of a topic, -1 where nobody does.
func (a *Admin) Leaders(ctx context.Context, topic string) ([]int32, error) {
	partitions, err := a.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	leaders := make([]int32, len(partitions))
	for _, p := range partitions {
		leaders[p.Index] = p.Leader
	}
	return leaders, nil
}

// Partitions returns what the first node that answers says of the partitions of the topics.
func (a *Admin) Partitions(ctx context.Context, topics ...string) ([]Partition, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	resp, err := a.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	var list []Partition
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("topic %s: %w", *t.Topic, err)
		}
		for _, p := range t.Partitions {
			list = append(list, Partition{Topic: *t.Topic, Index: p.Partition, Leader: p.Leader, ISR: len(p.ISR), Replicas: len(p.Replicas)})
		}
	}
	return list, nil
}

// Await asks about the topics again and again until all their partitions are as wanted, and returns how long that took.
func (a *Admin) Await(ctx context.Context, pause time.Duration, topics []string, wanted func(Partition) bool) (time.Duration, error) {
	begin := time.Now()
	for {
		partitions, err := a.Partitions(ctx, topics...)
		left := 0
		for _, p := range partitions {
			if !wanted(p) {
				left++
			}
		}
		if err == nil && left == 0 {
			return time.Since(begin), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d partitions are not yet as wanted: %w", left, len(partitions), errors.Join(ctx.Err(), err))
		case <-time.After(pause):
		}
	}
}
