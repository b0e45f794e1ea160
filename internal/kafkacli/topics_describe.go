package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// described is the topics of kafka-topics --describe.
func (t *topicsCommand) described(ctx context.Context) ([]topicInfo, error) {
	written := t.opts.text("topic-id")
	if written == "" {
		return t.existing(ctx)
	}
	id, err := parseUUID(written)
	if err != nil {
		return nil, err
	}
	if id == [16]byte{} {
		return t.existing(ctx)
	}
	topics, err := listTopics(ctx, t.client)
	if err != nil {
		return nil, err
	}
	topics = slices.DeleteFunc(topics, func(info topicInfo) bool {
		return info.id != id || info.internal && t.opts.has("exclude-internal")
	})
	if len(topics) == 0 && !t.opts.has("if-exists") {
		return nil, failf("TopicId '%s' does not exist as expected", written)
	}
	return topics, nil
}

// describePartitions is how many partitions are asked for at a time, unless an option says otherwise.
const describePartitions = 2000

func (t *topicsCommand) describe(ctx context.Context) error {
	limit := t.opts.integer("partition-size-limit-per-response")
	if limit == 0 {
		limit = describePartitions
	}
	if t.opts.has("topic") && t.opts.has("topic-id") && t.opts.has("if-exists") {
		fmt.Fprintln(t.out, "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID")
	}
	topics, err := t.described(ctx)
	if err = first(t.opts.err, err); err != nil || len(topics) == 0 {
		return err
	}
	if err := addELR(ctx, t.client, topics, limit); err != nil {
		return err
	}
	if err := addReassignments(ctx, t.client, topics); err != nil {
		return err
	}
	configs, err := topicConfigs(ctx, t.client, topics)
	if err != nil {
		return err
	}
	live, err := liveBrokers(ctx, t.client)
	if err != nil {
		return err
	}
	for i := range topics {
		t.describeTopic(&topics[i], configs[topics[i].name], live)
	}
	return nil
}

func (t *topicsCommand) describeTopic(info *topicInfo, config topicConfig, live map[int32]bool) {
	report := t.opts.count("under-replicated-partitions", "unavailable-partitions", "under-min-isr-partitions", "at-min-isr-partitions") > 0
	overrides := t.opts.has("topics-with-overrides")
	if !report && (!overrides || len(config.overrides) > 0) && len(info.partitions) > 0 {
		fmt.Fprintf(t.out, "Topic: %s", info.name)
		if info.id != [16]byte{} {
			fmt.Fprintf(t.out, "\tTopicId: %s", uuid(info.id))
		}
		fmt.Fprintf(t.out, "\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
			len(info.partitions), info.partitions[0].replicationFactor(), strings.Join(config.overrides, ","))
	}
	if overrides {
		return
	}
	for i := range info.partitions {
		if p := &info.partitions[i]; !report || t.reported(p, config.minISR, live) {
			printPartition(t.call, info.name, p)
		}
	}
}

// reported tells whether one of the report options asks for the partition.
func (t *topicsCommand) reported(p *partitionInfo, minISR int, live map[int32]bool) bool {
	return t.opts.has("under-replicated-partitions") && len(p.isr) < p.replicationFactor() ||
		t.opts.has("unavailable-partitions") && !live[p.leader] ||
		t.opts.has("under-min-isr-partitions") && (p.leader < 0 || len(p.isr) < minISR) ||
		t.opts.has("at-min-isr-partitions") && len(p.isr) == minISR
}

func printPartition(c *call, topic string, p *partitionInfo) {
	leader := "none"
	if p.leader >= 0 {
		leader = fmt.Sprint(p.leader)
	}
	known := func(ids []int32) string {
		if ids == nil {
			return "N/A"
		}
		return joined(ids)
	}
	fmt.Fprintf(c.out, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s", topic, p.number, leader, joined(p.replicas), joined(p.isr))
	if p.moves {
		fmt.Fprintf(c.out, "\tAdding Replicas: %s\tRemoving Replicas: %s", joined(p.adding), joined(p.removing))
	}
	fmt.Fprintf(c.out, "\tElr: %s\tLastKnownElr: %s\n", known(p.elr), known(p.lastKnownELR))
}

// topicConfig is what --describe shows of a topic's settings.
type topicConfig struct {
	overrides []string // key=value of what is not a default, in the broker's order
	minISR    int
}

func topicConfigs(ctx context.Context, client *kgo.Client, topics []topicInfo) (map[string]topicConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for i := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topics[i].name
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	configs := map[string]topicConfig{}
	for _, r := range resp.Resources {
		if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		var c topicConfig
		for _, entry := range r.Configs {
			value := valueOf(entry.Value)
			if entry.Source != kmsg.ConfigSourceDefaultConfig {
				c.overrides = append(c.overrides, entry.Name+"="+value)
			}
			if entry.Name == "min.insync.replicas" {
				c.minISR, _ = strconv.Atoi(value)
			}
		}
		configs[r.ResourceName] = c
	}
	return configs, nil
}

// valueOf is a setting's value; one that the broker keeps secret is null, as in Kafka's tools.
func valueOf(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func liveBrokers(ctx context.Context, client *kgo.Client) (map[int32]bool, error) {
	resp, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := refusal(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, err
	}
	live := map[int32]bool{}
	for _, b := range resp.Brokers {
		live[b.NodeID] = true
	}
	return live, nil
}
