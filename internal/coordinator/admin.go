package coordinator

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeGroups, versions 0 to 6. Each group is asked of its own shard, and fails alone. One that is named again and again is
// INVALID_REQUEST in the end.
func (g *Groups) DescribeGroups(ctx context.Context, client Client, req *kmsg.DescribeGroupsRequest) func(context.Context) *kmsg.DescribeGroupsResponse {
	finishes := make([]func(context.Context) *kmsg.DescribeGroupsResponse, len(req.Groups))
	var described wire.Repeats[string]
	for i, id := range req.Groups {
		refuse := func(code int16) *kmsg.DescribeGroupsResponse {
			failed := kmsg.NewDescribeGroupsResponseGroup()
			failed.Group, failed.ErrorCode = id, code
			resp := kmsg.NewPtrDescribeGroupsResponse()
			resp.Groups = []kmsg.DescribeGroupsResponseGroup{failed}
			return resp
		}
		if described.TooMany(id) {
			finishes[i] = func(context.Context) *kmsg.DescribeGroupsResponse { return refuse(kerr.InvalidRequest.Code) }
			continue
		}
		one := *req
		one.Groups = []string{id}
		finishes[i] = ask(ctx, g, id, client, &one, refuse)
	}
	return func(ctx context.Context) *kmsg.DescribeGroupsResponse {
		resp := kmsg.NewPtrDescribeGroupsResponse()
		resp.Version = req.Version
		for _, finish := range finishes {
			resp.Groups = append(resp.Groups, finish(ctx).Groups...)
		}
		return resp
	}
}

// DeleteGroups, versions 0 to 2. Each group is deleted, or not, for itself.
func (g *Groups) DeleteGroups(ctx context.Context, client Client, req *kmsg.DeleteGroupsRequest) func(context.Context) *kmsg.DeleteGroupsResponse {
	finishes := make([]func(context.Context) *kmsg.DeleteGroupsResponse, len(req.Groups))
	for i, id := range req.Groups {
		one := *req
		one.Groups = []string{id}
		finishes[i] = ask(ctx, g, id, client, &one, func(code int16) *kmsg.DeleteGroupsResponse {
			failed := kmsg.NewDeleteGroupsResponseGroup()
			failed.Group, failed.ErrorCode = id, code
			resp := kmsg.NewPtrDeleteGroupsResponse()
			resp.Groups = []kmsg.DeleteGroupsResponseGroup{failed}
			return resp
		})
	}
	return func(ctx context.Context) *kmsg.DeleteGroupsResponse {
		resp := kmsg.NewPtrDeleteGroupsResponse()
		resp.Version = req.Version
		for _, finish := range finishes {
			resp.Groups = append(resp.Groups, finish(ctx).Groups...)
		}
		return resp
	}
}

// ListGroups, versions 0 to 5: the groups of all partitions led here. A client asks every broker and joins the answers,
// so a partition that is not led any more is left out; one that is loading fails the whole, for what it holds is unknown.
func (g *Groups) ListGroups(ctx context.Context, client Client, req *kmsg.ListGroupsRequest) func(context.Context) *kmsg.ListGroupsResponse {
	var calls []*call
	var failed error
	for _, partition := range g.held() {
		c, err := g.submit(ctx, partition, client, req)
		if err == nil {
			calls = append(calls, c)
		} else if !errors.Is(err, ErrNotLeader) {
			failed = err
		}
	}
	return func(ctx context.Context) *kmsg.ListGroupsResponse {
		resp := kmsg.NewPtrListGroupsResponse()
		resp.Version = req.Version
		for _, c := range calls {
			part, err := c.wait(ctx)
			if err == nil {
				resp.Groups = append(resp.Groups, part.(*kmsg.ListGroupsResponse).Groups...)
			} else if !errors.Is(err, ErrNotLeader) {
				failed = err
			}
		}
		if failed != nil {
			resp.Groups, resp.ErrorCode = nil, codeOf(failed)
		}
		return resp
	}
}
