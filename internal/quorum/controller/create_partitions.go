package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// createPartitions serves CreatePartitions. New partitions have as many replicas as the topic's first one. An internal topic
// gets none, which Kafka allows (KAFKA-14418).
func (m *Machine) createPartitions(img *cluster.Image, req *kmsg.CreatePartitionsRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	names := make([]string, len(req.Topics))
	for i := range req.Topics {
		names[i] = req.Topics[i].Topic
	}
	once, refused := distinct(names)
	excess, sites := tooManyToAdd(img, req.Topics), newPlacement(img.Brokers())
	var changes []cluster.Change
	for _, i := range once {
		t := &req.Topics[i]
		result := kmsg.NewCreatePartitionsResponseTopic()
		result.Topic = t.Topic
		change, why := cluster.CreatePartitions{}, refused[t.Topic]
		if why == nil {
			why = excess
		}
		if why == nil {
			change, why = m.morePartitions(img, sites, t)
		}
		if why != nil {
			result.ErrorCode, result.ErrorMessage = why.code.Code(), why.message()
		} else {
			changes = append(changes, change)
		}
		resp.Topics = append(resp.Topics, result)
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, changes
}

func tooManyToAdd(img *cluster.Image, topics []kmsg.CreatePartitionsRequestTopic) *refusal {
	total := int64(0)
	for i := range topics {
		if t, ok := img.Topic(topics[i].Topic); ok {
			total += max(0, int64(topics[i].Count)-int64(len(t.Partitions)))
		}
	}
	return tooMany(total)
}

func (m *Machine) morePartitions(img *cluster.Image, sites *placement, t *kmsg.CreatePartitionsRequestTopic) (cluster.CreatePartitions, *refusal) {
	var change cluster.CreatePartitions
	topic, ok := img.Topic(t.Topic)
	if !ok {
		return change, &refusal{wire.UnknownTopicOrPartition, wire.UnknownTopicOrPartition.Message()}
	}
	have := len(topic.Partitions)
	more := int(t.Count) - have
	switch {
	case more == 0:
		return change, &refusal{wire.InvalidPartitions, fmt.Sprintf("Topic already has %d partition(s).", have)}
	case more < 0:
		return change, &refusal{wire.InvalidPartitions, fmt.Sprintf("The topic %s currently has %d partition(s); %d would "+
			"not be an increase.", t.Topic, have, t.Count)}
	case topic.Internal:
		return change, &refusal{wire.InvalidPartitions, fmt.Sprintf("The number of partitions of %s cannot be changed: it says "+
			"in which of them each group is, and what groups have committed would not be found.", t.Topic)}
	case int(t.Count) > cluster.PartitionsMax:
		return change, &refusal{wire.InvalidPartitions, fmt.Sprintf("A topic has at most %d partitions.", cluster.PartitionsMax)}
	}
	assigned, why := m.assignMore(img, sites, t, more, len(topic.Partitions[0].Replicas))
	if why != nil {
		return change, why
	}
	change.TopicID, change.First = topic.ID, int32(have)
	for i, replicas := range assigned {
		p, ok := newPartition(img, replicas)
		if !ok {
			return change, &refusal{wire.InvalidReplicaAssignment, fmt.Sprintf("All brokers specified in the manual "+
				"partition assignment for partition %d are fenced or in controlled shutdown.", have+i)}
		}
		change.Partitions = append(change.Partitions, p)
	}
	return change, nil
}

func (m *Machine) assignMore(img *cluster.Image, sites *placement, t *kmsg.CreatePartitionsRequestTopic, more, rf int) ([][]cluster.NodeID, *refusal) {
	if t.Assignment == nil {
		return sites.place(more, rf, m.cfg.Rand())
	}
	if len(t.Assignment) != more {
		return nil, &refusal{wire.InvalidReplicaAssignment, fmt.Sprintf("Attempted to add %d additional partition(s), but "+
			"only %d assignment(s) were specified.", more, len(t.Assignment))}
	}
	assigned := make([][]cluster.NodeID, more)
	for i := range t.Assignment {
		if why := checkAssignment(img, t.Assignment[i].Replicas, rf); why != nil {
			return nil, why
		}
		assigned[i] = slices.Clone(t.Assignment[i].Replicas)
	}
	return assigned, nil
}
