package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncGroup, versions 0 to 5. From 5 the request names the protocol type and protocol that the member believes in.

func (m *Machine) syncGroup(now time.Time, c Call, req *kmsg.SyncGroupRequest) {
	g := m.groups[req.Group]
	mem, err := checkSync(g, req)
	if err != nil {
		m.reply(c.ID, syncError(err))
		return
	}
	m.synced(g, mem)
	if g.state == Stable {
		m.reply(c.ID, g.syncReply(mem.assignment))
		return
	}
	m.answerSync(mem, syncError(kerr.RebalanceInProgress)) // the member asked again, over another connection
	mem.sync = c.ID
	if mem.id == g.leader {
		m.storeAssignment(now, g, req.GroupAssignment)
	}
}

func checkSync(g *group, req *kmsg.SyncGroupRequest) (*member, *kerr.Error) {
	if req.Group == "" {
		return nil, kerr.InvalidGroupID
	}
	if g == nil || g.state == Empty {
		return nil, kerr.UnknownMemberID
	}
	mem, err := g.member(req.MemberID, req.InstanceID)
	switch {
	case err != nil:
		return nil, err
	case req.Generation != g.generation:
		return nil, kerr.IllegalGeneration
	case differs(req.ProtocolType, g.protocolType), differs(req.Protocol, g.protocol):
		return nil, kerr.InconsistentGroupProtocol
	case g.state == PreparingRebalance:
		return nil, kerr.RebalanceInProgress
	}
	return mem, nil
}

func differs(named *string, actual string) bool {
	return named != nil && actual != "" && *named != actual
}

func (m *Machine) synced(g *group, mem *member) {
	mem.owesSync = false
	if !slices.ContainsFunc(g.members, func(other *member) bool { return other.owesSync }) {
		m.timers.cancel(g.sync)
	}
}

// storeAssignment takes the leader's assignment. Its record makes the group Stable once replayed; members without an
// assignment get an empty one.
func (m *Machine) storeAssignment(now time.Time, g *group, list []kmsg.SyncGroupRequestGroupAssignment) {
	assignment := make(map[string][]byte, len(list))
	for _, a := range list {
		assignment[a.MemberID] = slices.Clone(a.MemberAssignment)
	}
	if !m.store(g.stableRecord(now.UnixMilli(), assignment)) {
		for _, mem := range g.members {
			if m.answerSync(mem, syncError(kerr.UnknownServerError)) {
				m.renewSession(now, g, mem) // it may have passed while the call was parked
			}
		}
		m.prepareRebalance(now, g, "the assignment could not be stored")
		return
	}
	for _, mem := range g.members {
		if m.answerSync(mem, g.syncReply(assignment[mem.id])) {
			m.renewSession(now, g, mem)
		}
	}
}

func (g *group) syncReply(assignment []byte) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol = ptr(g.protocolType), ptr(g.protocol)
	resp.MemberAssignment = assignment
	return resp
}

func syncError(err *kerr.Error) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode = err.Code
	return resp
}
