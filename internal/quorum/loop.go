package quorum

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
)

const (
	requestsQueued = 256  // requests that wait for the loop
	requestsParked = 1024 // requests that wait for a leader
	messagesQueued = 4096 // messages of other voters that wait for the loop
	requestsBatch  = 64   // requests that are proposed before their entries are synced together
)

// request is a call of Do.
type request struct {
	ctx    context.Context
	req    kmsg.Request
	answer chan answer // capacity 1
}

type answer struct {
	resp kmsg.Response
	err  error
}

// loopState is what the loop alone reads and writes.
type loopState struct {
	applied *cluster.Image // all committed entries
	index   uint64         // of the last applied entry
	voters  map[uint64]Voter

	running      bool // Open has returned
	snapshotting bool // a snapshot is being written beside the loop

	// What was proposed here and committed, for Status.
	commits    int64
	commitTime time.Duration

	// The rest is of a leader.
	leading  bool
	term     uint64
	ready    bool           // the entries of earlier terms are applied
	proposed *cluster.Image // applied, and what has been proposed since
	pending  []pending      // proposals of this term, in the order of their entries
	waiting  []*request     // requests that wait for a leader
	sent     map[uint64]int // followers that are sent a snapshot, and for how many ticks
}

// pending is a proposal that is not committed, with the reply that waits for it.
type pending struct {
	request *request
	resp    kmsg.Response
	since   time.Time // of the proposal
	entry   bool      // false: it only waits for those before it
}

// begin handles what raft has to say before anything happens, and lets a voter that is alone lead at once.
func (q *Quorum) begin() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("raft: %v", p)
		}
	}()
	if err := q.drain(); err != nil {
		return err
	}
	if q.alone() {
		if err := q.raft.Campaign(); err != nil {
			return err
		}
	}
	if err := q.drain(); err != nil {
		return err
	}
	q.publishStatus()
	return nil
}

// alone tells whether this node is the only voter: nobody has to hear from it.
func (q *Quorum) alone() bool {
	voters := q.raft.Status().Config.Voters.IDs()
	_, self := voters[q.cfg.Self.raftID()]
	return self && len(voters) == 1
}

// runLoop is the loop goroutine: it ends with Close, or when the storage fails.
func (q *Quorum) runLoop() {
	defer q.done.Done()
	defer func() {
		if p := recover(); p != nil { // raft's way to say that its log is not what it was
			q.log.Error("the quorum's loop has panicked", "panic", p, "stack", string(debug.Stack()))
			q.fail(fmt.Errorf("raft: %v", p))
		}
	}()
	q.loop.running = true
	var ticks <-chan time.Time
	if !q.alone() {
		ticker := time.NewTicker(q.cfg.TickInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		var err error
		select {
		case <-q.stop:
			return
		case <-ticks:
			q.raft.Tick()
			q.resendSnapshots()
		case m := <-q.inbox:
			// A message that makes no sense in this state is raft's to refuse; the sender finds out by itself.
			_ = q.raft.Step(m)
		case r := <-q.requests:
			q.take(r)
		case r := <-q.snapshots:
			err = q.covered(r)
		}
		if err == nil {
			err = q.drain()
		}
		if err != nil {
			q.fail(err)
			return
		}
	}
}

// snapshotTicks is how long a follower may take to answer a snapshot before it is sent again: about ten seconds.
const snapshotTicks = 500

// resendSnapshots gives up snapshots that have not been answered: raft sends a follower nothing else until it hears what
// became of one, and transports lose messages.
func (q *Quorum) resendSnapshots() {
	s := &q.loop
	if !s.leading {
		s.sent = nil
		return
	}
	before := s.sent
	s.sent = nil
	q.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if p.State != tracker.StateSnapshot {
			return
		}
		if s.sent == nil {
			s.sent = map[uint64]int{}
		}
		s.sent[id] = before[id] + 1
	})
	for id, ticks := range s.sent {
		if ticks >= snapshotTicks {
			delete(s.sent, id)
			q.raft.ReportSnapshot(id, raft.SnapshotFailure)
		}
	}
}

// take handles r and those that wait behind it, so that one sync serves many.
func (q *Quorum) take(r *request) {
	q.handle(r)
	for range requestsBatch - 1 {
		select {
		case r := <-q.requests:
			q.handle(r)
		default:
			return
		}
	}
}

func (q *Quorum) fail(err error) {
	if isStopped(err) {
		err = ErrClosed
	}
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	q.failure.Store(&err)
	close(q.failed)
	q.log.Error("metadata quorum failed: this node has to stop", "err", err)
}

// handle runs a request against the newest proposed image. Its reply waits for all that it has seen: its own entry and
// those before it.
func (q *Quorum) handle(r *request) {
	s := &q.loop
	switch {
	case r.ctx.Err() != nil:
		return
	case s.leading && s.ready:
	case s.leading || q.leader() == cluster.NoLeader:
		q.park(r)
		return
	default:
		r.answer <- answer{err: &NotControllerError{q.leader()}}
		return
	}
	now := q.now()
	resp, changes := q.cfg.Machine.Handle(now.UnixMilli(), s.proposed, r.req)
	if len(changes) == 0 {
		s.pending = append(s.pending, pending{request: r, resp: resp})
		q.answerUnblocked()
		return
	}
	next, _, err := s.proposed.Apply(changes, s.proposed.Offset()+1, int32(s.term))
	if err == nil {
		err = q.raft.Propose(entryData(now, cluster.AppendChanges(nil, changes)))
	}
	if err != nil {
		r.answer <- answer{err: fmt.Errorf("propose: %w", err)}
		return
	}
	s.proposed = next
	s.pending = append(s.pending, pending{request: r, resp: resp, since: now, entry: true})
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

// answerUnblocked publishes the replies that wait for no entry any more.
func (q *Quorum) answerUnblocked() {
	s := &q.loop
	n := 0
	for n < len(s.pending) && !s.pending[n].entry {
		n++
	}
	if n == 0 {
		return
	}
	q.publish.add(publication{image: s.applied, answers: slices.Clone(s.pending[:n])})
	s.pending = slices.Delete(s.pending, 0, n)
}

// drain carries out all that raft demands.
func (q *Quorum) drain() error {
	for q.raft.HasReady() {
		rd := q.raft.Ready()
		if !raft.IsEmptySnap(rd.Snapshot) {
			if err := q.awaitSnapshot(); err != nil {
				return err
			}
		}
		if err := q.save(rd); err != nil {
			return err
		}
		q.cfg.Transport.Send(rd.Messages)
		if !raft.IsEmptySnap(rd.Snapshot) {
			if err := q.restore(rd.Snapshot); err != nil {
				return err
			}
		}
		q.follow(rd.SoftState)
		for _, e := range rd.CommittedEntries {
			if err := q.apply(e); err != nil {
				return err
			}
		}
		q.raft.Advance(rd)
		q.publishStatus()
	}
	return q.snapshotIfDue()
}

// spaceRetry is how long the loop waits when the disk is full.
const spaceRetry = 200 * time.Millisecond

// save makes a Ready durable. When the disk is full it waits: nothing has been promised yet. Requests wait with it, and other
// voters elect another leader.
func (q *Quorum) save(rd raft.Ready) error {
	told := false
	for {
		err := q.storage.save(rd, q.conf())
		if !noSpace(err) || !q.loop.running {
			return err
		}
		if !told {
			q.log.Error("the disk is full: no change of the metadata until there is space", "err", err)
			told = true
		}
		select {
		case <-q.stop:
			return ErrClosed
		case <-time.After(spaceRetry):
		}
	}
}

// conf returns the members as raft has applied them.
func (q *Quorum) conf() *pb.ConfState {
	c := q.raft.Status().Config
	conf := &pb.ConfState{Voters: c.Voters[0].Slice(), VotersOutgoing: c.Voters[1].Slice()}
	conf.Learners = slices.Sorted(maps.Keys(c.Learners))
	conf.LearnersNext = slices.Sorted(maps.Keys(c.LearnersNext))
	if c.AutoLeave {
		conf.AutoLeave = new(true)
	}
	return conf
}

// follow notices that leadership has changed.
func (q *Quorum) follow(soft *raft.SoftState) {
	s := &q.loop
	if soft == nil {
		return
	}
	leading := soft.RaftState == raft.StateLeader
	if s.leading && !leading {
		for _, p := range s.pending {
			p.request.answer <- answer{err: &NotControllerError{q.leader()}}
		}
		s.pending, s.proposed, s.ready = nil, nil, false
	}
	s.leading = leading
	s.term = q.raft.BasicStatus().GetTerm()
	q.noteController()
	if !leading && soft.Lead != raft.None {
		q.retryWaiting()
	}
}

// retryWaiting handles the requests that came while there was no leader.
func (q *Quorum) retryWaiting() {
	waiting := q.loop.waiting
	q.loop.waiting = nil
	for _, r := range waiting {
		q.handle(r)
	}
}

// apply makes the next image of a committed entry.
func (q *Quorum) apply(e *pb.Entry) error {
	s := &q.loop
	s.index = e.GetIndex()
	switch {
	case e.GetType() != pb.EntryNormal:
		return q.applyMembers(e)
	case len(e.GetData()) == 0:
		if s.leading && e.GetTerm() == s.term {
			s.ready, s.proposed = true, s.applied
			q.retryWaiting()
		}
		return nil
	}
	_, encoded, err := entryChanges(e.GetData())
	if err != nil {
		return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
	}
	changes, err := cluster.ParseChanges(encoded)
	if err != nil {
		return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
	}
	next, delta, err := s.applied.Apply(changes, int64(e.GetIndex())-1, int32(e.GetTerm()))
	if err != nil {
		return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
	}
	s.applied = next
	p := publication{image: next, delta: delta}
	if s.leading && e.GetTerm() == s.term && len(s.pending) > 0 {
		s.commits++
		s.commitTime += q.now().Sub(s.pending[0].since)
		s.pending[0].entry = false
		p.answers = []pending{s.pending[0]}
		s.pending = slices.Delete(s.pending, 0, 1)
	}
	q.publish.add(p)
	q.answerUnblocked()
	return nil
}

func (q *Quorum) applyMembers(e *pb.Entry) error {
	var change pb.ConfChangeI
	if e.GetType() == pb.EntryConfChange {
		cc := &pb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), cc); err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
		}
		v, err := parseVoter(cc.GetContext())
		if err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
		}
		q.loop.voters[cc.GetNodeId()] = v
		change = cc
	} else {
		cc := &pb.ConfChangeV2{}
		if err := proto.Unmarshal(e.GetData(), cc); err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
		}
		change = cc
	}
	conf := q.raft.ApplyConfChange(change)
	if err := q.storage.saveHardState(q.storage.saved.hard, conf); err != nil {
		return err
	}
	q.noteController()
	return nil
}

// noteController publishes an image that names another controller than the last one.
func (q *Quorum) noteController() {
	if s := &q.loop; s.applied.ControllerID() != q.leader() {
		s.applied = s.applied.WithController(q.leader())
		q.publish.add(publication{image: s.applied})
	}
}

// leader returns the node that leads as far as this one knows.
func (q *Quorum) leader() cluster.NodeID {
	if v, ok := q.loop.voters[q.raft.BasicStatus().Lead]; ok {
		return v.NodeID
	}
	return cluster.NoLeader
}
