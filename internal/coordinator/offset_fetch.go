package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// OffsetFetch, versions 0 to 10. Up to 7 it asks for one group, from 8 for several, from 10 by topic id. A null list of
// topics, from 2, asks for all. A group that is named again and again is INVALID_REQUEST in the end. What is not committed
// is offset -1 without an error; only version 0, which read ZooKeeper, answers UNKNOWN_TOPIC_OR_PARTITION, and clients of
// its time take -1 without it for an offset.
//
// What passes is NOT_COORDINATOR here, as by Kafka: consumers before 3.9 take COORDINATOR_NOT_AVAILABLE from OffsetFetch,
// and from nothing else, for the end.
func (g *Groups) OffsetFetch(ctx context.Context, client Client, req *kmsg.OffsetFetchRequest) func(context.Context) *kmsg.OffsetFetchResponse {
	groups := req.Groups
	if req.Version < 8 {
		groups = []kmsg.OffsetFetchRequestGroup{flatToGroup(req)}
	}
	finishes := make([]func(context.Context) kmsg.OffsetFetchResponseGroup, len(groups))
	var fetched wire.Repeats[string]
	for i, rg := range groups {
		if fetched.TooMany(rg.Group) {
			finishes[i] = func(context.Context) kmsg.OffsetFetchResponseGroup {
				return fetchRefused(rg, req.Version, kerr.InvalidRequest.Code)
			}
			continue
		}
		finishes[i] = g.fetchGroup(ctx, client, req, rg)
	}
	return func(ctx context.Context) *kmsg.OffsetFetchResponse {
		resp := kmsg.NewPtrOffsetFetchResponse()
		resp.Version = req.Version
		for _, finish := range finishes {
			resp.Groups = append(resp.Groups, finish(ctx))
		}
		if req.Version < 8 {
			groupToFlat(resp)
		}
		return resp
	}
}

func (g *Groups) fetchGroup(ctx context.Context, client Client, req *kmsg.OffsetFetchRequest, rg kmsg.OffsetFetchRequestGroup) func(context.Context) kmsg.OffsetFetchResponseGroup {
	byID := req.Version >= 10
	codes := make([]int16, len(rg.Topics))
	asked := rg
	if rg.Topics != nil {
		asked.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(rg.Topics))
	}
	for i, t := range rg.Topics {
		topic, code := g.resolve(t.Topic, t.TopicID, byID)
		if byID {
			codes[i] = code // an unknown name is only an offset that nobody has committed
		}
		asked.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: topic.Name, TopicID: topic.ID, Partitions: t.Partitions}
	}
	one := kmsg.NewPtrOffsetFetchRequest()
	one.Version, one.RequireStable = 8, req.RequireStable
	one.Groups = []kmsg.OffsetFetchRequestGroup{asked}
	finish := ask(ctx, g, rg.Group, client, one, func(code int16) *kmsg.OffsetFetchResponse {
		if code == kerr.CoordinatorNotAvailable.Code {
			code = kerr.NotCoordinator.Code
		}
		resp := kmsg.NewPtrOffsetFetchResponse()
		resp.Groups = []kmsg.OffsetFetchResponseGroup{fetchRefused(asked, req.Version, code)}
		return resp
	})
	return func(ctx context.Context) kmsg.OffsetFetchResponseGroup {
		group := finish(ctx).Groups[0]
		if rg.Topics == nil {
			group.Topics = g.onlyPresent(group.Topics, byID)
			return group
		}
		for i := range group.Topics {
			if codes[i] != 0 {
				setCodes(&group.Topics[i], codes[i])
			}
		}
		return group
	}
}

// onlyPresent drops offsets of topics that were made again since, and by id those of topics that are no more.
func (g *Groups) onlyPresent(topics []kmsg.OffsetFetchResponseGroupTopic, byID bool) []kmsg.OffsetFetchResponseGroupTopic {
	kept := topics[:0]
	for _, t := range topics {
		topic, exists := g.cfg.Topics.Topic(t.Topic)
		if !exists && byID || exists && t.TopicID != [16]byte{} && t.TopicID != topic.ID {
			continue
		}
		t.TopicID = topic.ID
		kept = append(kept, t)
	}
	return kept
}

func setCodes(t *kmsg.OffsetFetchResponseGroupTopic, code int16) {
	for i := range t.Partitions {
		t.Partitions[i].ErrorCode = code
	}
}

// fetchRefused is a group's error; versions 0 and 1 have no place for it but the partitions.
func fetchRefused(rg kmsg.OffsetFetchRequestGroup, version, code int16) kmsg.OffsetFetchResponseGroup {
	group := kmsg.NewOffsetFetchResponseGroup()
	group.Group, group.ErrorCode = rg.Group, code
	if version >= 2 {
		return group
	}
	for _, t := range rg.Topics {
		rt := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
		for _, partition := range t.Partitions {
			p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			p.Partition, p.Offset, p.Metadata, p.ErrorCode = partition, -1, new(string), code
			rt.Partitions = append(rt.Partitions, p)
		}
		group.Topics = append(group.Topics, rt)
	}
	return group
}

func flatToGroup(req *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = req.Group
	if req.Topics == nil && req.Version >= 2 {
		return rg
	}
	rg.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
	for i, t := range req.Topics {
		rg.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions}
	}
	return rg
}

func groupToFlat(resp *kmsg.OffsetFetchResponse) {
	group := resp.Groups[0]
	resp.Groups, resp.ErrorCode = nil, group.ErrorCode
	for _, t := range group.Topics {
		rt := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			rp := kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, ErrorCode: p.ErrorCode,
			}
			if resp.Version == 0 && p.Offset == -1 && p.ErrorCode == 0 {
				rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
}
