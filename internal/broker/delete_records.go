package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// DeleteRecords, versions 0 to 2 (KIP-107). The answer waits until the new start is on disk.

// errNotDeletable refuses a topic that is only compacted, as Kafka does: its records are its state.
var errNotDeletable = errors.New("the topic's cleanup.policy has no delete")

func (b *Broker) deleteRecords(_ context.Context, _ *Request, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			p := &t.Partitions[j]
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			low, code := b.deleteBefore(img, t.Topic, p.Partition, p.Offset)
			rp.Partition, rp.LowWatermark, rp.ErrorCode = p.Partition, low, code.Code()
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (b *Broker) deleteBefore(img *cluster.Image, topic string, index int32, offset int64) (low int64, code wire.Error) {
	t, code := topicRef{name: topic}.find(img)
	if code != wire.None {
		return -1, code
	}
	if t.Internal {
		return -1, wire.InvalidTopicException
	}
	p, code := b.replica(t, index)
	if code != wire.None {
		return -1, code
	}
	low, err := deleteFrom(p, offset)
	return low, b.deleteRecordsError(err)
}

func deleteFrom(p *partition.Partition, offset int64) (int64, error) {
	if !p.Settings().Log.Delete {
		return -1, errNotDeletable
	}
	return p.DeleteRecords(offset)
}

func (b *Broker) deleteRecordsError(err error) wire.Error {
	if errors.Is(err, errNotDeletable) {
		return wire.PolicyViolation
	}
	return b.fetchError(err)
}
