package group

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeGroups, versions 0 to 6. A group that does not exist is Dead; from 6 it is GROUP_ID_NOT_FOUND besides
// (KIP-1043). Metadata and assignments are shown while the group is Stable. A group that is named again and again is
// INVALID_REQUEST in the end.
func (m *Machine) describeGroups(req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, 0, len(req.Groups))
	var described wire.Repeats[string] // of what there is, so that it is no larger than that
	for _, id := range req.Groups {
		one := kmsg.NewDescribeGroupsResponseGroup()
		switch g := m.groups[id]; {
		case g == nil:
			one.Group, one.State = id, Dead.String()
			if req.Version >= 6 {
				one.ErrorCode = kerr.GroupIDNotFound.Code
				one.ErrorMessage = ptr(fmt.Sprintf("Group %s not found.", id))
			}
		case described.TooMany(id):
			one.Group, one.ErrorCode = id, kerr.InvalidRequest.Code
		default:
			one = g.describe()
		}
		resp.Groups = append(resp.Groups, one)
	}
	return resp
}

func (g *group) describe() kmsg.DescribeGroupsResponseGroup {
	one := kmsg.NewDescribeGroupsResponseGroup()
	one.Group, one.State, one.ProtocolType = g.id, g.state.String(), g.protocolType
	if g.state == Stable {
		one.Protocol = g.protocol
	}
	for _, mem := range g.members {
		dm := kmsg.NewDescribeGroupsResponseGroupMember()
		dm.MemberID, dm.InstanceID = mem.id, mem.instance
		dm.ClientID, dm.ClientHost = mem.clientID, mem.clientHost
		if g.state == Stable {
			dm.ProtocolMetadata, dm.MemberAssignment = mem.metadata(g.protocol), mem.assignment
		}
		one.Members = append(one.Members, dm)
	}
	return one
}

// ListGroups, versions 0 to 5. From 4 the states, from 5 the types can be filtered, in any case.
func (m *Machine) listGroups(req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	const classic = "classic"
	resp := kmsg.NewPtrListGroupsResponse()
	if !passes(req.TypesFilter, classic) {
		return resp
	}
	for _, id := range m.groupIDs() {
		g := m.groups[id]
		if !passes(req.StatesFilter, g.state.String()) {
			continue
		}
		one := kmsg.NewListGroupsResponseGroup()
		one.Group, one.ProtocolType = id, g.protocolType
		one.GroupState, one.GroupType = g.state.String(), classic
		resp.Groups = append(resp.Groups, one)
	}
	return resp
}

func passes(filter []string, value string) bool {
	return len(filter) == 0 ||
		slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(strings.TrimSpace(f), value) })
}

// DeleteGroups, versions 0 to 2: groups without members, with their offsets.
func (m *Machine) deleteGroups(req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	deleted := make(map[string]bool) // but still there, until the records are replayed
	for _, id := range req.Groups {
		one := kmsg.NewDeleteGroupsResponseGroup()
		one.Group = id
		err := kerr.GroupIDNotFound
		if !deleted[id] {
			err = m.deleteGroup(id)
		}
		if err == nil {
			deleted[id] = true
		}
		one.ErrorCode = codeOf(err)
		resp.Groups = append(resp.Groups, one)
	}
	return resp
}

func (m *Machine) deleteGroup(id string) *kerr.Error {
	g := m.groups[id]
	switch {
	case g == nil:
		return kerr.GroupIDNotFound
	case g.state != Empty:
		return kerr.NonEmptyGroup
	}
	g.eachOffset(func(topic string, partition int32, _ committed) {
		m.write(offsetTombstone(id, topic, partition))
	})
	m.write(groupTombstone(id)) // also of a group that has no record: a log taken over may hold an older one
	return nil
}

// OffsetDelete, version 0. Offsets of a topic that a member subscribes to stay.
func (m *Machine) offsetDelete(req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	g := m.groups[req.Group]
	switch {
	case req.Group == "":
		resp.ErrorCode = kerr.InvalidGroupID.Code
	case g == nil:
		resp.ErrorCode = kerr.GroupIDNotFound.Code
	case g.state != Empty && g.protocolType != consumerProtocolType:
		resp.ErrorCode = kerr.NonEmptyGroup.Code
	default:
		for _, t := range req.Topics {
			resp.Topics = append(resp.Topics, m.deleteOffsets(g, t))
		}
	}
	return resp
}

func (m *Machine) deleteOffsets(g *group, t kmsg.OffsetDeleteRequestTopic) kmsg.OffsetDeleteResponseTopic {
	rt := kmsg.OffsetDeleteResponseTopic{Topic: t.Topic}
	for _, p := range t.Partitions {
		rp := kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition}
		_, exists := g.offsets[t.Topic][p.Partition]
		switch {
		case g.subscribes(t.Topic):
			rp.ErrorCode = kerr.GroupSubscribedToTopic.Code
		case exists:
			m.write(offsetTombstone(g.id, t.Topic, p.Partition))
		}
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt
}
