package quorum

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/logbahn/logbahn/internal/cluster"
)

const (
	requestsQueued = 256  // requests that wait for the loop
	requestsParked = 1024 // requests that wait for a leader
	messagesQueued = 4096 // messages of other voters that wait for the loop
	lossesQueued   = 64   // brokers that are said to be lost, and wait for the loop
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
	ended        bool // in order, with Close
	snapshotting bool // a snapshot is being written beside the loop

	// What was proposed here and committed, for Status.
	commits    int64
	commitTime time.Duration

	follower follower

	waiting []*request // requests that wait for a leader
	orphans []pending  // proposals of earlier terms that are neither committed nor overruled, in the order of their entries

	// The rest is of a leader.
	leading  bool
	term     uint64
	ready    bool           // the entries of earlier terms are applied
	next     uint64         // the index of the next proposal's entry, once ready
	proposed *cluster.Image // applied, and what has been proposed since
	pending  []pending      // proposals of this term, in the order of their entries
	sent     map[uint64]int // followers that are sent a snapshot, and for how many ticks
	contacts map[uint64]contact

	joining     *joining // the voter that is being added
	changeIndex uint64   // the index of a change of the members that is not committed, 0 without one
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

// alone tells whether this node is the only member: nobody has to hear from it.
func (q *Quorum) alone() bool {
	conf := q.storage.saved.conf
	return len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == q.cfg.Self.RaftID() && len(conf.GetLearners()) == 0
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
	defer q.timers.stop()
	q.loop.running = true
	for {
		q.setTimers()
		var err error
		select {
		case <-q.stop:
			q.loop.ended = true
			return
		case <-ticks(q.timers.raft):
			q.raft.Tick()
			if !q.loop.leading {
				q.loop.follower.deaf++
			}
			q.resendSnapshots()
			q.advanceJoining()
		case <-ticks(q.timers.machine):
			q.tickMachine()
		case <-q.again:
			q.tickMachine()
		case m := <-q.inbox:
			q.step(m)
		case r := <-q.requests:
			q.take(r)
		case r := <-q.snapshots:
			err = q.covered(r)
		case r := <-q.fetches:
			err = q.fetched(r)
		case <-q.resigns:
			q.resign()
		case l := <-q.losses:
			q.lose(l)
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

// step gives raft a message of another member. One that makes no sense in this state is raft's to refuse: the sender finds
// out by itself.
func (q *Quorum) step(m *pb.Message) {
	switch m.GetType() {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		if m.GetTerm() >= q.raft.BasicStatus().GetTerm() {
			q.loop.follower.deaf = 0
		}
	}
	_ = q.raft.Step(m)
	switch m.GetType() {
	case pb.MsgAppResp, pb.MsgHeartbeatResp:
		q.heardOf(m.GetFrom())
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
	q.takeWaiting(requestsBatch - 1)
}

// takeWaiting handles requests that wait, n at most.
func (q *Quorum) takeWaiting(n int) {
	for range n {
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
		q.send(rd.Messages)
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
		if q.loop.leading && q.loop.ready { // not before: raft makes no change of the members until it knows that all is applied
			q.retryWaiting()
		}
	}
	if err := q.snapshotIfDue(); err != nil {
		return err
	}
	return q.fetchIfDue()
}

// send hands messages to the transport, but for the answers to what was fetched.
func (q *Quorum) send(messages []*pb.Message) {
	messages = slices.DeleteFunc(messages, func(m *pb.Message) bool { return m.GetTo() == raft.None })
	if len(messages) > 0 {
		q.cfg.Transport.Send(messages)
	}
}

// spaceRetry is how long the loop waits when the disk is full.
const spaceRetry = 200 * time.Millisecond

// save makes a Ready durable.
func (q *Quorum) save(rd raft.Ready) error {
	return q.untilSpace(func() error { return q.storage.save(rd) })
}

// untilSpace does what needs space on the disk. When the disk is full it waits: nothing has been promised yet. Requests wait
// with it, and other voters elect another leader.
func (q *Quorum) untilSpace(write func() error) error {
	told := false
	for {
		err := write()
		if !noSpace(err) || !q.loop.running {
			return err
		}
		if !told {
			q.log.Error("the disk is full: no change of the metadata until there is space", "err", err)
			told = true
			q.stalled.Store(true)
			defer q.stalled.Store(false)
		}
		select {
		case <-q.stop:
			return ErrClosed
		case <-time.After(spaceRetry):
		}
	}
}

// follow notices that leadership has changed.
func (q *Quorum) follow(soft *raft.SoftState) {
	s := &q.loop
	if soft == nil {
		return
	}
	leading := soft.RaftState == raft.StateLeader
	if s.leading && !leading {
		q.orphan()
	}
	s.leading = leading
	s.term = q.raft.BasicStatus().GetTerm()
	q.noteController()
	if leading {
		s.follower.deaf = 0
	}
	if !leading && soft.Lead != raft.None {
		q.retryWaiting()
	}
}

// noteController publishes an image that names another controller than the last one.
func (q *Quorum) noteController() {
	if s := &q.loop; s.applied.ControllerID() != q.leader() {
		s.applied = s.applied.WithController(q.leader())
		q.publish.add(publication{image: s.applied})
		if !s.leading && q.leader() != cluster.NoLeader { // whose name may be news of an entry
			q.retryWaiting()
		}
	}
}

// leader returns the node that leads as far as this one knows.
func (q *Quorum) leader() cluster.NodeID {
	if v, ok := q.loop.voters[q.raft.BasicStatus().Lead]; ok {
		return v.NodeID
	}
	if !q.member() {
		return q.loop.follower.leader
	}
	return cluster.NoLeader
}
