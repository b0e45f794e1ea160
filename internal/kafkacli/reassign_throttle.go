package kafkacli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	brokerThrottles = []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second"}
	topicThrottles  = []string{"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}
)

// settingsChange changes settings of brokers and topics; no value takes one away.
type settingsChange struct {
	req *kmsg.IncrementalAlterConfigsRequest
}

func newSettingsChange() settingsChange {
	return settingsChange{kmsg.NewPtrIncrementalAlterConfigsRequest()}
}

func (s settingsChange) add(kind kmsg.ConfigResourceType, name string, keyValues map[string]*string) {
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kind, name
	for _, key := range slices.Sorted(maps.Keys(keyValues)) {
		entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		entry.Name, entry.Value = key, keyValues[key]
		if entry.Op = kmsg.IncrementalAlterConfigOpSet; entry.Value == nil {
			entry.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		resource.Configs = append(resource.Configs, entry)
	}
	s.req.Resources = append(s.req.Resources, resource)
}

func (s settingsChange) run(ctx context.Context, client *kgo.Client) error {
	if len(s.req.Resources) == 0 {
		return nil
	}
	for _, shard := range client.RequestSharded(ctx, s.req) {
		if shard.Err != nil {
			return kafkaWords(shard.Err)
		}
		for _, resource := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := refusal(resource.ErrorCode, resource.ErrorMessage); err != nil {
				return err
			}
		}
	}
	return nil
}

// throttle bounds what moves, when the command line says so: what is under way and what is to begin.
func (r *reassignment) throttle(ctx context.Context, now moving, current map[topicPartition][]int32) error {
	between, within := r.opts.long("throttle"), r.opts.long("replica-alter-log-dirs-throttle")
	if between < 0 && within < 0 {
		return nil
	}
	fmt.Fprintln(r.out, "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.")
	if between >= 0 {
		if err := r.throttleReplication(ctx, now, current, strconv.FormatInt(between, 10)); err != nil {
			return err
		}
		fmt.Fprintf(r.out, "The inter-broker throttle limit was set to %d B/s\n", between)
	}
	if within < 0 {
		return nil
	}
	change := newSettingsChange()
	rate := strconv.FormatInt(within, 10)
	var ids []int32
	for _, d := range r.dirs {
		ids = append(ids, d.broker)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), map[string]*string{brokerThrottles[2]: &rate})
	}
	if err := change.run(ctx, r.client); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "The replica-alter-dir throttle limit was set to %d B/s\n", within)
	return nil
}

// partitionMove is from where to where a partition is copied.
type partitionMove struct{ from, to []int32 }

// moves are those under way, and those that the file asks for.
func (r *reassignment) moves(now moving, current map[topicPartition][]int32) map[topicPartition]partitionMove {
	without := func(list, those []int32) []int32 {
		return slices.DeleteFunc(slices.Clone(list), func(id int32) bool { return slices.Contains(those, id) })
	}
	moves := map[topicPartition]partitionMove{}
	for tp, p := range now {
		moves[tp] = partitionMove{without(p.Replicas, p.AddingReplicas), p.AddingReplicas}
	}
	for _, t := range r.target {
		from := current[t.topicPartition]
		if m, ok := moves[t.topicPartition]; ok {
			from = m.from
		}
		moves[t.topicPartition] = partitionMove{from, without(t.replicas, from)}
	}
	return moves
}

func (r *reassignment) throttleReplication(ctx context.Context, now moving, current map[topicPartition][]int32, rate string) error {
	moves := r.moves(now, current)
	leaders, followers := map[string][]string{}, map[string][]string{}
	var brokers []int32
	for tp, m := range moves {
		leaders[tp.topic], followers[tp.topic] = append(leaders[tp.topic], replicaList(tp, m.from)...), append(followers[tp.topic], replicaList(tp, m.to)...)
		brokers = append(append(brokers, m.from...), m.to...)
	}
	change := newSettingsChange()
	for topic := range leaders {
		slices.Sort(leaders[topic])
		slices.Sort(followers[topic])
		l, f := strings.Join(leaders[topic], ","), strings.Join(followers[topic], ",")
		change.add(kmsg.ConfigResourceTypeTopic, topic, map[string]*string{topicThrottles[0]: &l, topicThrottles[1]: &f})
	}
	slices.Sort(brokers)
	for _, id := range slices.Compact(brokers) {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), map[string]*string{brokerThrottles[0]: &rate, brokerThrottles[1]: &rate})
	}
	return change.run(ctx, r.client)
}

func replicaList(tp topicPartition, ids []int32) []string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf("%d:%d", tp.partition, id))
	}
	return list
}

// clearThrottles takes all throttles of the cluster's brokers and of the file's topics away.
func (r *reassignment) clearThrottles(ctx context.Context) error {
	brokers, err := r.brokers(ctx)
	if err != nil {
		return err
	}
	for _, t := range r.target {
		for _, id := range t.replicas {
			brokers[id] = ""
		}
	}
	none := func(keys []string) map[string]*string {
		m := map[string]*string{}
		for _, key := range keys {
			m[key] = nil
		}
		return m
	}
	change := newSettingsChange()
	ids := slices.Sorted(maps.Keys(brokers))
	for _, id := range ids {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), none(brokerThrottles))
	}
	fmt.Fprintf(r.out, "Clearing broker-level throttles on broker%s %s\n", pluralOf(len(ids)), joined(ids))
	if err := change.run(ctx, r.client); err != nil {
		return err
	}
	change = newSettingsChange()
	topics := topicsOf(r.partitions())
	for _, topic := range topics {
		change.add(kmsg.ConfigResourceTypeTopic, topic, none(topicThrottles))
	}
	fmt.Fprintf(r.out, "Clearing topic-level throttles on topic%s %s\n", pluralOf(len(topics)), strings.Join(topics, ","))
	return change.run(ctx, r.client)
}

func pluralOf(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
