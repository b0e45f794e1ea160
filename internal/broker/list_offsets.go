package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// ListOffsets, versions 0 to 11.
//
// v0 answers with an array of offsets, newest first; v1 with one offset and its timestamp (KIP-79); v2 isolation levels;
// v4 leader epochs (KIP-320). The special timestamps came later each: see specialSince.

// specialSince gives the version since which a special timestamp may be asked for.
var specialSince = map[int64]int16{
	partition.Latest:                0,
	partition.Earliest:              0,
	partition.MaxTimestamp:          7,
	partition.EarliestLocal:         8,
	partition.LatestTiered:          9,
	partition.EarliestPendingUpload: 11,
}

// topicPartition names a partition within one request.
type topicPartition struct {
	topic     string
	partition int32
}

func (b *Broker) listOffsets(_ context.Context, _ *Request, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	img := b.cfg.Metadata.Image()
	twice := namedTwice(req)
	resp := kmsg.NewPtrListOffsetsResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if twice[topicPartition{t.Topic, p.Partition}] {
				rt.Partitions = append(rt.Partitions, noOffsetListed(p.Partition, wire.InvalidRequest))
				continue
			}
			rt.Partitions = append(rt.Partitions, b.listOffset(img, req, t.Topic, p))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// namedTwice returns the partitions that a request names more than once, in versions where that is an error.
func namedTwice(req *kmsg.ListOffsetsRequest) map[topicPartition]bool {
	twice := make(map[topicPartition]bool)
	if req.Version == 0 {
		return twice
	}
	seen := make(map[topicPartition]bool)
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			tp := topicPartition{req.Topics[i].Topic, req.Topics[i].Partitions[j].Partition}
			twice[tp] = seen[tp]
			seen[tp] = true
		}
	}
	return twice
}

func noOffsetListed(index int32, code wire.Error) kmsg.ListOffsetsResponseTopicPartition {
	rp := kmsg.NewListOffsetsResponseTopicPartition()
	rp.Partition, rp.ErrorCode = index, code.Code()
	rp.Offset, rp.Timestamp, rp.LeaderEpoch = -1, -1, -1
	return rp
}

func (b *Broker) listOffset(img *cluster.Image, req *kmsg.ListOffsetsRequest, topic string, want *kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	since, special := specialSince[want.Timestamp]
	if want.Timestamp < 0 && (!special || req.Version < since) {
		return noOffsetListed(want.Partition, wire.UnsupportedVersion)
	}
	t, code := topicRef{name: topic}.find(img)
	var p *partition.Partition
	if code == wire.None {
		p, code = b.replica(t, want.Partition)
	}
	if code != wire.None {
		return noOffsetListed(want.Partition, code)
	}
	if req.Version == 0 {
		return b.listOldOffsets(p, want)
	}
	found, err := p.ListOffset(want.Timestamp, partition.Isolation(req.IsolationLevel), req.ReplicaID, want.CurrentLeaderEpoch)
	if err != nil {
		return noOffsetListed(want.Partition, b.listOffsetsError(err, req.Version))
	}
	rp := noOffsetListed(want.Partition, wire.None)
	rp.Offset, rp.Timestamp, rp.LeaderEpoch = found.Offset, found.Timestamp, found.LeaderEpoch
	return rp
}

// listOldOffsets answers v0: offsets at or before the time, newest first, no more than asked for. Kafka knew only the
// boundaries of segments then; the log is taken for one segment here, but for a time the exact offset is known.
func (b *Broker) listOldOffsets(p *partition.Partition, want *kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsResponseTopicPartition {
	rp := noOffsetListed(want.Partition, wire.None)
	if want.MaxNumOffsets <= 0 {
		return rp
	}
	found, err := p.ListOffset(want.Timestamp, partition.ReadUncommitted, partition.Consumer, partition.AnyEpoch)
	if err == nil && found.Offset < 0 { // every record is older
		found, err = p.ListOffset(partition.Latest, partition.ReadUncommitted, partition.Consumer, partition.AnyEpoch)
	}
	if err != nil {
		rp.ErrorCode = b.listOffsetsError(err, 0).Code()
		return rp
	}
	rp.OldStyleOffsets = []int64{found.Offset}
	if start := p.StartOffset(); want.MaxNumOffsets > 1 && start < found.Offset {
		rp.OldStyleOffsets = append(rp.OldStyleOffsets, start)
	}
	return rp
}

func (b *Broker) listOffsetsError(err error, version int16) wire.Error {
	if errors.Is(err, partition.ErrOffsetNotAvailable) {
		if version < 5 {
			return wire.LeaderNotAvailable // the code came with v5 (KIP-207)
		}
		return wire.OffsetNotAvailable
	}
	return b.fetchError(err)
}
