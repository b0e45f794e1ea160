package controller

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// The kinds of elections that an operator can ask for.
const (
	preferredElection = 0
	uncleanElection   = 1
)

// electLeaders serves ElectLeaders (KIP-183, KIP-460). Null for the topics asks for all partitions, and answers for those
// that need an election. More than changesMax changes are not made at once: the rest is told to ask again.
func (m *Machine) electLeaders(img *cluster.Image, req *kmsg.ElectLeadersRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	b := m.brokers(img)
	e := election{brokers: &b, img: img, kind: req.ElectionType, done: make(map[partitionKey]bool)}
	if e.kind != preferredElection && e.kind != uncleanElection {
		resp.ErrorCode = wire.InvalidRequest.Code()
	}
	if req.Topics == nil {
		for t := range img.Topics() {
			rt := kmsg.NewElectLeadersResponseTopic()
			rt.Topic = t.Name
			for i := range t.Partitions {
				if rp := e.answer(t.Name, int32(i)); rp.ErrorCode != wire.ElectionNotNeeded.Code() {
					rt.Partitions = append(rt.Partitions, rp)
				}
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, e.changes
	}
	for i := range req.Topics {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			rt.Partitions = append(rt.Partitions, e.answer(rt.Topic, index))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp, e.changes
}

// election is one request, while it is answered.
type election struct {
	brokers *brokers
	img     *cluster.Image
	kind    int8
	done    map[partitionKey]bool
	changes []cluster.Change
}

func (e *election) answer(topic string, index int32) kmsg.ElectLeadersResponseTopicPartition {
	rp := kmsg.NewElectLeadersResponseTopicPartition()
	rp.Partition = index
	if why := e.hold(topic, index); why != nil {
		rp.ErrorCode, rp.ErrorMessage = why.code.Code(), why.message()
	}
	return rp
}

// hold adds the change that elects another leader, or tells why there is none.
func (e *election) hold(topic string, index int32) *refusal {
	if e.kind != preferredElection && e.kind != uncleanElection {
		return &refusal{wire.InvalidRequest, fmt.Sprintf("Unknown election type %d", e.kind)}
	}
	t, ok := e.img.Topic(topic)
	if !ok {
		return &refusal{wire.UnknownTopicOrPartition, "No such topic as " + topic}
	}
	if index < 0 || int(index) >= len(t.Partitions) {
		return &refusal{wire.UnknownTopicOrPartition, fmt.Sprintf("No such partition as %s-%d", topic, index)}
	}
	p, r := &t.Partitions[index], e.brokers.rules(t)
	key, led := partitionKey{t.ID, index}, p.Leader != cluster.NoLeader && r.standing(p.Leader) != dead
	switch {
	case e.kind == preferredElection && led && p.Leader == p.Replicas[0], e.kind == uncleanElection && led, e.done[key]:
		return &refusal{wire.ElectionNotNeeded, "Leader election not needed for topic partition."}
	case len(e.changes) == changesMax:
		return &refusal{wire.RequestTimedOut, "Too many elections at once: ask again for the rest."}
	}
	wanted := *p
	r.Unclean = r.Unclean || e.kind == uncleanElection
	if e.kind == preferredElection && r.prefers(p) {
		wanted.Leader = p.Replicas[0]
	}
	next, changed := r.settle(p, wanted)
	switch {
	case changed && next.Leader != p.Leader && next.Leader != cluster.NoLeader:
		e.done[key] = true
		e.changes = append(e.changes, cluster.ChangePartition{TopicID: t.ID, Index: index, Partition: next})
		return nil
	case e.kind == preferredElection:
		return &refusal{wire.PreferredLeaderNotAvailable, "The preferred leader was not available."}
	}
	return &refusal{wire.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."}
}
