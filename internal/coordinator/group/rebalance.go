package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A rebalance has two phases. Join: everyone sends JoinGroup; the phase ends when all have, or when the longest
// rebalance timeout of the members has passed and whoever has not is dropped (a static member stays until its session
// ends). Sync: everyone sends SyncGroup; the leader's carries the assignment; who has not sent one within the rebalance
// timeout is dropped and the group rebalances again.

// rebalanceOrComplete starts a rebalance for the reason, or, when one is under way, ends its join phase if this was the last
// to join.
func (m *Machine) rebalanceOrComplete(now time.Time, g *group, reason string) {
	if g.state == PreparingRebalance {
		m.completeJoinIfReady(now, g)
		return
	}
	m.prepareRebalance(now, g, reason)
}

func (m *Machine) completeJoinIfReady(now time.Time, g *group) {
	if g.state == PreparingRebalance && !g.initial && g.allJoined() {
		m.completeJoin(now, g)
	}
}

func (m *Machine) prepareRebalance(now time.Time, g *group, reason string) {
	m.step.Events = append(m.step.Events, Event{Group: clip(g.id), State: g.state, Generation: g.generation, Reason: reason})
	for _, mem := range g.members {
		if m.answerSync(mem, syncError(kerr.RebalanceInProgress)) {
			m.renewSession(now, g, mem)
		}
		mem.owesSync = false
	}
	m.timers.cancel(g.sync)
	g.initial = g.state == Empty
	g.state = PreparingRebalance
	if g.initial {
		g.newcomers = false
		delay := m.cfg.InitialRebalanceDelay
		g.extension = max(g.rebalanceTimeout()-delay, 0).Milliseconds()
		g.join = m.schedule(now, delay, &timer{kind: joinTimeout, group: g})
		return
	}
	if g.allJoined() {
		m.completeJoin(now, g)
		return
	}
	g.join = m.schedule(now, g.rebalanceTimeout(), &timer{kind: joinTimeout, group: g})
}

// joinTimeout ends the join phase, unless it is a group's first and company has come meanwhile.
func (m *Machine) joinTimeout(now time.Time, g *group) {
	if g.state != PreparingRebalance {
		return
	}
	if g.initial && g.newcomers && g.extension > 0 {
		g.newcomers = false
		delay := min(m.cfg.InitialRebalanceDelay, time.Duration(g.extension)*time.Millisecond)
		g.extension -= delay.Milliseconds()
		g.join = m.schedule(now, delay, &timer{kind: joinTimeout, group: g})
		return
	}
	m.completeJoin(now, g)
}

// completeJoin ends the join phase: the next generation begins, and everyone who has joined is told of it.
func (m *Machine) completeJoin(now time.Time, g *group) {
	m.timers.cancel(g.join)
	for _, mem := range slices.Clone(g.members) {
		if mem.join == 0 && !mem.static() {
			m.dropMember(g, mem)
		}
	}
	if len(g.members) == 0 {
		m.step.Events = append(m.step.Events, Event{Group: clip(g.id), State: g.state, Generation: g.generation + 1})
		m.write(g.emptyRecord(now.UnixMilli()))
		return
	}
	if !g.electJoined() { // static members only, none of which has come: wait for them or the end of their sessions
		g.join = m.schedule(now, g.rebalanceTimeout(), &timer{kind: joinTimeout, group: g})
		return
	}
	g.generation++
	m.step.Events = append(m.step.Events, Event{Group: clip(g.id), State: g.state, Generation: g.generation, Members: len(g.members)})
	g.protocol = g.vote()
	g.initial = false
	g.state = CompletingRebalance
	g.computeSubscription()
	for _, mem := range g.members {
		if call := g.unparkJoin(mem); call != 0 {
			m.reply(call, g.joinReply(mem))
		}
		mem.isNew = false
		mem.owesSync = true
		m.renewSession(now, g, mem)
	}
	g.sync = m.schedule(now, g.rebalanceTimeout(), &timer{kind: syncTimeout, group: g})
}

// syncTimeout drops the members that have not sent SyncGroup within the rebalance timeout.
func (m *Machine) syncTimeout(now time.Time, g *group) {
	if g.state != CompletingRebalance && g.state != Stable {
		return
	}
	late := slices.DeleteFunc(slices.Clone(g.members), func(mem *member) bool { return !mem.owesSync })
	for _, mem := range late {
		m.dropMember(g, mem)
	}
	if len(late) > 0 {
		m.prepareRebalance(now, g, fmt.Sprintf("%d members have sent no SyncGroup in time, %s among them", len(late), clip(late[0].id)))
	}
}

// sessionExpired drops a member that has been silent for its session timeout. One whose JoinGroup or SyncGroup is parked
// waits for us, not we for it, unless it has never been told its id: then its client may be long gone.
func (m *Machine) sessionExpired(now time.Time, g *group, memberID string) {
	if g.pending[memberID] != nil {
		m.dropPending(g, memberID)
		m.completeJoinAfterLoss(now, g)
		m.forgetIfBlank(g)
		return
	}
	mem := g.byID[memberID]
	if mem == nil || !mem.isNew && (mem.join != 0 || mem.sync != 0) {
		return
	}
	m.dropMember(g, mem)
	if g.state == Stable || g.state == CompletingRebalance {
		m.prepareRebalance(now, g, "member "+clip(memberID)+" has been silent for its session timeout")
		return
	}
	m.completeJoinAfterLoss(now, g)
}

// completeJoinAfterLoss ends the join phase if the one that was just dropped was the last it waited for. Unlike a leave,
// this cuts a first rebalance short: nobody else may be coming.
func (m *Machine) completeJoinAfterLoss(now time.Time, g *group) {
	if g.state == PreparingRebalance && g.allJoined() {
		m.completeJoin(now, g)
	}
}

// dropMember removes a member; a parked call of it is answered so that a living client joins anew.
func (m *Machine) dropMember(g *group, mem *member) {
	if call := mem.join; call != 0 {
		m.refuseJoin(call, "", kerr.UnknownMemberID)
	}
	m.answerSync(mem, syncError(kerr.UnknownMemberID))
	m.timers.cancel(mem.session)
	g.remove(mem)
}

func (m *Machine) dropPending(g *group, memberID string) {
	m.timers.cancel(g.pending[memberID])
	delete(g.pending, memberID)
}

// renewSession gives a member its session timeout from now on.
func (m *Machine) renewSession(now time.Time, g *group, mem *member) {
	m.startSession(now, g, mem, mem.sessionTimeout)
}

func (m *Machine) startSession(now time.Time, g *group, mem *member, timeout time.Duration) {
	if mem.session == nil {
		mem.session = &timer{kind: sessionTimeout, group: g, index: -1}
	}
	mem.session.memberID = mem.id // a static member's id changes
	m.schedule(now, timeout, mem.session)
}

// answerSync answers the member's parked SyncGroup, if there is one.
func (m *Machine) answerSync(mem *member, resp *kmsg.SyncGroupResponse) bool {
	if mem.sync == 0 {
		return false
	}
	m.reply(mem.sync, resp)
	mem.sync = 0
	return true
}
