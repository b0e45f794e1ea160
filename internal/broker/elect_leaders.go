package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// ElectLeaders, versions 0 to 2 (KIP-183, KIP-460): an operator asks for the preferred leaders, or from v1 on for any.
//
// The controller elects by itself, as soon as a replica may lead: what has the leader that is asked for needs no
// election, and what has not cannot have it now. Null for the topics asks for all that need one.

const (
	preferredElection = 0
	uncleanElection   = 1
)

func (b *Broker) electLeaders(_ context.Context, _ *Request, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrElectLeadersResponse()
	kind := req.ElectionType
	if kind != preferredElection && kind != uncleanElection {
		resp.ErrorCode = wire.InvalidRequest.Code()
	}
	if req.Topics == nil {
		for t := range img.Topics() {
			rt := kmsg.NewElectLeadersResponseTopic()
			rt.Topic = t.Name
			for i := range t.Partitions {
				if rp := electLeader(img, kind, t.Name, int32(i)); rp.ErrorCode != wire.ElectionNotNeeded.Code() {
					rt.Partitions = append(rt.Partitions, rp)
				}
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp
	}
	for i := range req.Topics {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			rt.Partitions = append(rt.Partitions, electLeader(img, kind, rt.Topic, index))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func electLeader(img *cluster.Image, kind int8, topic string, index int32) kmsg.ElectLeadersResponseTopicPartition {
	rp := kmsg.NewElectLeadersResponseTopicPartition()
	rp.Partition = index
	code, text := election(img, kind, topic, index)
	rp.ErrorCode, rp.ErrorMessage = code.Code(), &text
	return rp
}

// election tells why no election of a partition's leader is held.
func election(img *cluster.Image, kind int8, topic string, index int32) (wire.Error, string) {
	if kind != preferredElection && kind != uncleanElection {
		return wire.InvalidRequest, fmt.Sprintf("Unknown election type %d", kind)
	}
	t, ok := img.Topic(topic)
	if !ok {
		return wire.UnknownTopicOrPartition, "No such topic as " + topic
	}
	if index < 0 || int(index) >= len(t.Partitions) {
		return wire.UnknownTopicOrPartition, fmt.Sprintf("No such partition as %s-%d", topic, index)
	}
	p := &t.Partitions[index]
	switch {
	case kind == preferredElection && p.Leader == p.Replicas[0], kind == uncleanElection && p.Leader != cluster.NoLeader:
		return wire.ElectionNotNeeded, "Leader election not needed for topic partition."
	case kind == preferredElection:
		return wire.PreferredLeaderNotAvailable, "The preferred leader was not available."
	}
	return wire.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."
}
