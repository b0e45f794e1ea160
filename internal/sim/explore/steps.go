package explore

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

// kind is what a step does.
type kind uint8

const (
	stepAppend kind = iota
	stepFlush
	stepLearn
	stepFetch
	stepLag
	stepPropose
	stepDouble
	stepProposeUnheard
	stepMiss
	stepBeat
	stepKill
	stepPowerLoss
	stepStart
	stepStartBehind
	stepRot
	stepTell
	stepAnew
	kinds
)

// ofProposal tells whether a step is one of a proposal on its way, not of a broker.
func (k kind) ofProposal() bool {
	return k == stepPropose || k == stepDouble || k == stepProposeUnheard
}

// Step is one transition: what happens, and to which broker or which message.
type Step struct {
	kind kind
	at   int8 // a node id, or a place in state.proposals
}

func (s Step) String() string {
	what := [kinds]string{
		stepAppend:         "broker %d appends a record",
		stepFlush:          "broker %d flushes",
		stepLearn:          "broker %d applies the next image",
		stepFetch:          "broker %d fetches",
		stepLag:            "broker %d finds that followers lag",
		stepPropose:        "proposal %d arrives at the controller and is answered",
		stepDouble:         "proposal %d is sent once more",
		stepProposeUnheard: "proposal %d arrives at the controller, the answer is lost",
		stepMiss:           "the controller fences broker %d",
		stepBeat:           "the controller hears broker %d again",
		stepKill:           "broker %d is killed",
		stepPowerLoss:      "broker %d loses its power",
		stepStart:          "broker %d starts",
		stepStartBehind:    "broker %d starts, with the high watermark of long ago",
		stepRot:            "broker %d finds that its log is corrupt",
		stepTell:           "broker %d tells its leader that its records are lost",
		stepAnew:           "broker %d begins its log anew",
	}[s.kind]
	return fmt.Sprintf(what, s.at)
}

// lagMs is replica.lag.time.max.ms. All events but a lag happen at time 0.
const lagMs = 1000

// explorer is what a search knows besides states.
type explorer struct {
	options Options
	control control
}

// steps returns all that can happen next.
func (x *explorer) steps(s *state, list []Step) []Step {
	for i := range s.nodes {
		id := int8(i + 1)
		for k := range kinds {
			if !k.ofProposal() && x.may(s, k, &s.nodes[i], cluster.NodeID(id)) {
				list = append(list, Step{k, id})
			}
		}
	}
	for i := range s.proposals {
		list = append(list, Step{stepPropose, int8(i)})
		if s.duplicates > 0 {
			list = append(list, Step{stepDouble, int8(i)})
		}
		if doubled(s.proposals, i) {
			list = append(list, Step{stepProposeUnheard, int8(i)})
		}
	}
	return list
}

// doubled tells whether another copy of a proposal is on its way: only then may an answer be lost for good.
func doubled(list []proposal, i int) bool {
	same := func(p proposal) bool {
		return p.from == list[i].from && p.brokerEpoch == list[i].brokerEpoch &&
			p.change.LeaderEpoch == list[i].change.LeaderEpoch && p.change.PartitionEpoch == list[i].change.PartitionEpoch
	}
	return slices.ContainsFunc(list[:i], same) || slices.ContainsFunc(list[i+1:], same)
}

// may tells whether a step of one broker is possible, and not without any effect.
func (x *explorer) may(s *state, k kind, n *node, id cluster.NodeID) bool {
	m := &n.machine
	switch k {
	case stepStart:
		return !n.up
	case stepStartBehind:
		return !n.up && n.checkpoint > 0
	case stepMiss:
		b, _ := s.newest().Broker(id)
		return s.fences > 0 && !b.Fenced
	}
	if !n.up {
		return false
	}
	switch k {
	case stepAppend:
		return s.records > 0 && m.IsLeader() && !n.rotten // with acks=1, whoever is in sync
	case stepFlush:
		return !n.rotten && !x.options.FlushOS && n.log.synced < n.log.end()
	case stepLearn:
		return n.seen < len(s.images)-1
	case stepFetch:
		return x.fetches(s, n)
	case stepRot:
		return s.rots > 0 && !n.rotten && n.log.end() > 0
	case stepTell:
		return n.rotten && x.reaches(s, n) && !n.told()
	case stepAnew:
		return n.rotten && x.mayBeginAnew(s, n, id)
	case stepLag:
		if s.lags == 0 {
			return false
		}
		c := m.Clone()
		return c.Tick(lagMs+1).Propose.ISR != nil
	case stepBeat:
		b, _ := s.newest().Broker(id)
		return b.Fenced && b.Epoch == n.epoch
	case stepKill:
		return s.kills > 0
	case stepPowerLoss:
		return s.powerLosses > 0
	}
	return false
}

// do returns the state after a step.
func (x *explorer) do(s *state, step Step) *state {
	next := s.clone()
	switch step.kind {
	case stepPropose, stepProposeUnheard:
		x.propose(next, int(step.at), step.kind == stepPropose)
	case stepDouble:
		next.duplicates--
		next.proposals = append(next.proposals, next.proposals[step.at])
	default:
		x.doAt(next, step.kind, next.node(cluster.NodeID(step.at)), cluster.NodeID(step.at))
	}
	for i := range next.nodes {
		for n := &next.nodes[i]; x.options.Prompt && n.up && n.seen < len(next.images)-1; {
			x.doAt(next, stepLearn, n, cluster.NodeID(i+1))
		}
	}
	next.forget()
	return next
}

func (x *explorer) doAt(s *state, k kind, n *node, id cluster.NodeID) {
	switch k {
	case stepAppend:
		s.records--
		n.log.append(entry{n.machine.LeaderEpoch(), uint8(s.records + 1)})
		x.carryOut(s, n, id, n.machine.Appended(n.log.end(), x.flushed(n)))
	case stepFlush:
		n.log.synced = n.log.end()
		x.carryOut(s, n, id, n.machine.FlushedTo(n.log.synced))
	case stepLearn:
		n.seen++
		x.assign(s, n, id)
	case stepFetch:
		x.fetch(s, n, id)
	case stepLag:
		s.lags--
		x.carryOut(s, n, id, n.machine.Tick(lagMs+1))
	case stepRot:
		s.rots--
		n.rotten = true
		x.carryOut(s, n, id, n.machine.Failed())
	case stepTell:
		x.tell(s, n, id)
	case stepAnew:
		x.beginAnew(s, n, id)
	case stepMiss:
		s.fences--
		s.publish(x.control.miss(s.newest(), id))
	case stepBeat:
		if img := x.control.beat(s.newest(), id, n.epoch, s.image(n).Offset()); img != s.newest() {
			s.publish(img)
		}
	case stepKill:
		s.kills--
		n.stop(n.log.end())
	case stepPowerLoss:
		s.powerLosses--
		n.stop(n.log.synced)
	case stepStart, stepStartBehind:
		if k == stepStartBehind {
			n.checkpoint = 0
		}
		x.start(s, n, id)
	}
}

// stop ends a run; of the log what is below end remains.
func (n *node) stop(end int64) {
	n.log.truncate(end)
	n.checkpoint = min(n.machine.HighWatermark(), end)
	n.up, n.machine = false, replica.Machine{}
	n.rotten, n.copy, n.forgotten = false, 0, forgotten{}
}

// flushed is how much of its log a broker vouches for.
func (x *explorer) flushed(n *node) int64 {
	if x.options.FlushOS {
		return n.log.end()
	}
	return n.log.synced
}

// start begins another run. What is left of the log is on disk when recovery is done.
func (x *explorer) start(s *state, n *node, id cluster.NodeID) {
	n.up, n.log.synced = true, n.log.end()
	n.machine = replica.New(replica.Config{Self: id, LagMaxMs: lagMs}, replica.Log{
		End: n.log.end(), Flushed: n.log.end(), HighWatermark: n.checkpoint,
	})
	if x.options.Weakened != KeepsEpoch {
		img, epoch := x.control.register(s.newest(), id, x.options.Weakened == NoELR)
		n.epoch = epoch
		s.publish(img)
	}
	n.seen = len(s.images) - 1
	x.assign(s, n, id)
}

// assign takes over the image that a node has got to.
func (x *explorer) assign(s *state, n *node, id cluster.NodeID) {
	p := partitionOf(s.image(n))
	a := replica.Assignment{
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, UncleanEpoch: p.UncleanEpoch,
		Replicas: p.Replicas, ISR: p.ISR, ELR: p.ELR, MinISR: minISR,
	}
	newEpoch := a.LeaderEpoch > n.machine.LeaderEpoch()
	if a.Leader == id && !n.rotten && (newEpoch || !n.machine.IsLeader()) {
		n.log.startEpoch(a.LeaderEpoch)
	}
	e := n.machine.Assigned(a, 0)
	if x.options.Weakened == TruncatesToHighWatermark && newEpoch && a.Leader != id {
		n.log.truncate(n.machine.HighWatermark())
		n.machine.Truncated(n.log.end(), x.flushed(n))
	}
	x.cut(s, n, id, e)
}

// fetches tells whether a fetch can reach the leader. One that does not, or whose answer is lost, changes nothing; a late
// answer is like one that comes at once and a follower that does nothing for a while, since what a leader learns from a
// fetch is where the follower was when it asked.
func (x *explorer) fetches(s *state, n *node) bool { return !n.rotten && x.reaches(s, n) }

// reaches tells whether a follower finds its leader, which answers.
func (x *explorer) reaches(s *state, n *node) bool {
	m := &n.machine
	if !m.Follows(m.LeaderEpoch()) {
		return false
	}
	l := s.node(m.Leader())
	return l.up && !l.rotten && l.machine.IsLeader() && l.machine.LeaderEpoch() == m.LeaderEpoch()
}

// fetch lets a follower ask its leader, and take the answer.
func (x *explorer) fetch(s *state, n *node, id cluster.NodeID) {
	m := &n.machine
	l := s.node(m.Leader())
	offset, namesEpoch := m.FetchFrom()
	committed, highWatermark := n.log.epochAt(m.HighWatermark()-1), l.machine.HighWatermark()
	if offset > l.log.end() {
		x.cut(s, n, id, m.OutOfRange(0, committed))
		return
	}
	if namesEpoch && x.options.Weakened != TruncatesToHighWatermark {
		last := n.log.epochAt(offset - 1)
		e := l.log.epochEnd(last)
		switch {
		case last < 0:
		case e.Epoch < 0:
			x.cut(s, n, id, m.OutOfRange(0, committed))
			return
		case e.Epoch < last || e.EndOffset < offset:
			x.cut(s, n, id, m.Diverged(e, n.log.epochEnd(e.Epoch), committed))
			return
		}
	}
	b, known := s.image(l).Broker(id)
	x.carryOut(s, l, m.Leader(), l.machine.FollowerFetched(replica.Fetch{
		ID: id, LeaderEpoch: m.LeaderEpoch(), BrokerEpoch: n.epoch, Copy: n.copy, End: offset, Flushed: m.Flushed(),
		Eligible: known && b.Live() && b.Epoch == n.epoch,
	}, 0))
	if offset < l.log.end() { // one record at a time, so that the leader's marks can be ahead
		n.log.append(l.log.entries[offset])
	}
	m.Appended(n.log.end(), x.flushed(n))
	x.carryOut(s, n, id, m.LeaderAnswered(highWatermark))
}

// cut cuts a follower's log.
func (x *explorer) cut(s *state, n *node, id cluster.NodeID, e replica.Effects) {
	if to := max(e.TruncateTo, e.ResetTo); to >= 0 {
		n.log.truncate(to)
		n.machine.Truncated(n.log.end(), x.flushed(n))
	}
	x.carryOut(s, n, id, e)
}

// carryOut notes what a leader has committed, and sends what it proposes.
func (x *explorer) carryOut(s *state, n *node, id cluster.NodeID, e replica.Effects) {
	if n.machine.IsLeader() {
		for offset := int64(len(s.committed)); offset < n.machine.HighWatermark(); offset++ {
			s.committed = append(s.committed, n.log.entries[offset])
		}
	}
	if e.Propose.ISR != nil {
		s.proposals = append(s.proposals, proposal{from: id, brokerEpoch: n.epoch, change: e.Propose})
	}
}

// propose lets a proposal arrive. The leader hears the answer if it still runs.
func (x *explorer) propose(s *state, at int, heard bool) {
	p := s.proposals[at]
	s.proposals = slices.Delete(s.proposals, at, at+1)
	img, answer := x.control.propose(s.newest(), p, x.options.Weakened != NoBrokerEpochs)
	if img != s.newest() {
		s.publish(img)
	}
	n := s.node(p.from)
	if !heard || !n.up || n.epoch != p.brokerEpoch || kerr.ErrorForCode(answer.ErrorCode) != nil {
		return
	}
	if replica.Refuses(answer.Topics[0].Partitions[0].ErrorCode) {
		x.carryOut(s, n, p.from, n.machine.ProposalRefused(p.change))
	}
}
