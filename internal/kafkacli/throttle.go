package kafkacli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The settings that bound replication (KIP-73), of brokers and of topics.
const (
	leaderRate       = "leader.replication.throttled.rate"
	followerRate     = "follower.replication.throttled.rate"
	leaderReplicas   = "leader.replication.throttled.replicas"
	followerReplicas = "follower.replication.throttled.replicas"
)

// ReplicaMove is from which replicas to which new ones a partition is copied.
type ReplicaMove struct {
	Topic     string
	Partition int32
	From, To  []int32
}

// ThrottleMoves lets the brokers that take part in moves copy so many bytes a second at most, of these partitions together:
// from those that have them to those that get them. It stays until UnthrottleMoves.
func ThrottleMoves(ctx context.Context, client *kgo.Client, moves []ReplicaMove, bytesPerSecond int64) error {
	rate := fmt.Sprint(bytesPerSecond)
	leaders, followers := map[string][]string{}, map[string][]string{}
	for _, m := range moves {
		leaders[m.Topic] = append(leaders[m.Topic], m.pairs(m.From)...)
		followers[m.Topic] = append(followers[m.Topic], m.pairs(m.To)...)
	}
	change := newSettingsChange()
	for _, topic := range slices.Sorted(maps.Keys(leaders)) {
		slices.Sort(leaders[topic])
		slices.Sort(followers[topic])
		l, f := strings.Join(leaders[topic], ","), strings.Join(followers[topic], ",")
		change.add(kmsg.ConfigResourceTypeTopic, topic, map[string]*string{leaderReplicas: &l, followerReplicas: &f})
	}
	for _, id := range brokersOf(moves) {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), map[string]*string{leaderRate: &rate, followerRate: &rate})
	}
	return change.run(ctx, client)
}

// UnthrottleMoves takes away what ThrottleMoves has set. Topics that are gone have nothing to take away.
func UnthrottleMoves(ctx context.Context, client *kgo.Client, moves []ReplicaMove) error {
	var topics []string
	for _, m := range moves {
		topics = append(topics, m.Topic)
	}
	slices.Sort(topics)
	change := newSettingsChange()
	for _, id := range brokersOf(moves) {
		change.add(kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), noValues(leaderRate, followerRate))
	}
	for _, topic := range slices.Compact(topics) {
		change.add(kmsg.ConfigResourceTypeTopic, topic, noValues(leaderReplicas, followerReplicas))
	}
	change.mayBeGone = true
	return change.run(ctx, client)
}

// brokersOf are the brokers that take part, each once.
func brokersOf(moves []ReplicaMove) []int32 {
	var ids []int32
	for _, m := range moves {
		ids = append(append(ids, m.From...), m.To...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// pairs are replicas as the settings name them.
func (m *ReplicaMove) pairs(ids []int32) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf("%d:%d", m.Partition, id)
	}
	return list
}

// noValues takes keys away.
func noValues(keys ...string) map[string]*string {
	none := make(map[string]*string, len(keys))
	for _, key := range keys {
		none[key] = nil
	}
	return none
}
