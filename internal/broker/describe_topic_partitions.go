package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeTopicPartitions, version 0 (KIP-966): metadata in pages, with the eligible leader replicas. Topics come sorted
// by name; the cursor names the first partition of the next page.

// page is one reply being filled.
type page struct {
	img      *cluster.Image
	listener string
	left     int
	resp     *kmsg.DescribeTopicPartitionsResponse
}

func (b *Broker) describeTopicPartitions(_ context.Context, r *Request, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	p := page{
		img:      b.cfg.Metadata.Image(),
		listener: r.Conn.Listener,
		left:     min(max(int(req.ResponsePartitionLimit), 1), b.cfg.Settings.DescribePartitionsMax),
		resp:     kmsg.NewPtrDescribeTopicPartitionsResponse(),
	}
	from, first := "", int32(0)
	if req.Cursor != nil {
		from, first = req.Cursor.Topic, req.Cursor.Partition
	}
	if len(req.Topics) == 0 {
		for t := range p.img.TopicsFrom(from) {
			if !p.add(t, firstPartition(t.Name, from, first)) {
				break
			}
		}
		return p.resp
	}
	for _, name := range namesFrom(req.Topics, from) {
		t, code := topicRef{name: name}.find(p.img)
		if code != wire.None {
			p.addMissing(name, code)
		} else if !p.add(t, firstPartition(name, from, first)) {
			break
		}
	}
	return p.resp
}

// namesFrom returns the names that a request asks for, sorted, each once, without those before the cursor.
func namesFrom(topics []kmsg.DescribeTopicPartitionsRequestTopic, from string) []string {
	var names []string
	for i := range topics {
		if topics[i].Topic >= from {
			names = append(names, topics[i].Topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func firstPartition(topic, from string, first int32) int {
	if topic == from {
		return int(max(first, 0))
	}
	return 0
}

func (p *page) addMissing(name string, code wire.Error) {
	if !validTopicName(name) {
		code = wire.InvalidTopicException
	}
	rt := kmsg.NewDescribeTopicPartitionsResponseTopic()
	rt.Topic, rt.ErrorCode = kmsg.StringPtr(name), code.Code()
	p.resp.Topics = append(p.resp.Topics, rt)
}

// add adds a topic's partitions from first on and returns false when the page is full: the cursor then stands where it
// ends.
func (p *page) add(t *cluster.Topic, first int) bool {
	if p.left == 0 {
		p.next(t, 0)
		return false
	}
	rt := kmsg.NewDescribeTopicPartitionsResponseTopic()
	rt.Topic, rt.TopicID, rt.IsInternal = kmsg.StringPtr(t.Name), t.ID, t.Internal
	rt.AuthorizedOperations = topicOperations
	end := min(len(t.Partitions), first+p.left)
	for i := first; i < end; i++ {
		rt.Partitions = append(rt.Partitions, p.partition(t, i))
	}
	p.left -= len(rt.Partitions)
	p.resp.Topics = append(p.resp.Topics, rt)
	if end < len(t.Partitions) {
		p.next(t, end)
		return false
	}
	return true
}

func (p *page) next(t *cluster.Topic, partition int) {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = t.Name, int32(partition)
	p.resp.NextCursor = &c
}

func (p *page) partition(t *cluster.Topic, index int) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	at := &t.Partitions[index]
	rp := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	leader, code := leaderOn(p.img, at, p.listener)
	rp.Partition, rp.ErrorCode, rp.LeaderID, rp.LeaderEpoch = int32(index), code.Code(), leader, at.LeaderEpoch
	rp.Replicas, rp.ISR, rp.OfflineReplicas = at.Replicas, at.ISR, offlineReplicas(p.img, at)
	rp.EligibleLeaderReplicas = append([]int32{}, at.ELR...)
	rp.LastKnownELR = append([]int32{}, at.LastKnownELR...)
	return rp
}
