package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// OffsetForLeaderEpoch, versions 0 to 4 (KIP-101, KIP-279). v2 takes the epoch that the client believes in (KIP-320).

func (b *Broker) offsetForLeaderEpoch(_ context.Context, _ *Request, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			rt.Partitions = append(rt.Partitions, b.epochEnd(img, t.Topic, &t.Partitions[j]))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (b *Broker) epochEnd(img *cluster.Image, topic string, want *kmsg.OffsetForLeaderEpochRequestTopicPartition) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.EndOffset = want.Partition, -1, -1
	t, code := topicRef{name: topic}.find(img)
	if code != wire.None {
		rp.ErrorCode = code.Code()
		return rp
	}
	p, code := b.replica(t, want.Partition)
	if code != wire.None {
		rp.ErrorCode = code.Code()
		return rp
	}
	end, err := p.EpochEnd(want.LeaderEpoch, want.CurrentLeaderEpoch)
	rp.ErrorCode = b.fetchError(err).Code()
	rp.LeaderEpoch, rp.EndOffset = end.Epoch, end.EndOffset
	return rp
}
