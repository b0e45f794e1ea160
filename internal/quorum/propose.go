package quorum

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/cluster"
)

// pending is a proposal whose fate is open, with the reply that waits for it.
type pending struct {
	request *request // nil: nobody waits
	resp    kmsg.Response
	since   time.Time // of the proposal
	// The entry that carries the changes. Index 0: there are none, the reply only waits for those before it, whose changes
	// it has seen.
	index, term uint64
}

// handle runs a request against the newest proposed image. Its reply waits for all that it has seen: its own entry and
// those before it.
func (q *Quorum) handle(r *request) {
	s := &q.loop
	switch {
	case s.leading && s.ready && (r.ctx.Err() == nil || speaks(r.req)):
	case r.ctx.Err() != nil:
		return
	case s.leading || q.leader() == cluster.NoLeader:
		q.park(r)
		return
	default:
		r.answer <- answer{err: &NotControllerError{q.leader()}}
		return
	}
	if q.handleMembers(r) {
		return
	}
	resp, changes := q.cfg.Machine.Handle(q.machineMs(), s.proposed, r.req)
	if len(changes) == 0 {
		q.answerNow(r, resp)
		return
	}
	switch err := q.propose(pending{request: r, resp: resp}, changes); {
	case errors.Is(err, raft.ErrProposalDropped): // too much is under way, or the leadership is being handed over
		r.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
	case err != nil:
		r.answer <- answer{err: fmt.Errorf("propose: %w", err)}
	}
}

// speaks tells of what it counts that it was sent, even where its sender no longer waits for the answer.
func speaks(req kmsg.Request) bool {
	_, heartbeat := req.(*kmsg.BrokerHeartbeatRequest)
	return heartbeat
}

// propose gives raft an entry with changes. After an error nothing has happened.
func (q *Quorum) propose(p pending, changes []cluster.Change) error {
	s := &q.loop
	p.since, p.index, p.term = q.now(), s.next, s.term
	next, _, err := s.proposed.Apply(changes, int64(p.index)-1, int32(p.term))
	if err != nil {
		return err
	}
	if err := q.raft.Propose(entryData(p.since, cluster.AppendChanges(nil, changes))); err != nil {
		return err
	}
	s.proposed = next
	s.next++
	s.pending = append(s.pending, p)
	return nil
}

// park keeps a request until there is a leader. Those whose callers have gone make room.
func (q *Quorum) park(r *request) {
	s := &q.loop
	if len(s.waiting) >= requestsParked {
		s.waiting = slices.DeleteFunc(s.waiting, func(r *request) bool { return r.ctx.Err() != nil })
	}
	if len(s.waiting) >= requestsParked {
		r.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
		return
	}
	s.waiting = append(s.waiting, r)
}

// retryWaiting handles the requests that came while there was no leader.
func (q *Quorum) retryWaiting() {
	waiting := q.loop.waiting
	q.loop.waiting = nil
	for _, r := range waiting {
		q.handle(r)
	}
}

// answerUnblocked publishes the replies that wait for no entry any more.
func (q *Quorum) answerUnblocked() {
	s := &q.loop
	n := 0
	for n < len(s.pending) && s.pending[n].index == 0 {
		n++
	}
	if n == 0 {
		return
	}
	q.publish.add(publication{image: s.applied, answers: slices.Clone(s.pending[:n])})
	s.pending = slices.Delete(s.pending, 0, n)
}

// orphan takes the leadership from this node. What was proposed may still be committed, by the next leader: those who wait
// learn it when the log has got that far. Nothing was proposed for the others.
func (q *Quorum) orphan() {
	s := &q.loop
	for _, p := range s.pending {
		switch {
		case p.index > 0:
			s.orphans = append(s.orphans, p)
		case p.request != nil:
			p.request.answer <- answer{err: &NotControllerError{q.leader()}}
		}
	}
	if j := s.joining; j != nil && j.request != nil {
		j.request.answer <- answer{err: ErrOutcomeUnknown} // the next leader goes on with it
	}
	s.pending, s.proposed, s.ready, s.joining, s.changeIndex, s.contacts = nil, nil, false, nil, 0, nil
}

// committed takes out the proposal that e carries, if it was made here. Proposals that e has overruled are answered.
func (q *Quorum) committed(e *pb.Entry) []pending {
	s := &q.loop
	found := q.settle(&s.orphans, e)
	if s.leading && e.GetTerm() == s.term {
		found = append(found, q.settle(&s.pending, e)...)
	}
	return found
}

// settle takes out what e decides: terms only grow along the log, so that what was proposed in an earlier term than e's and is not
// below it never will be in the log. It must not wait for its index: proposals of a later term may have lower ones.
func (q *Quorum) settle(queue *[]pending, e *pb.Entry) (found []pending) {
	decided := func(p pending) bool { return p.index <= e.GetIndex() || p.term < e.GetTerm() }
	n := 0
	for ; n < len(*queue) && decided((*queue)[n]); n++ {
		switch p := (*queue)[n]; {
		case p.index == e.GetIndex() && p.term == e.GetTerm():
			q.loop.commits++
			q.loop.commitTime += q.now().Sub(p.since)
			found = append(found, p)
		case p.request != nil && p.index > 0: // another leader's entries stand where this one would
			p.request.answer <- answer{err: &NotControllerError{q.leader()}}
		default:
			found = append(found, p)
		}
	}
	*queue = slices.Delete(*queue, 0, n)
	return found
}

// skipped answers the proposals up to index: a snapshot does not say whether it has them.
func (q *Quorum) skipped(index uint64) {
	s := &q.loop
	for len(s.orphans) > 0 && s.orphans[0].index <= index {
		if r := s.orphans[0].request; r != nil {
			r.answer <- answer{err: ErrOutcomeUnknown}
		}
		s.orphans = slices.Delete(s.orphans, 0, 1)
	}
}
