package kafkacli

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Times that ListOffsets knows by a number of their own.
const (
	latestOffset          int64 = -1
	earliestOffset        int64 = -2
	maxTimestampOffset    int64 = -3
	earliestLocalOffset   int64 = -4
	latestTieredOffset    int64 = -5
	earliestPendingUpload int64 = -6
)

// committedOffset is an offset that a group has committed; epoch is -1 when it is not known.
type committedOffset struct {
	offset int64
	epoch  int32
}

// committedOffsets returns all offsets of a group.
func committedOffsets(ctx context.Context, client *kgo.Client, group string) (map[topicPartition]committedOffset, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	committed := map[topicPartition]committedOffset{}
	if err := refusal(resp.ErrorCode, nil); err != nil {
		return nil, err
	}
	for _, g := range resp.Groups {
		if err := refusal(g.ErrorCode, nil); err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Offset >= 0 {
					committed[topicPartition{t.Topic, p.Partition}] = committedOffset{p.Offset, p.LeaderEpoch}
				}
			}
		}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Offset >= 0 {
				committed[topicPartition{t.Topic, p.Partition}] = committedOffset{p.Offset, p.LeaderEpoch}
			}
		}
	}
	return committed, nil
}

// listOffsets asks the leaders for the offsets at a time: milliseconds since 1970, or one of the numbers above. A
// partition that has none, -1, is in the answer; one that fails ends the call, or with skip is left out.
func listOffsets(ctx context.Context, client *kgo.Client, wanted map[topicPartition]bool, time int64, skip bool) (map[topicPartition]int64, error) {
	offsets := map[topicPartition]int64{}
	if len(wanted) == 0 {
		return offsets, nil
	}
	failures := map[topicPartition]error{}
	askOffsets(ctx, client, wanted, time, offsets, failures)
	if skip {
		return offsets, nil
	}
	for _, tp := range sortedPartitions(failures) {
		return nil, failures[tp]
	}
	return offsets, nil
}

// askOffsets puts what the leaders answer into offsets and failures.
func askOffsets(ctx context.Context, client *kgo.Client, wanted map[topicPartition]bool, time int64, offsets map[topicPartition]int64, failures map[topicPartition]error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	byTopic := map[string]int{}
	for _, tp := range sortedPartitions(wanted) {
		i, ok := byTopic[tp.topic]
		if !ok {
			i = len(req.Topics)
			byTopic[tp.topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.partition, time
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	for _, shard := range client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.ListOffsetsRequest).Topics {
				for _, p := range t.Partitions {
					failures[topicPartition{t.Topic, p.Partition}] = kafkaWords(shard.Err)
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				tp := topicPartition{t.Topic, p.Partition}
				if err := refusal(p.ErrorCode, nil); err != nil {
					failures[tp] = err
				} else {
					offsets[tp] = p.Offset
				}
			}
		}
	}
}

// kafkaWords turns an error of the client library into the broker's.
func kafkaWords(err error) error {
	for _, known := range []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.UnsupportedVersion} {
		if strings.Contains(err.Error(), known.Message) {
			return refusal(known.Code, nil)
		}
	}
	return err
}

func sortedPartitions[V any](m map[topicPartition]V) []topicPartition {
	list := make([]topicPartition, 0, len(m))
	for tp := range m {
		list = append(list, tp)
	}
	slices.SortFunc(list, compareTopicPartitions)
	return list
}
