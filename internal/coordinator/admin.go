package coordinator

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// askEach asks for several groups: each shard once, for those that are its own. of makes the request for some of them, answers takes
// theirs out of a reply, and refuse makes that of one group for an error. The answers come in the order of the groups.
func askEach[R any](ctx context.Context, g *Groups, client Client, groups []string, of func(groups []string) kmsg.Request,
	answers func(kmsg.Response) []R, refuse func(group string, code int16) R,
) func(context.Context) []R {
	type part struct {
		partition int32
		groups    []string
		at        []int // where they stand among all
		call      *call
		err       error
	}
	var parts []*part
	byPartition := make(map[int32]*part)
	for i, id := range groups {
		partition, err := g.partitionOf(id)
		p := byPartition[partition]
		if p == nil {
			p = &part{partition: partition, err: err}
			byPartition[partition], parts = p, append(parts, p)
		}
		p.groups, p.at = append(p.groups, id), append(p.at, i)
	}
	for _, p := range parts {
		if p.err == nil {
			p.call, p.err = g.submit(ctx, p.partition, client, of(p.groups))
		}
	}
	return func(ctx context.Context) []R {
		all := make([]R, len(groups))
		for _, p := range parts {
			resp, err := kmsg.Response(nil), p.err
			if err == nil {
				resp, err = p.call.wait(ctx)
			}
			if err != nil {
				for k, at := range p.at {
					all[at] = refuse(p.groups[k], codeOf(err))
				}
				continue
			}
			for k, answer := range answers(resp) {
				all[p.at[k]] = answer
			}
		}
		return all
	}
}

// DescribeGroups, versions 0 to 6. Groups whose shard cannot be asked fail alone.
func (g *Groups) DescribeGroups(ctx context.Context, client Client, req *kmsg.DescribeGroupsRequest) func(context.Context) *kmsg.DescribeGroupsResponse {
	finish := askEach(ctx, g, client, req.Groups,
		func(groups []string) kmsg.Request {
			part := *req
			part.Groups = groups
			return &part
		},
		func(resp kmsg.Response) []kmsg.DescribeGroupsResponseGroup {
			return resp.(*kmsg.DescribeGroupsResponse).Groups
		},
		func(group string, code int16) kmsg.DescribeGroupsResponseGroup {
			failed := kmsg.NewDescribeGroupsResponseGroup()
			failed.Group, failed.ErrorCode = group, code
			return failed
		})
	return func(ctx context.Context) *kmsg.DescribeGroupsResponse {
		resp := kmsg.NewPtrDescribeGroupsResponse()
		resp.Version, resp.Groups = req.Version, finish(ctx)
		return resp
	}
}

// DeleteGroups, versions 0 to 2. Each group is deleted, or not, for itself.
func (g *Groups) DeleteGroups(ctx context.Context, client Client, req *kmsg.DeleteGroupsRequest) func(context.Context) *kmsg.DeleteGroupsResponse {
	finish := askEach(ctx, g, client, req.Groups,
		func(groups []string) kmsg.Request {
			part := *req
			part.Groups = groups
			return &part
		},
		func(resp kmsg.Response) []kmsg.DeleteGroupsResponseGroup {
			return resp.(*kmsg.DeleteGroupsResponse).Groups
		},
		func(group string, code int16) kmsg.DeleteGroupsResponseGroup {
			failed := kmsg.NewDeleteGroupsResponseGroup()
			failed.Group, failed.ErrorCode = group, code
			return failed
		})
	return func(ctx context.Context) *kmsg.DeleteGroupsResponse {
		resp := kmsg.NewPtrDeleteGroupsResponse()
		resp.Version, resp.Groups = req.Version, finish(ctx)
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
