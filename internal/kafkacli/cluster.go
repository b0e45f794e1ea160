package kafkacli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicInfo is a topic as the tools show it.
type topicInfo struct {
	name       string
	id         [16]byte
	internal   bool
	partitions []partitionInfo // by number
}

type partitionInfo struct {
	number        int32
	leader        int32
	replicas, isr []int32
	// elr and lastKnownELR are nil when the broker does not tell.
	elr, lastKnownELR []int32
	// moves is set while a reassignment is under way, which adds and removes replicas.
	moves            bool
	adding, removing []int32
}

// replicationFactor does not count what a reassignment adds.
func (p *partitionInfo) replicationFactor() int { return len(p.replicas) - len(p.adding) }

type topicPartition struct {
	topic     string
	partition int32
}

func (tp topicPartition) String() string { return fmt.Sprintf("%s-%d", tp.topic, tp.partition) }

func compareTopicPartitions(a, b topicPartition) int {
	if c := strings.Compare(a.topic, b.topic); c != 0 {
		return c
	}
	return int(a.partition) - int(b.partition)
}

// listTopics returns all topics, by name.
func listTopics(ctx context.Context, client *kgo.Client) ([]topicInfo, error) {
	req := kmsg.NewPtrMetadataRequest()
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	var topics []topicInfo
	for _, t := range resp.Topics {
		if t.Topic == nil || t.ErrorCode != 0 {
			continue
		}
		topics = append(topics, metadataTopic(*t.Topic, &t))
	}
	slices.SortFunc(topics, func(a, b topicInfo) int { return strings.Compare(a.name, b.name) })
	return topics, nil
}

// describeTopics returns the named topics, in the order of the names. One that does not exist is an error.
func describeTopics(ctx context.Context, client *kgo.Client, names []string) ([]topicInfo, error) {
	if len(names) == 0 {
		return nil, nil // a request without names asks for all
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	found := map[string]topicInfo{}
	for _, t := range resp.Topics {
		if err := refusal(t.ErrorCode, nil); err != nil {
			return nil, err
		}
		if t.Topic != nil {
			found[*t.Topic] = metadataTopic(*t.Topic, &t)
		}
	}
	topics := make([]topicInfo, 0, len(names))
	for _, name := range names {
		t, ok := found[name]
		if !ok {
			return nil, failf("The broker did not answer for topic %s", name)
		}
		topics = append(topics, t)
	}
	return topics, nil
}

func metadataTopic(name string, t *kmsg.MetadataResponseTopic) topicInfo {
	info := topicInfo{name: name, id: t.TopicID, internal: t.IsInternal}
	for _, p := range t.Partitions {
		info.partitions = append(info.partitions, partitionInfo{number: p.Partition, leader: p.Leader, replicas: p.Replicas, isr: p.ISR})
	}
	slices.SortFunc(info.partitions, func(a, b partitionInfo) int { return int(a.number - b.number) })
	return info
}

// addELR asks for the replicas that may lead though they are not in sync (KIP-966), limit partitions at a time; a broker
// that does not serve that leaves them unknown.
func addELR(ctx context.Context, client *kgo.Client, topics []topicInfo, limit int32) error {
	byName := map[string]*topicInfo{}
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = limit
	for i := range topics {
		byName[topics[i].name] = &topics[i]
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = topics[i].name
		req.Topics = append(req.Topics, t)
	}
	slices.SortFunc(req.Topics, func(a, b kmsg.DescribeTopicPartitionsRequestTopic) int { return strings.Compare(a.Topic, b.Topic) })
	for {
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			if unsupported(err) {
				return nil
			}
			return err
		}
		for _, t := range resp.Topics {
			if t.Topic == nil || byName[*t.Topic] == nil {
				continue
			}
			for _, p := range t.Partitions {
				byName[*t.Topic].setELR(p.Partition, p.EligibleLeaderReplicas, p.LastKnownELR)
			}
		}
		if resp.NextCursor == nil {
			return nil
		}
		req.Cursor = new(kmsg.DescribeTopicPartitionsRequestCursor)
		req.Cursor.Topic, req.Cursor.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
	}
}

func (t *topicInfo) setELR(partition int32, elr, lastKnown []int32) {
	for i := range t.partitions {
		if t.partitions[i].number == partition {
			t.partitions[i].elr, t.partitions[i].lastKnownELR = elr, lastKnown
		}
	}
}

// addReassignments asks which partitions are on the move; a broker that does not serve that leaves them where they are.
func addReassignments(ctx context.Context, client *kgo.Client, topics []topicInfo) error {
	now, err := underWay(ctx, client)
	if err != nil && !unsupported(err) {
		return err
	}
	for i := range topics {
		for j := range topics[i].partitions {
			p := &topics[i].partitions[j]
			move, moves := now[topicPartition{topics[i].name, p.number}]
			p.moves, p.adding, p.removing = moves, move.AddingReplicas, move.RemovingReplicas
		}
	}
	return nil
}

// unsupported tells whether the broker does not serve the API at all.
func unsupported(err error) bool {
	return errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), "does not support")
}

// topicFilter makes Kafka's filter of topic names: regular expressions, separated by commas, that match whole names.
func topicFilter(pattern string) (*regexp.Regexp, error) {
	cleaned := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(pattern), ",", "|"), " ", ""), `"'`)
	filter, err := regexp.Compile("^(?:" + cleaned + ")$")
	if err != nil {
		return nil, failf("%s is an invalid regex.", pattern)
	}
	return filter, nil
}

// uuid is a 16-byte id as Kafka prints it.
func uuid(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseUUID reads what uuid prints.
func parseUUID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, failf("Input string `%s` is not a valid base64-encoded 16-byte id", s)
	}
	copy(id[:], b)
	return id, nil
}

// joined is a list of numbers, separated by commas.
func joined(ids []int32) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = fmt.Sprint(id)
	}
	return strings.Join(s, ",")
}
