package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The requests of a group's members go to the group's shard as they are.

// ask sends a request of one group to its shard and returns the function that waits for the reply. refuse makes the
// reply for an error.
func ask[R any](ctx context.Context, g *Groups, groupID string, client Client, req kmsg.Request, refuse func(code int16) R) func(context.Context) R {
	partition, err := g.partitionOf(groupID)
	var c *call
	if err == nil {
		c, err = g.submit(ctx, partition, client, req)
	}
	return func(ctx context.Context) R {
		if err != nil {
			return refuse(codeOf(err))
		}
		resp, err := c.wait(ctx)
		if err != nil {
			return refuse(codeOf(err))
		}
		resp.SetVersion(req.GetVersion())
		return any(resp).(R)
	}
}

// JoinGroup, versions 0 to 9. The reply is parked until the join phase ends.
func (g *Groups) JoinGroup(ctx context.Context, client Client, req *kmsg.JoinGroupRequest) func(context.Context) *kmsg.JoinGroupResponse {
	return ask(ctx, g, req.Group, client, req, func(code int16) *kmsg.JoinGroupResponse {
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.Version, resp.ErrorCode, resp.MemberID = req.Version, code, req.MemberID
		return resp
	})
}

// SyncGroup, versions 0 to 5. The reply is parked until the leader's assignment is stored.
func (g *Groups) SyncGroup(ctx context.Context, client Client, req *kmsg.SyncGroupRequest) func(context.Context) *kmsg.SyncGroupResponse {
	return ask(ctx, g, req.Group, client, req, func(code int16) *kmsg.SyncGroupResponse {
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.Version, resp.ErrorCode = req.Version, code
		return resp
	})
}

// Heartbeat, versions 0 to 4. While the group loads, every heartbeat is taken for good: the member's session begins with
// the end of loading, and an error would only make it rejoin.
func (g *Groups) Heartbeat(ctx context.Context, client Client, req *kmsg.HeartbeatRequest) func(context.Context) *kmsg.HeartbeatResponse {
	return ask(ctx, g, req.Group, client, req, func(code int16) *kmsg.HeartbeatResponse {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.Version, resp.ErrorCode = req.Version, code
		if code == kerr.CoordinatorLoadInProgress.Code {
			resp.ErrorCode = 0
		}
		return resp
	})
}

// LeaveGroup, versions 0 to 5.
func (g *Groups) LeaveGroup(ctx context.Context, client Client, req *kmsg.LeaveGroupRequest) func(context.Context) *kmsg.LeaveGroupResponse {
	return ask(ctx, g, req.Group, client, req, func(code int16) *kmsg.LeaveGroupResponse {
		resp := kmsg.NewPtrLeaveGroupResponse()
		resp.Version, resp.ErrorCode = req.Version, code
		return resp
	})
}
