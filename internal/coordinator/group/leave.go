package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaveGroup, versions 0 to 5. Up to 2 one member leaves and the error is the response's; from 3 a list of members
// leaves, each with its own error, and static members can be removed by their instance id alone (KIP-345).
func (m *Machine) leaveGroup(now time.Time, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	resp := kmsg.NewPtrLeaveGroupResponse()
	if req.Group == "" {
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return resp
	}
	g := m.groups[req.Group]
	before := g.size()
	if req.Version < 3 {
		resp.ErrorCode = codeOf(m.leave(g, kmsg.LeaveGroupRequestMember{MemberID: req.MemberID}))
		m.afterLeave(now, g, before, "member "+clip(req.MemberID)+" leaves")
		return resp
	}
	for _, leaving := range req.Members {
		one := kmsg.NewLeaveGroupResponseMember()
		one.MemberID, one.InstanceID = leaving.MemberID, leaving.InstanceID
		one.ErrorCode = codeOf(m.leave(g, leaving))
		resp.Members = append(resp.Members, one)
	}
	if len(req.Members) > 0 {
		first := &req.Members[0]
		id := first.MemberID
		if id == "" && first.InstanceID != nil {
			id = *first.InstanceID
		}
		m.afterLeave(now, g, before, because("member "+clip(id)+" leaves", first.Reason))
	}
	return resp
}

// leave removes one member; the group rebalances after all have left.
func (m *Machine) leave(g *group, leaving kmsg.LeaveGroupRequestMember) *kerr.Error {
	if g == nil {
		return kerr.UnknownMemberID
	}
	if g.pending[leaving.MemberID] != nil {
		m.dropPending(g, leaving.MemberID)
		return nil
	}
	id := leaving.MemberID
	if id == "" && leaving.InstanceID != nil && g.byInstance[*leaving.InstanceID] != nil {
		id = g.byInstance[*leaving.InstanceID].id
	}
	mem, err := g.member(id, leaving.InstanceID)
	if err != nil {
		return err
	}
	m.dropMember(g, mem)
	return nil
}

func (m *Machine) afterLeave(now time.Time, g *group, sizeBefore int, reason string) {
	if g == nil {
		return
	}
	if g.size() < sizeBefore && (g.state == Stable || g.state == CompletingRebalance) {
		m.prepareRebalance(now, g, reason)
	} else {
		m.completeJoinIfReady(now, g)
	}
	m.forgetIfBlank(g)
}
