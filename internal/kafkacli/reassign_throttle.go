package kafkacli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// dirsRate bounds moves between the directories of a broker.
const dirsRate = "replica.alter.log.dirs.io.max.bytes.per.second"

// settingsChange changes settings of brokers and topics; no value takes one away.
type settingsChange struct {
	req       *kmsg.IncrementalAlterConfigsRequest
	mayBeGone bool // a topic that does not exist is no failure
}

func newSettingsChange() settingsChange {
	return settingsChange{req: kmsg.NewPtrIncrementalAlterConfigsRequest()}
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
			gone := s.mayBeGone && resource.ErrorCode == kerr.UnknownTopicOrPartition.Code
			if err := refusal(resource.ErrorCode, resource.ErrorMessage); err != nil && !gone {
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
		if err := ThrottleMoves(ctx, r.client, r.moves(now, current), between); err != nil {
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
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), map[string]*string{dirsRate: &rate})
	}
	if err := change.run(ctx, r.client); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "The replica-alter-dir throttle limit was set to %d B/s\n", within)
	return nil
}

// moves are those under way, and those that the file asks for.
func (r *reassignment) moves(now moving, current map[topicPartition][]int32) []ReplicaMove {
	without := func(list, those []int32) []int32 {
		return slices.DeleteFunc(slices.Clone(list), func(id int32) bool { return slices.Contains(those, id) })
	}
	moves := map[topicPartition]ReplicaMove{}
	for tp, p := range now {
		moves[tp] = ReplicaMove{tp.topic, tp.partition, without(p.Replicas, p.AddingReplicas), p.AddingReplicas}
	}
	for _, t := range r.target {
		from := current[t.topicPartition]
		if m, ok := moves[t.topicPartition]; ok {
			from = m.From
		}
		moves[t.topicPartition] = ReplicaMove{t.topic, t.partition, from, without(t.replicas, from)}
	}
	return slices.Collect(maps.Values(moves))
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
	change := newSettingsChange()
	ids := slices.Sorted(maps.Keys(brokers))
	for _, id := range ids {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), noValues(leaderRate, followerRate, dirsRate))
	}
	fmt.Fprintf(r.out, "Clearing broker-level throttles on broker%s %s\n", pluralOf(len(ids)), joined(ids))
	if err := change.run(ctx, r.client); err != nil {
		return err
	}
	change = newSettingsChange()
	topics := topicsOf(r.partitions())
	for _, topic := range topics {
		change.add(kmsg.ConfigResourceTypeTopic, topic, noValues(leaderReplicas, followerReplicas))
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
