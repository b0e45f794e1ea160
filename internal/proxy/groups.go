package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// What is asked about groups is asked of their coordinators, which are the leaders of the groups' partitions.

// ofGroup asks a group's coordinator, at once: a member that says that it leaves, and does, has left.
func (r *call) ofGroup(ctx context.Context, group string) (broker.Finish, error) {
	sent, err := r.send(ctx, r.coordinator(group), r.req)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) wire.Response {
		resp, err := sent.Wait(ctx)
		if err != nil {
			return lost{err}
		}
		return wire.Message(resp)
	}, nil
}

// groupOf returns the one group that a request is about, false when it is about another number of them.
func groupOf(req kmsg.Request) (group string, only bool) {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		return req.Group, true
	case *kmsg.OffsetFetchRequest:
		return req.Group, req.Version < offsetFetchGroupsVersion
	case *kmsg.JoinGroupRequest:
		return req.Group, true
	case *kmsg.HeartbeatRequest:
		return req.Group, true
	case *kmsg.LeaveGroupRequest:
		return req.Group, true
	case *kmsg.SyncGroupRequest:
		return req.Group, true
	case *kmsg.OffsetDeleteRequest:
		return req.Group, true
	}
	return "", false
}

// offsetFetchGroupsVersion is the first version of OffsetFetch that names several groups.
const offsetFetchGroupsVersion = 8

func (r *call) offsetFetch(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.OffsetFetchRequest)
	return list[kmsg.OffsetFetchRequestGroup, kmsg.OffsetFetchResponseGroup]{
		elements: &req.Groups,
		node:     func(g *kmsg.OffsetFetchRequestGroup) cluster.NodeID { return r.coordinator(g.Group) },
		answers: func(resp kmsg.Response) *[]kmsg.OffsetFetchResponseGroup {
			return &resp.(*kmsg.OffsetFetchResponse).Groups
		},
	}.ask(ctx, r)
}

func (r *call) describeGroups(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DescribeGroupsRequest)
	return list[string, kmsg.DescribeGroupsResponseGroup]{
		elements: &req.Groups,
		node:     func(g *string) cluster.NodeID { return r.coordinator(*g) },
		answers: func(resp kmsg.Response) *[]kmsg.DescribeGroupsResponseGroup {
			return &resp.(*kmsg.DescribeGroupsResponse).Groups
		},
	}.ask(ctx, r)
}

func (r *call) deleteGroups(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DeleteGroupsRequest)
	return list[string, kmsg.DeleteGroupsResponseGroup]{
		elements: &req.Groups,
		node:     func(g *string) cluster.NodeID { return r.coordinator(*g) },
		answers: func(resp kmsg.Response) *[]kmsg.DeleteGroupsResponseGroup {
			return &resp.(*kmsg.DeleteGroupsResponse).Groups
		},
	}.ask(ctx, r)
}

// listGroups asks every broker that lives. When one cannot be asked the reply says so beside what the others have: the
// client asks again.
func (r *call) listGroups(ctx context.Context) (kmsg.Response, error) {
	answers, unreachable, err := askAll[*kmsg.ListGroupsResponse](ctx, r, func() kmsg.Request {
		part := *r.req.(*kmsg.ListGroupsRequest)
		return &part
	})
	if err != nil {
		return nil, err
	}
	merged := kmsg.NewPtrListGroupsResponse()
	merged.Version = r.header.Version
	if unreachable {
		merged.ErrorCode = wire.CoordinatorNotAvailable.Code()
	}
	for _, answer := range answers {
		if answer.ErrorCode != 0 {
			merged.ErrorCode = answer.ErrorCode
		}
		merged.Groups = append(merged.Groups, answer.Groups...)
	}
	return merged, nil
}
