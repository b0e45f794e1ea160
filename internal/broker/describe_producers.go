package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeProducers, version 0 (KIP-664): the idempotent producers that a leader remembers. A partition that is named again and
// again is INVALID_REQUEST in the end.

func (b *Broker) describeProducers(_ context.Context, _ *Request, req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrDescribeProducersResponse()
	var described wire.Repeats[topicPartition] // of those that are led here
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		for _, index := range t.Partitions {
			rt.Partitions = append(rt.Partitions, b.producersOf(img, topicPartition{t.Topic, index}, &described))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (b *Broker) producersOf(img *cluster.Image, at topicPartition, described *wire.Repeats[topicPartition]) kmsg.DescribeProducersResponseTopicPartition {
	rp := kmsg.NewDescribeProducersResponseTopicPartition()
	rp.Partition = at.partition
	t, code := topicRef{name: at.topic}.find(img)
	if code != wire.None {
		rp.ErrorCode, rp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		return rp
	}
	p, code := b.replica(t, at.partition)
	if code == wire.None {
		if _, leading := p.Leading(); !leading {
			code = wire.NotLeaderOrFollower
		} else if described.TooMany(at) {
			code = wire.InvalidRequest
		}
	}
	if code != wire.None {
		rp.ErrorCode, rp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		return rp
	}
	for _, producer := range p.Log().Producers() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch, a.LastSequence = producer.ID, int32(producer.Epoch), producer.LastSequence
		a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = producer.LastTimestamp, producer.CoordinatorEpoch, producer.TxnStartOffset
		rp.ActiveProducers = append(rp.ActiveProducers, a)
	}
	return rp
}
