package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ask asks a machine that knows the newest of the topics for the ones before, and for what was committed for them: there must be
// no such thing any more. Then it commits an offset, which the next one must not have.
func (c *churner) ask(ctx context.Context, cl *kgo.Client, machine int, id [16]byte) {
	if knows, err := c.knows(ctx, cl, machine, id); err != nil || !knows {
		return
	}
	for _, old := range c.before {
		c.produceTo(ctx, cl, machine, old)
		c.fetchFrom(ctx, cl, machine, old)
	}
	for m := range c.load.cluster.Machines {
		if knows, err := c.knows(ctx, cl, m, id); err == nil && knows && c.committedNothing(ctx, cl, m) {
			c.commit(ctx, cl, m)
			return // another one that coordinates the group from now on has the offset, and rightly
		}
	}
}

// knows tells whether the topic has this id for a machine. From then on it must not have an older one.
func (c *churner) knows(ctx context.Context, cl *kgo.Client, machine int, id [16]byte) (bool, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &c.name
	req.Topics, req.AllowAutoTopicCreation = append(req.Topics, t), false
	resp, err := ask[*kmsg.MetadataResponse](ctx, cl, machine, req)
	return err == nil && len(resp.Topics) == 1 && resp.Topics[0].TopicID == id, err
}

// refused judges the answer to who speaks of a topic that is no more.
func (c *churner) refused(what string, machine int, old [16]byte, code int16) {
	err := kerr.ErrorForCode(code)
	c.load.op("%s to %x, at %d: %v", what, old, machine+1, err)
	if err != kerr.UnknownTopicID && err != kerr.InconsistentTopicID {
		c.load.tell("%s answers a %s to %x, which was %s before: %v", c.load.cluster.Machines[machine].Name, what, old, c.name, err)
	}
}

func (c *churner) produceTo(ctx context.Context, cl *kgo.Client, machine int, old [16]byte) {
	resp, err := ask[*kmsg.ProduceResponse](ctx, cl, machine, produceRequest(c.name, old, 0, fmt.Appendf(nil, "for %x", old)))
	if err == nil {
		c.refused("Produce", machine, old, resp.Topics[0].Partitions[0].ErrorCode)
	}
}

func (c *churner) fetchFrom(ctx context.Context, cl *kgo.Client, machine int, old [16]byte) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Topic, t.TopicID, t.Partitions = c.name, old, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := ask[*kmsg.FetchResponse](ctx, cl, machine, req)
	switch {
	case err != nil:
	case len(resp.Topics) == 0:
		c.refused("Fetch", machine, old, resp.ErrorCode)
	default:
		p := resp.Topics[0].Partitions[0]
		c.refused("Fetch", machine, old, p.ErrorCode)
		if len(p.RecordBatches) > 0 {
			c.load.tell("%d bytes of a topic that was deleted", len(p.RecordBatches))
		}
	}
}

func (c *churner) groupName() string { return c.name + "-group-" + strconv.Itoa(c.group) }

// committedNothing tells whether a machine coordinates the group; then it must know of no offset.
func (c *churner) committedNothing(ctx context.Context, cl *kgo.Client, machine int) bool {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = c.name, []int32{0}
	g.Group, g.Topics = c.groupName(), append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp, err := ask[*kmsg.OffsetFetchResponse](ctx, cl, machine, req)
	if err != nil || resp.Groups[0].ErrorCode != 0 {
		return false
	}
	p := resp.Groups[0].Topics[0].Partitions[0]
	if p.ErrorCode == 0 && p.Offset >= 0 {
		c.load.tell("%s has offset %d for a topic that has just been made again", c.groupName(), p.Offset)
	}
	return p.ErrorCode == 0
}

// commit commits an offset for the topic that there is now.
func (c *churner) commit(ctx context.Context, cl *kgo.Client, machine int) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = c.groupName(), -1
	t := kmsg.NewOffsetCommitRequestTopic()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = 3
	t.Topic, t.Partitions = c.name, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := ask[*kmsg.OffsetCommitResponse](ctx, cl, machine, req)
	c.load.op("commit for %s at %d: %v", c.groupName(), machine+1, err)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		c.group++
	}
}

// remake kills machines while topics are made again under the same names, faster than in other scenarios.
func (r *Run) remake(times int) {
	for _, name := range []string{churned + "-a", churned + "-b"} {
		r.Load.begin(func(rng *rand.Rand) { r.Load.churn(r.Load.work, rng, r.Load.host[2], name) })
	}
	r.repeat(times, func() {
		if m := r.Pick(); chance(r.Rand, 3) {
			r.powerLoss(m)
		} else {
			r.crash(m, m.Kill)
		}
	})
}
