package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func verifiableConsumerTool() *tool {
	return &tool{
		name: "kafka-verifiable-consumer",
		does: "This tool consumes messages from a specific topic and emits consumer events (e.g. group rebalances, received messages, and offsets committed) as JSON objects to STDOUT.",
		raw:  runVerifiableConsumer,
	}
}

const assignors = "org.apache.kafka.clients.consumer."

var verifiableConsumerArguments = []argument{
	{names: []string{"--topic"}, kind: text, required: true, help: "Consumes messages from this topic."},
	{names: []string{"--group-id"}, kind: text, value: "GROUP-ID", required: true, help: "The group id of the consumer group."},
	{names: []string{"--bootstrap-server"}, kind: text, value: "HOST1:PORT1[,HOST2:PORT2[...]]", group: 1, help: "Where the cluster answers."},
	{names: []string{"--group-protocol"}, kind: text, value: "GROUP-PROTOCOL", fallback: "classic", help: "The group protocol: classic or consumer."},
	{names: []string{"--group-remote-assignor"}, kind: text, value: "GROUP-REMOTE-ASSIGNOR", help: "The broker's assignor, for the protocol consumer."},
	{names: []string{"--group-instance-id"}, kind: text, value: "GROUP-INSTANCE-ID", help: "A static member's id."},
	{names: []string{"--max-messages"}, kind: integer, value: "MAX-MESSAGES", fallback: "-1", help: "Consume so many messages; -1 is until the process is killed."},
	{names: []string{"--session-timeout"}, kind: integer, value: "TIMEOUT-MS", help: "The session timeout, for the protocol classic."},
	{names: []string{"--verbose"}, help: "Print each record."},
	{names: []string{"--enable-autocommit"}, help: "Have the client commit offsets by itself."},
	{names: []string{"--reset-policy"}, kind: text, value: "RESET-POLICY", fallback: "earliest", help: "Where to begin without an offset: earliest, latest or none."},
	{names: []string{"--assignment-strategy"}, kind: text, value: "ASSIGNMENT-STRATEGY", fallback: assignors + "RangeAssignor", help: "The assignor's class, for the protocol classic."},
	{names: []string{"--command-config"}, kind: text, value: "CONFIG-FILE", help: "A file with consumer properties."},
	{names: []string{"--consumer.config"}, kind: text, value: "CONFIG-FILE", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
}

type (
	partitionName struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
	}
	partitionsEvent struct {
		event
		Partitions []partitionName `json:"partitions"`
	}
	recordsConsumed struct {
		event
		Count      int64           `json:"count"`
		Partitions []recordSummary `json:"partitions"`
	}
	recordSummary struct {
		partitionName
		Count     int64 `json:"count"`
		MinOffset int64 `json:"minOffset"`
		MaxOffset int64 `json:"maxOffset"`
	}
	recordData struct {
		event
		Key       *string `json:"key"`
		Value     *string `json:"value"`
		Topic     string  `json:"topic"`
		Partition int32   `json:"partition"`
		Offset    int64   `json:"offset"`
	}
	offsetsCommitted struct {
		event
		Offsets []committedName `json:"offsets"`
		Error   string          `json:"error,omitempty"`
		Success bool            `json:"success"`
	}
	committedName struct {
		partitionName
		Offset int64 `json:"offset"`
	}
)

func partitionNames(assigned map[string][]int32) []partitionName {
	names := []partitionName{}
	for topic, partitions := range assigned {
		for _, p := range partitions {
			names = append(names, partitionName{topic, p})
		}
	}
	slices.SortFunc(names, func(a, b partitionName) int {
		return compareTopicPartitions(topicPartition{a.Topic, a.Partition}, topicPartition{b.Topic, b.Partition})
	})
	return names
}

// balancers are the assignors that Kafka brings along.
var balancers = map[string]func() kgo.GroupBalancer{
	"RangeAssignor": kgo.RangeBalancer, "RoundRobinAssignor": kgo.RoundRobinBalancer,
	"StickyAssignor": kgo.StickyBalancer, "CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

func runVerifiableConsumer(ctx context.Context, c *call, args []string) error {
	a, done, err := c.verifiable(verifiableConsumerArguments, args)
	if done {
		return err
	}
	p, err := loadProperties(a.either("--command-config", "--consumer.config"))
	if err != nil {
		return err
	}
	out := &events{w: c.Stdout}
	opts, err := verifiableConsumerOptions(a, out)
	if err != nil {
		return err
	}
	client, err := c.connect(ctx, a.text("--bootstrap-server"), p, opts...)
	if err != nil {
		return err
	}
	out.print(happened("startup_complete"))
	err = consumeVerifiably(ctx, client, a, out)
	client.CloseAllowingRebalance()
	out.print(happened("shutdown_complete"))
	out.print(happened("shutdown_requested"))
	return err
}

func verifiableConsumerOptions(a *arguments, out *events) ([]kgo.Opt, error) {
	balancer, ok := balancers[strings.TrimPrefix(a.text("--assignment-strategy"), assignors)]
	if !ok {
		return nil, failf("Invalid value %s for configuration partition.assignment.strategy: Class %s could not be found.", a.text("--assignment-strategy"), a.text("--assignment-strategy"))
	}
	start := kgo.NewOffset().AtStart()
	switch policy := a.text("--reset-policy"); policy {
	case "earliest":
	case "latest":
		start = kgo.NewOffset().AtEnd()
	case "none":
		start = kgo.NoResetOffset()
	default:
		return nil, failf("Invalid value %s for configuration auto.offset.reset: there are earliest, latest and none", policy)
	}
	opts := []kgo.Opt{kgo.ConsumerGroup(a.text("--group-id")), kgo.ConsumeTopics(a.text("--topic")), kgo.ConsumeResetOffset(start),
		kgo.Balancers(balancer()), kgo.BlockRebalanceOnPoll(), kgo.AllowAutoTopicCreation(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			out.print(partitionsEvent{happened("partitions_assigned"), partitionNames(assigned)})
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
			out.print(partitionsEvent{happened("partitions_revoked"), partitionNames(revoked)})
		})}
	if a.has("--session-timeout") {
		opts = append(opts, kgo.SessionTimeout(time.Duration(a.long("--session-timeout"))*time.Millisecond))
	}
	if id := a.text("--group-instance-id"); id != "" {
		opts = append(opts, kgo.InstanceID(id))
	}
	if a.has("--enable-autocommit") {
		return append(opts, kgo.AutoCommitMarks()), nil
	}
	return append(opts, kgo.DisableAutoCommit()), nil
}

func consumeVerifiably(ctx context.Context, client *kgo.Client, a *arguments, out *events) error {
	limit, consumed := a.long("--max-messages"), int64(0)
	for (limit < 0 || consumed < limit) && !ended(ctx) {
		fetches := client.PollFetches(ctx)
		if err := fatal(fetches); err != nil {
			return err
		}
		summary := recordsConsumed{event: happened("records_consumed"), Count: int64(fetches.NumRecords())}
		offsets := offsetsCommitted{event: happened("offsets_committed"), Success: true}
		var last []*kgo.Record
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			records := p.Records
			if limit >= 0 {
				records = records[:min(int64(len(records)), limit-consumed)]
			}
			if len(records) == 0 {
				return
			}
			consumed += int64(len(records))
			if a.has("--verbose") {
				for _, r := range records {
					out.print(recordData{happened("record_data"), textOf(r.Key), textOf(r.Value), r.Topic, r.Partition, r.Offset})
				}
			}
			name, end := partitionName{p.Topic, p.Partition}, records[len(records)-1]
			summary.Partitions = append(summary.Partitions, recordSummary{name, int64(len(records)), records[0].Offset, end.Offset})
			offsets.Offsets = append(offsets.Offsets, committedName{name, end.Offset + 1})
			last = append(last, end)
		})
		if len(last) > 0 {
			out.print(summary)
			commitVerifiably(ctx, client, a, last, &offsets)
			if !a.has("--enable-autocommit") {
				out.print(offsets)
			}
		}
		client.AllowRebalance()
	}
	return nil
}

func commitVerifiably(ctx context.Context, client *kgo.Client, a *arguments, last []*kgo.Record, offsets *offsetsCommitted) {
	if a.has("--enable-autocommit") {
		client.MarkCommitRecords(last...)
		return
	}
	if err := client.CommitRecords(context.WithoutCancel(ctx), last...); err != nil {
		offsets.Success, offsets.Error = false, fmt.Sprint(err)
	}
	offsets.event = happened("offsets_committed")
}

func textOf(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}
