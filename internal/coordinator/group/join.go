package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup, versions 0 to 9. 0 has no rebalance timeout: the session timeout stands for it. From 4 a new dynamic member
// is first told its id (KIP-394). 5 brings static members. From 9 a static leader that comes back to a stable group is
// told to skip the assignment (KIP-814); before, it is told that another member leads.

func (m *Machine) joinGroup(now time.Time, c Call, req *kmsg.JoinGroupRequest) {
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	switch {
	case req.Group == "" || tooLong(req.Group):
		m.refuseJoin(c.ID, req.MemberID, kerr.InvalidGroupID)
		return
	case !storable(c, req):
		m.refuseJoin(c.ID, req.MemberID, kerr.InvalidRequest)
		return
	case session < m.cfg.SessionTimeoutMin || session > m.cfg.SessionTimeoutMax:
		m.refuseJoin(c.ID, req.MemberID, kerr.InvalidSessionTimeout)
		return
	}
	g := m.groups[req.Group]
	if g == nil {
		if req.MemberID != "" {
			m.refuseJoin(c.ID, req.MemberID, kerr.UnknownMemberID)
			return
		}
		g = newGroup(req.Group)
		m.groups[req.Group] = g
	}
	m.joinKnownGroup(now, g, c, req)
	m.forgetIfBlank(g)
}

// storable says whether a record can hold the texts of the request, and the member id that is made of them.
func storable(c Call, req *kmsg.JoinGroupRequest) bool {
	const idSuffixMax = 64 // a hyphen and what NewID returns
	prefix := c.Client.ID
	if req.InstanceID != nil {
		prefix = *req.InstanceID
	}
	return len(prefix) <= textBytesMax-idSuffixMax && !tooLong(c.Client.ID) && !tooLong(req.ProtocolType) &&
		!slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return tooLong(p.Name) })
}

func (m *Machine) joinKnownGroup(now time.Time, g *group, c Call, req *kmsg.JoinGroupRequest) {
	protocols := offered(req)
	switch {
	case !m.hasRoom(g, req.MemberID):
		if mem := g.byID[req.MemberID]; mem != nil {
			m.dropMember(g, mem)
		}
		m.dropPending(g, req.MemberID)
		m.completeJoinIfReady(now, g)
		m.refuseJoin(c.ID, "", kerr.GroupMaxSizeReached)
	case !g.supports(req.ProtocolType, protocols):
		m.refuseJoin(c.ID, req.MemberID, kerr.InconsistentGroupProtocol)
	case req.MemberID == "" && req.InstanceID != nil:
		m.joinStatic(now, g, c, req, protocols)
	case req.MemberID == "":
		m.joinDynamic(now, g, c, req, protocols)
	case g.pending[req.MemberID] != nil && req.InstanceID == nil:
		m.addMember(now, g, c, req, req.MemberID, protocols)
	default:
		m.rejoin(now, g, c, req, protocols)
	}
}

// offered returns the request's protocols; of two with one name the first counts.
func offered(req *kmsg.JoinGroupRequest) []protocol {
	list := make([]protocol, 0, len(req.Protocols))
	seen := make(map[string]bool, len(req.Protocols))
	for _, p := range req.Protocols {
		if !seen[p.Name] {
			seen[p.Name] = true
			list = append(list, protocol{name: p.Name, metadata: slices.Clone(p.Metadata)})
		}
	}
	return list
}

// hasRoom applies group.max.size. While the group is preparing, those who have joined count, so that after the limit was
// lowered the last to rejoin are the ones turned away.
func (m *Machine) hasRoom(g *group, memberID string) bool {
	mem := g.byID[memberID]
	switch g.state {
	case PreparingRebalance:
		return mem != nil && mem.join != 0 || g.joined < m.cfg.SizeMax
	case CompletingRebalance, Stable:
		return mem != nil || len(g.members) < m.cfg.SizeMax
	}
	return true
}

func (m *Machine) joinDynamic(now time.Time, g *group, c Call, req *kmsg.JoinGroupRequest, protocols []protocol) {
	id := c.Client.ID + "-" + m.cfg.NewID()
	if req.Version < 4 {
		m.addMember(now, g, c, req, id, protocols)
		return
	}
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	g.pending[id] = m.schedule(now, session, &timer{kind: sessionTimeout, group: g, memberID: id})
	m.refuseJoin(c.ID, id, kerr.MemberIDRequired)
}

func (m *Machine) joinStatic(now time.Time, g *group, c Call, req *kmsg.JoinGroupRequest, protocols []protocol) {
	id := *req.InstanceID + "-" + m.cfg.NewID()
	if mem := g.byInstance[*req.InstanceID]; mem != nil {
		m.replaceStatic(now, g, mem, id, c, req, protocols)
		return
	}
	m.addMember(now, g, c, req, id, protocols)
}

// rejoin is a join of a member that knows its id.
func (m *Machine) rejoin(now time.Time, g *group, c Call, req *kmsg.JoinGroupRequest, protocols []protocol) {
	mem, err := g.member(req.MemberID, req.InstanceID)
	if err == nil && g.state == Empty {
		err = kerr.UnknownMemberID
	}
	if err != nil {
		m.refuseJoin(c.ID, req.MemberID, err)
		return
	}
	unchanged := mem.offers(protocols)
	switch {
	case g.state == CompletingRebalance && unchanged, // the reply of this generation was lost
		g.state == Stable && unchanged && g.leader != mem.id: // a leader that rejoins wants a new assignment
		m.reply(c.ID, g.joinReply(mem))
	default:
		m.updateMember(g, mem, c.ID, req, protocols)
		why := "member " + clip(mem.id) + " joins anew"
		if g.leader == mem.id {
			why = "leader " + clip(mem.id) + " joins anew"
		}
		m.rebalanceOrComplete(now, g, because(why, req.Reason))
	}
}

func (m *Machine) addMember(now time.Time, g *group, c Call, req *kmsg.JoinGroupRequest, id string, protocols []protocol) {
	m.dropPending(g, id)
	mem := &member{
		id:         id,
		instance:   req.InstanceID,
		clientID:   c.Client.ID,
		clientHost: "/" + c.Client.Host, // as Java prints an address
		protocols:  protocols,
		isNew:      true,
	}
	mem.setTimeouts(req)
	if len(g.members) == 0 {
		g.protocolType = req.ProtocolType
	}
	if g.state == PreparingRebalance && g.initial {
		g.newcomers = true
	}
	g.add(mem)
	g.parkJoin(mem, c.ID)
	m.startSession(now, g, mem, newMemberTimeout)
	m.rebalanceOrComplete(now, g, because("new member "+clip(id), req.Reason))
}

func (mem *member) setTimeouts(req *kmsg.JoinGroupRequest) {
	mem.sessionTimeout = time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	mem.rebalanceTimeout = time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	if req.Version == 0 || req.RebalanceTimeoutMillis < 0 {
		mem.rebalanceTimeout = mem.sessionTimeout
	}
}

func (m *Machine) updateMember(g *group, mem *member, call uint64, req *kmsg.JoinGroupRequest, protocols []protocol) {
	g.setProtocols(mem, protocols)
	mem.setTimeouts(req)
	if replaced := g.parkJoin(mem, call); replaced != 0 {
		m.refuseJoin(replaced, mem.id, kerr.RebalanceInProgress) // the member asked again, over another connection
	}
}

// replaceStatic gives the place of a static member to a process that has come back without its member id. A stable
// group whose protocol stays the same goes on without a rebalance: the newcomer takes over the assignment.
func (m *Machine) replaceStatic(now time.Time, g *group, mem *member, id string, c Call, req *kmsg.JoinGroupRequest, protocols []protocol) {
	formerLeader := g.leader
	if call := g.unparkJoin(mem); call != 0 {
		m.refuseJoin(call, mem.id, kerr.FencedInstanceID)
	}
	m.answerSync(mem, syncError(kerr.FencedInstanceID))
	g.rename(mem, id)
	mem.clientID, mem.clientHost = c.Client.ID, "/"+c.Client.Host
	g.setProtocols(mem, protocols)
	mem.setTimeouts(req)
	m.renewSession(now, g, mem)

	if g.state == Stable && g.vote() == g.protocol && m.store(g.stableRecord(g.stateMs, g.assignments())) {
		reply := g.joinReply(mem)
		if req.Version >= 9 {
			reply.SkipAssignment = g.leader == id
		} else {
			reply.LeaderID, reply.Members = formerLeader, nil
		}
		m.reply(c.ID, reply)
		return
	}
	g.parkJoin(mem, c.ID)
	m.rebalanceOrComplete(now, g, because("static member "+clip(id)+" has come back", req.Reason))
}

// because adds the reason that a client gives (KIP-800).
func because(what string, client *string) string {
	if client == nil || *client == "" {
		return what
	}
	return what + ": " + clip(*client)
}

// clip shortens a text of a client for an Event.
func clip(s string) string {
	const bytesMax = 200
	if len(s) > bytesMax {
		return s[:bytesMax] + "..."
	}
	return s
}

// store writes a group's record, unless it is larger than a record may be.
func (m *Machine) store(r Record) bool {
	if len(r.Key)+len(r.Value) > m.cfg.RecordBytesMax {
		return false
	}
	m.write(r)
	return true
}

// joinReply tells a member about the current generation, and the leader about the members.
func (g *group) joinReply(mem *member) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Generation = g.generation
	resp.ProtocolType, resp.Protocol = ptr(g.protocolType), ptr(g.protocol)
	resp.LeaderID, resp.MemberID = g.leader, mem.id
	if g.leader == mem.id {
		resp.Members = g.withMetadata(g.protocol)
	}
	return resp
}

// ptr copies, so that a reply does not change with the group before it is encoded.
func ptr[T any](v T) *T { return &v }

func (m *Machine) refuseJoin(call uint64, memberID string, err *kerr.Error) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.MemberID = err.Code, memberID
	m.reply(call, resp)
}
