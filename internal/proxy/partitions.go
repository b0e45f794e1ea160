package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is asked about partitions is asked of their leaders: ListOffsets, DeleteRecords, OffsetForLeaderEpoch,
// DescribeProducers.

func self32(p *int32) int32 { return *p }

func (r *call) listOffsets(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.ListOffsetsRequest)
	return byLeader(ctx, r, shape[kmsg.ListOffsetsRequestTopic, kmsg.ListOffsetsRequestTopicPartition, kmsg.ListOffsetsResponseTopic, kmsg.ListOffsetsResponseTopicPartition]{
		topic:      func(t *kmsg.ListOffsetsRequestTopic) topicRef { return topicRef{name: t.Topic} },
		partitions: func(t *kmsg.ListOffsetsRequestTopic) *[]kmsg.ListOffsetsRequestTopicPartition { return &t.Partitions },
		index:      func(p *kmsg.ListOffsetsRequestTopicPartition) int32 { return p.Partition },
		request: func(topics []kmsg.ListOffsetsRequestTopic) kmsg.Request {
			part := *req
			part.Topics = topics
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.ListOffsetsResponseTopic {
			return &resp.(*kmsg.ListOffsetsResponse).Topics
		},
		answered: func(t *kmsg.ListOffsetsResponseTopic) *[]kmsg.ListOffsetsResponseTopicPartition { return &t.Partitions },
		number:   func(p *kmsg.ListOffsetsResponseTopicPartition) int32 { return p.Partition },
	}, req.Topics)
}

func (r *call) deleteRecords(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DeleteRecordsRequest)
	return byLeader(ctx, r, shape[kmsg.DeleteRecordsRequestTopic, kmsg.DeleteRecordsRequestTopicPartition, kmsg.DeleteRecordsResponseTopic, kmsg.DeleteRecordsResponseTopicPartition]{
		topic: func(t *kmsg.DeleteRecordsRequestTopic) topicRef { return topicRef{name: t.Topic} },
		partitions: func(t *kmsg.DeleteRecordsRequestTopic) *[]kmsg.DeleteRecordsRequestTopicPartition {
			return &t.Partitions
		},
		index: func(p *kmsg.DeleteRecordsRequestTopicPartition) int32 { return p.Partition },
		request: func(topics []kmsg.DeleteRecordsRequestTopic) kmsg.Request {
			part := *req
			part.Topics = topics
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.DeleteRecordsResponseTopic {
			return &resp.(*kmsg.DeleteRecordsResponse).Topics
		},
		answered: func(t *kmsg.DeleteRecordsResponseTopic) *[]kmsg.DeleteRecordsResponseTopicPartition {
			return &t.Partitions
		},
		number: func(p *kmsg.DeleteRecordsResponseTopicPartition) int32 { return p.Partition },
	}, req.Topics)
}

func (r *call) offsetForLeaderEpoch(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.OffsetForLeaderEpochRequest)
	return byLeader(ctx, r, shape[kmsg.OffsetForLeaderEpochRequestTopic, kmsg.OffsetForLeaderEpochRequestTopicPartition, kmsg.OffsetForLeaderEpochResponseTopic, kmsg.OffsetForLeaderEpochResponseTopicPartition]{
		topic: func(t *kmsg.OffsetForLeaderEpochRequestTopic) topicRef { return topicRef{name: t.Topic} },
		partitions: func(t *kmsg.OffsetForLeaderEpochRequestTopic) *[]kmsg.OffsetForLeaderEpochRequestTopicPartition {
			return &t.Partitions
		},
		index: func(p *kmsg.OffsetForLeaderEpochRequestTopicPartition) int32 { return p.Partition },
		request: func(topics []kmsg.OffsetForLeaderEpochRequestTopic) kmsg.Request {
			part := *req
			part.Topics = topics
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.OffsetForLeaderEpochResponseTopic {
			return &resp.(*kmsg.OffsetForLeaderEpochResponse).Topics
		},
		answered: func(t *kmsg.OffsetForLeaderEpochResponseTopic) *[]kmsg.OffsetForLeaderEpochResponseTopicPartition {
			return &t.Partitions
		},
		number: func(p *kmsg.OffsetForLeaderEpochResponseTopicPartition) int32 { return p.Partition },
	}, req.Topics)
}

func (r *call) describeProducers(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DescribeProducersRequest)
	return byLeader(ctx, r, shape[kmsg.DescribeProducersRequestTopic, int32, kmsg.DescribeProducersResponseTopic, kmsg.DescribeProducersResponseTopicPartition]{
		topic:      func(t *kmsg.DescribeProducersRequestTopic) topicRef { return topicRef{name: t.Topic} },
		partitions: func(t *kmsg.DescribeProducersRequestTopic) *[]int32 { return &t.Partitions },
		index:      self32,
		request: func(topics []kmsg.DescribeProducersRequestTopic) kmsg.Request {
			part := *req
			part.Topics = topics
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.DescribeProducersResponseTopic {
			return &resp.(*kmsg.DescribeProducersResponse).Topics
		},
		answered: func(t *kmsg.DescribeProducersResponseTopic) *[]kmsg.DescribeProducersResponseTopicPartition {
			return &t.Partitions
		},
		number: func(p *kmsg.DescribeProducersResponseTopicPartition) int32 { return p.Partition },
	}, req.Topics)
}
