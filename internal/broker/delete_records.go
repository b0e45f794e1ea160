package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// DeleteRecords, versions 0 to 2 (KIP-107). The answer waits until the new start is on the leader's disk, and until every
// replica that lives has taken it over: what was deleted is gone then.

// errNotDeletable refuses a topic that is only compacted, as Kafka does: its records are its state.
var errNotDeletable = errors.New("the topic's cleanup.policy has no delete")

// deletion is one partition of which the leader has deleted what was asked, and other replicas not yet.
type deletion struct {
	partition *partition.Partition
	before    int64
	answer    *kmsg.DeleteRecordsResponseTopicPartition
}

func (b *Broker) deleteRecords(ctx context.Context, _ *Request, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrDeleteRecordsResponse()
	var open []deletion
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			p, rp := &t.Partitions[j], &rt.Partitions[j]
			at, low, code := b.deleteBefore(img, t.Topic, p.Partition, p.Offset)
			rp.Partition, rp.LowWatermark, rp.ErrorCode = p.Partition, low, code.Code()
			if code == wire.None {
				open = append(open, deletion{at, low, rp})
			}
		}
		resp.Topics = append(resp.Topics, rt)
	}
	b.awaitDeletions(ctx, open, time.Duration(req.TimeoutMillis)*time.Millisecond)
	return resp
}

// awaitDeletions waits until the other replicas have deleted as well. Those that have not when the time is over are answered
// with REQUEST_TIMED_OUT: they will.
func (b *Broker) awaitDeletions(ctx context.Context, open []deletion, patience time.Duration) {
	w := partition.NewWaiter()
	defer w.Close()
	for i := range open {
		_, seen, _ := open[i].partition.LowWatermark(b.lives)
		w.Watch(open[i].partition, seen)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	again := time.NewTicker(liveAgain)
	defer again.Stop()
	for {
		open = slices.DeleteFunc(open, b.deleted)
		if len(open) == 0 {
			return
		}
		select {
		case <-w.C:
		case <-again.C:
		case <-timer.C:
			timedOut(open)
			return
		case <-ctx.Done():
			timedOut(open)
			return
		}
	}
}

// liveAgain is how often it is looked who lives: that changes no partition.
const liveAgain = time.Second

// deleted answers a deletion that has come to its end.
func (b *Broker) deleted(d deletion) bool {
	low, _, err := d.partition.LowWatermark(b.lives)
	if err == nil && low < d.before {
		return false
	}
	d.answer.LowWatermark, d.answer.ErrorCode = low, b.deleteRecordsError(err).Code()
	return true
}

func timedOut(open []deletion) {
	for _, d := range open {
		d.answer.ErrorCode = wire.RequestTimedOut.Code()
	}
}

// lives tells whether the image has a broker alive.
func (b *Broker) lives(id cluster.NodeID) bool {
	broker, known := b.cfg.Metadata.Image().Broker(id)
	return known && !broker.Fenced
}

// deleteBefore deletes at the leader. low is where its log begins then.
func (b *Broker) deleteBefore(img *cluster.Image, topic string, index int32, offset int64) (p *partition.Partition, low int64, code wire.Error) {
	t, code := topicRef{name: topic}.find(img)
	if code != wire.None {
		return nil, -1, code
	}
	if t.Internal {
		return nil, -1, wire.InvalidTopicException
	}
	p, code = b.replica(t, index)
	if code != wire.None {
		return nil, -1, code
	}
	low, err := deleteFrom(p, offset)
	return p, low, b.deleteRecordsError(err)
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
