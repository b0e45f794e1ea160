package quorum

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/seeded"
)

// apply makes the next image of a committed entry.
func (q *Quorum) apply(e *pb.Entry) error {
	s := &q.loop
	s.index = e.GetIndex()
	if s.index == s.changeIndex {
		s.changeIndex = 0
	}
	p := publication{answers: q.committed(e)}
	var err error
	switch {
	case e.GetType() != pb.EntryNormal:
		err = q.applyMembers(e)
	case len(e.GetData()) == 0:
		q.applyEmpty(e)
		refuse(p.answers) // raft puts an empty entry in the place of a change of the members that it does not make
		p.answers = nil
	default:
		p.delta, err = q.applyChanges(e)
	}
	if err != nil {
		return fmt.Errorf("metadata offset %d: %w", e.GetIndex()-1, err)
	}
	if s.leading && s.ready && len(s.pending) == 0 {
		s.proposed = s.applied // the same, once in memory
	}
	p.image = s.applied
	q.publish.add(p)
	q.answerUnblocked()
	return nil
}

// applyEmpty notices that the first entry of a term is committed: its leader knows what is, and serves requests.
func (q *Quorum) applyEmpty(e *pb.Entry) {
	s := &q.loop
	if !s.leading || s.ready || e.GetTerm() != s.term {
		return
	}
	s.ready, s.proposed, s.next = true, s.applied, e.GetIndex()+1
	q.cfg.Machine.Elected()
	q.adoptLearner()
}

func refuse(proposals []pending) {
	for _, p := range proposals {
		if p.request != nil {
			p.request.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
		}
	}
}

func (q *Quorum) applyChanges(e *pb.Entry) (cluster.Delta, error) {
	s := &q.loop
	_, encoded, err := entryChanges(e.GetData())
	if err != nil {
		return cluster.Delta{}, err
	}
	changes, err := cluster.ParseChanges(encoded)
	if err != nil {
		return cluster.Delta{}, err
	}
	next, delta, err := s.applied.Apply(changes, int64(e.GetIndex())-1, int32(e.GetTerm()))
	if err != nil {
		return cluster.Delta{}, err
	}
	s.applied = next
	return delta, nil
}

// applyMembers carries out a change of the members. The state that this node started with may have it already.
func (q *Quorum) applyMembers(e *pb.Entry) error {
	if e.GetType() != pb.EntryConfChange {
		return fmt.Errorf("a change of the members of type %v, which this release does not make", e.GetType())
	}
	change := &pb.ConfChange{}
	if err := proto.Unmarshal(e.GetData(), change); err != nil {
		return err
	}
	if change.GetType() == pb.ConfChangeRemoveNode {
		if seeded.Is(seeded.KeepRemovedVoter) {
			return nil
		}
		delete(q.loop.voters, change.GetNodeId())
	} else {
		v, err := parseVoter(change.GetContext())
		if err != nil {
			return err
		}
		q.loop.voters[change.GetNodeId()] = v
	}
	if e.GetIndex() > q.storage.saved.confIndex {
		q.storage.saved.conf, q.storage.saved.confIndex = q.raft.ApplyConfChange(change), e.GetIndex()
	}
	q.log.Info("the members of the metadata quorum have changed", "offset", e.GetIndex()-1, "voters", voterList(q.votersNow()))
	if change.GetNodeId() == q.cfg.Self.RaftID() && !q.member() {
		q.loop.follower.deaf = deafTicks // removed: nobody sends it the log any more
	}
	q.publishStatus() // before the answer: who has asked for the change finds it made
	q.tellMembers()
	q.noteController()
	return nil
}

// tellMembers says who the members are.
func (q *Quorum) tellMembers() {
	if q.cfg.Members != nil {
		q.cfg.Members(q.members(q.raft.Status()))
	}
}
