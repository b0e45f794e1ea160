package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit, versions 0 to 10. Partitions that do not exist are refused one by one; from 10 topics are named by id
// alone. The id of every topic is stored with its offsets, so that they do not count for another topic of its name.
func (g *Groups) OffsetCommit(ctx context.Context, client Client, req *kmsg.OffsetCommitRequest) func(context.Context) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Version = req.Version
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	valid := *req
	valid.Topics = nil
	var places []*kmsg.OffsetCommitResponseTopicPartition // of the valid partitions, in order
	for i, t := range req.Topics {
		topic, code := g.resolve(t.Topic, t.TopicID, req.Version >= 10)
		rt := &resp.Topics[i]
		rt.Topic, rt.TopicID = topic.Name, topic.ID
		rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		vt := kmsg.OffsetCommitRequestTopic{Topic: topic.Name, TopicID: topic.ID}
		for j, p := range t.Partitions {
			rp := &rt.Partitions[j]
			rp.Partition, rp.ErrorCode = p.Partition, topic.codeFor(p.Partition, code)
			if rp.ErrorCode == 0 {
				vt.Partitions = append(vt.Partitions, p)
				places = append(places, rp)
			}
		}
		if len(vt.Partitions) > 0 {
			valid.Topics = append(valid.Topics, vt)
		}
	}
	if len(places) == 0 {
		return func(context.Context) *kmsg.OffsetCommitResponse { return resp }
	}
	finish := ask(ctx, g, req.Group, client, &valid, func(code int16) *kmsg.OffsetCommitResponse {
		return commitRefused(&valid, code)
	})
	return func(ctx context.Context) *kmsg.OffsetCommitResponse {
		for _, t := range finish(ctx).Topics {
			for _, p := range t.Partitions {
				places[0].ErrorCode = p.ErrorCode
				places = places[1:]
			}
		}
		return resp
	}
}

func commitRefused(req *kmsg.OffsetCommitRequest, code int16) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range req.Topics {
		var rt kmsg.OffsetCommitResponseTopic
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// resolve finds a topic by its name or its id. For one that does not exist it returns what the request said, and the
// error for each of its partitions.
func (g *Groups) resolve(name string, id [16]byte, byID bool) (Topic, int16) {
	if byID {
		if t, ok := g.cfg.Topics.TopicByID(id); ok {
			return t, 0
		}
		return Topic{ID: id}, kerr.UnknownTopicID.Code
	}
	if t, ok := g.cfg.Topics.Topic(name); ok {
		return t, 0
	}
	return Topic{Name: name}, kerr.UnknownTopicOrPartition.Code
}

func (t Topic) codeFor(partition int32, topicCode int16) int16 {
	if topicCode == 0 && (partition < 0 || partition >= t.Partitions) {
		return kerr.UnknownTopicOrPartition.Code
	}
	return topicCode
}

// OffsetDelete, version 0.
func (g *Groups) OffsetDelete(ctx context.Context, client Client, req *kmsg.OffsetDeleteRequest) func(context.Context) *kmsg.OffsetDeleteResponse {
	valid := *req
	valid.Topics = nil
	var unknown []kmsg.OffsetDeleteResponseTopic
	for _, t := range req.Topics {
		topic, code := g.resolve(t.Topic, [16]byte{}, false)
		known, rt := t, kmsg.OffsetDeleteResponseTopic{Topic: t.Topic}
		known.Partitions = nil
		for _, p := range t.Partitions {
			if topic.codeFor(p.Partition, code) == 0 {
				known.Partitions = append(known.Partitions, p)
			} else {
				rt.Partitions = append(rt.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.UnknownTopicOrPartition.Code})
			}
		}
		if len(known.Partitions) > 0 {
			valid.Topics = append(valid.Topics, known)
		}
		if len(rt.Partitions) > 0 {
			unknown = append(unknown, rt)
		}
	}
	finish := ask(ctx, g, req.Group, client, &valid, func(code int16) *kmsg.OffsetDeleteResponse {
		resp := kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = code
		return resp
	})
	return func(ctx context.Context) *kmsg.OffsetDeleteResponse {
		resp := finish(ctx)
		if resp.ErrorCode == 0 {
			resp.Topics = append(resp.Topics, unknown...)
		}
		return resp
	}
}
