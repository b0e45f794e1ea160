package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// What is asked about groups is asked of their coordinators, which are the leaders of the groups' partitions.

// ofGroup asks a group's coordinator.
func (r *call) ofGroup(ctx context.Context) (kmsg.Response, error) {
	return r.ask(ctx, r.coordinator(groupOf(r.req)), r.req)
}

// groupOf returns the group that a request is about.
func groupOf(req kmsg.Request) string {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		return req.Group
	case *kmsg.OffsetFetchRequest:
		return req.Group
	case *kmsg.JoinGroupRequest:
		return req.Group
	case *kmsg.HeartbeatRequest:
		return req.Group
	case *kmsg.LeaveGroupRequest:
		return req.Group
	case *kmsg.SyncGroupRequest:
		return req.Group
	case *kmsg.OffsetDeleteRequest:
		return req.Group
	}
	return ""
}

// offsetFetchGroupsVersion is the first version of OffsetFetch that names several groups.
const offsetFetchGroupsVersion = 8

func (r *call) offsetFetch(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.OffsetFetchRequest)
	if req.Version < offsetFetchGroupsVersion {
		return r.ofGroup(ctx)
	}
	return list[kmsg.OffsetFetchRequestGroup, kmsg.OffsetFetchResponseGroup]{
		node: func(g *kmsg.OffsetFetchRequestGroup) cluster.NodeID { return r.coordinator(g.Group) },
		request: func(groups []kmsg.OffsetFetchRequestGroup) kmsg.Request {
			part := *req
			part.Groups = groups
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.OffsetFetchResponseGroup {
			return &resp.(*kmsg.OffsetFetchResponse).Groups
		},
	}.ask(ctx, r, req.Groups)
}

func (r *call) describeGroups(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DescribeGroupsRequest)
	return list[string, kmsg.DescribeGroupsResponseGroup]{
		node: func(g *string) cluster.NodeID { return r.coordinator(*g) },
		request: func(groups []string) kmsg.Request {
			part := *req
			part.Groups = groups
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.DescribeGroupsResponseGroup {
			return &resp.(*kmsg.DescribeGroupsResponse).Groups
		},
	}.ask(ctx, r, req.Groups)
}

func (r *call) deleteGroups(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DeleteGroupsRequest)
	return list[string, kmsg.DeleteGroupsResponseGroup]{
		node: func(g *string) cluster.NodeID { return r.coordinator(*g) },
		request: func(groups []string) kmsg.Request {
			part := *req
			part.Groups = groups
			return &part
		},
		answers: func(resp kmsg.Response) *[]kmsg.DeleteGroupsResponseGroup {
			return &resp.(*kmsg.DeleteGroupsResponse).Groups
		},
	}.ask(ctx, r, req.Groups)
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
