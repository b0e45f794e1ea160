package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// deleteTopics serves DeleteTopics. v6 takes ids as well as names. A topic named twice, in whatever way, is not deleted.
func (m *Machine) deleteTopics(img *cluster.Image, req *kmsg.DeleteTopicsRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := req.Topics
	if req.Version < 6 {
		asked = make([]kmsg.DeleteTopicsRequestTopic, len(req.TopicNames))
		for i := range asked {
			asked[i].Topic = &req.TopicNames[i]
		}
	}
	var disabled *refusal
	if m.cfg.NoTopicDeletion {
		disabled = &refusal{wire.TopicDeletionDisabled, wire.TopicDeletionDisabled.Message()}
		if req.Version < 3 {
			disabled = &refusal{wire.InvalidRequest, "Topic deletion is disabled."}
		}
	}
	topics, refused := find(img, asked)
	var changes []cluster.Change
	for i := range asked {
		why := refused[i]
		if why == nil {
			why = disabled
		}
		result := kmsg.NewDeleteTopicsResponseTopic()
		result.Topic, result.TopicID = asked[i].Topic, asked[i].TopicID
		if topics[i] != nil {
			result.Topic, result.TopicID = &topics[i].Name, topics[i].ID
		}
		if why != nil {
			result.ErrorCode, result.ErrorMessage = why.code.Code(), why.message()
		} else {
			changes = append(changes, cluster.DeleteTopic{ID: topics[i].ID})
		}
		resp.Topics = append(resp.Topics, result)
	}
	return resp, changes
}

// find looks up the topics to delete. An entry with a refusal has no topic, unless it is of one that was named twice.
func find(img *cluster.Image, asked []kmsg.DeleteTopicsRequestTopic) ([]*cluster.Topic, []*refusal) {
	topics, refused := make([]*cluster.Topic, len(asked)), make([]*refusal, len(asked))
	first := make(map[cluster.UUID]int)
	for i := range asked {
		topics[i], refused[i] = lookUp(img, &asked[i])
		if refused[i] != nil {
			continue
		}
		before, twice := first[topics[i].ID]
		if !twice {
			first[topics[i].ID] = i
			continue
		}
		text := "Duplicate topic name."
		switch byName := asked[i].Topic != nil; {
		case byName != (asked[before].Topic != nil):
			text = "The provided topic name maps to an ID that was already supplied."
		case !byName:
			text = "Duplicate topic id."
		}
		refused[i] = &refusal{wire.InvalidRequest, text}
		refused[before] = refused[i]
	}
	return topics, refused
}

func lookUp(img *cluster.Image, t *kmsg.DeleteTopicsRequestTopic) (*cluster.Topic, *refusal) {
	named, identified := t.Topic != nil, t.TopicID != cluster.ZeroUUID
	switch {
	case named && identified:
		return nil, &refusal{wire.InvalidRequest, "You may not specify both topic name and topic id."}
	case !named && !identified:
		return nil, &refusal{wire.InvalidRequest, "Neither topic name nor id were specified."}
	case named:
		if topic, ok := img.Topic(*t.Topic); ok {
			return topic, nil
		}
		return nil, &refusal{wire.UnknownTopicOrPartition, wire.UnknownTopicOrPartition.Message()}
	}
	if topic, ok := img.TopicByID(t.TopicID); ok {
		return topic, nil
	}
	return nil, &refusal{wire.UnknownTopicID, wire.UnknownTopicID.Message()}
}
