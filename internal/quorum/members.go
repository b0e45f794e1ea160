package quorum

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// The members change at run time by Kafka's requests (KIP-853), one at a time. A new voter is a learner first, which is sent
// the log and does not count, and becomes a voter when it has caught up: the quorum never waits for an empty disk. A
// leader that finds a learner takes the addition over from the one before it.

// joining is the voter that is being added.
type joining struct {
	voter    Voter
	request  *request // nil: nobody waits
	resp     *kmsg.AddRaftVoterResponse
	deadline time.Time
}

// joinPatience is how long a new voter may take to catch up when nobody says so.
const joinPatience = 30 * time.Second

// handleMembers serves the requests about the members. It returns false for any other request.
func (q *Quorum) handleMembers(r *request) bool {
	switch req := r.req.(type) {
	case *kmsg.AddRaftVoterRequest:
		q.addVoter(r, req)
	case *kmsg.RemoveRaftVoterRequest:
		q.removeVoter(r, req)
	case *kmsg.UpdateRaftVoterRequest:
		q.updateVoter(r, req)
	case *kmsg.DescribeQuorumRequest:
		q.answerNow(r, q.DescribeQuorum(req))
	default:
		return false
	}
	return true
}

// addVoter serves AddRaftVoter.
func (q *Quorum) addVoter(r *request, req *kmsg.AddRaftVoterRequest) {
	s := &q.loop
	v := Voter{NodeID: req.VoterID, DirectoryID: req.VoterDirectoryID}
	if len(req.Listeners) > 0 {
		v.Address = address(req.Listeners[0].Host, req.Listeners[0].Port)
	}
	resp := req.ResponseKind().(*kmsg.AddRaftVoterResponse)
	refuse := func(code wire.Error, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		resp.ErrorCode, resp.ErrorMessage = code.Code(), &text
		q.answerNow(r, resp)
	}
	switch {
	case q.foreign(req.ClusterID):
		refuse(wire.InconsistentClusterID, "the cluster is %s", q.cfg.ClusterID)
	case v.NodeID < 0 || v.DirectoryID == cluster.ZeroUUID:
		refuse(wire.InvalidRequest, "Add voter request didn't include a valid voter")
	case v.Address == "":
		refuse(wire.InvalidRequest, "Add voter request didn't include an endpoint of the voter")
	case q.changing():
		refuse(wire.RequestTimedOut, "Request timed out waiting for leader to handle previous voter change request")
	case slices.ContainsFunc(q.votersNow(), func(w Voter) bool { return w.NodeID == v.NodeID }):
		refuse(wire.DuplicateVoter, "The voter id for %v is already part of the set of voters %s.", v, voterList(q.votersNow()))
	default:
		if err := q.proposeMembers(pending{}, pb.ConfChangeAddLearnerNode, v); err != nil {
			r.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
			return
		}
		s.joining = &joining{voter: v, request: r, resp: resp, deadline: q.joinDeadline(r, req.TimeoutMillis)}
	}
}

// joinDeadline leaves the caller the time to hear the answer.
func (q *Quorum) joinDeadline(r *request, timeoutMillis int32) time.Time {
	patience := joinPatience
	if timeoutMillis > 0 {
		patience = time.Duration(timeoutMillis) * time.Millisecond
	}
	if d, ok := r.ctx.Deadline(); ok {
		patience = min(patience, time.Until(d))
	}
	return q.now().Add(patience * 9 / 10)
}

// advanceJoining makes the learner a voter when it has caught up, or drops it when it has not in time.
func (q *Quorum) advanceJoining() {
	s := &q.loop
	j := s.joining
	if j == nil || !s.leading || !s.ready || s.changeIndex != 0 {
		return
	}
	p := pending{request: j.request, resp: j.resp}
	switch gone := j.request != nil && j.request.ctx.Err() != nil; {
	case q.caughtUp(j.voter.RaftID()):
		if q.proposeMembers(p, pb.ConfChangeAddNode, j.voter) == nil {
			s.joining = nil
		}
	case gone || q.now().After(j.deadline):
		if j.request != nil {
			text := fmt.Sprintf("Aborted add voter operation for %v since it is lagging behind", j.voter)
			j.resp.ErrorCode, j.resp.ErrorMessage = wire.RequestTimedOut.Code(), &text
		}
		if q.proposeMembers(p, pb.ConfChangeRemoveNode, j.voter) == nil {
			s.joining = nil
		}
	}
}

// caughtUp tells whether a learner has all that is committed.
func (q *Quorum) caughtUp(id uint64) bool {
	status := q.raft.Status()
	p, ok := status.Progress[id]
	return ok && p.RecentActive && p.State == tracker.StateReplicate && p.Match >= status.GetCommit()
}

// adoptLearner goes on with what an earlier leader has begun.
func (q *Quorum) adoptLearner() {
	s := &q.loop
	for _, id := range q.storage.saved.conf.GetLearners() {
		if v, ok := s.voters[id]; ok && s.joining == nil {
			s.joining = &joining{voter: v, deadline: q.now().Add(joinPatience)}
		}
	}
}

// removeVoter serves RemoveRaftVoter.
func (q *Quorum) removeVoter(r *request, req *kmsg.RemoveRaftVoterRequest) {
	v := Voter{NodeID: req.VoterID, DirectoryID: req.VoterDirectoryID}
	resp := req.ResponseKind().(*kmsg.RemoveRaftVoterResponse)
	refuse := func(code wire.Error, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		resp.ErrorCode, resp.ErrorMessage = code.Code(), &text
		q.answerNow(r, resp)
	}
	voters := q.votersNow()
	switch {
	case q.foreign(req.ClusterID):
		refuse(wire.InconsistentClusterID, "the cluster is %s", q.cfg.ClusterID)
	case v.NodeID < 0 || v.DirectoryID == cluster.ZeroUUID:
		refuse(wire.InvalidRequest, "Remove voter request didn't include a valid voter")
	case q.changing():
		refuse(wire.RequestTimedOut, "Request timed out waiting for leader to handle previous voter change request")
	case !slices.ContainsFunc(voters, v.is):
		refuse(wire.VoterNotFound, "Cannot remove voter %v from the set of voters %s", v, voterList(voters))
	case len(voters) == 1:
		refuse(wire.InvalidRequest, "Cannot remove voter %v: it is the only one", v)
	default:
		if q.proposeMembers(pending{request: r, resp: resp}, pb.ConfChangeRemoveNode, v) != nil {
			r.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
		}
	}
}

// updateVoter serves UpdateRaftVoter: a voter is reached elsewhere.
func (q *Quorum) updateVoter(r *request, req *kmsg.UpdateRaftVoterRequest) {
	s := &q.loop
	resp := req.ResponseKind().(*kmsg.UpdateRaftVoterResponse)
	resp.CurrentLeader.LeaderID, resp.CurrentLeader.LeaderEpoch = q.cfg.Self.NodeID, int32(s.term)
	refuse := func(code wire.Error) {
		resp.ErrorCode = code.Code()
		q.answerNow(r, resp)
	}
	v := Voter{NodeID: req.VoterID, DirectoryID: req.VoterDirectoryID}
	old := slices.IndexFunc(q.votersNow(), v.is)
	switch {
	case q.foreign(req.ClusterID):
		refuse(wire.InconsistentClusterID)
	case req.CurrentLeaderEpoch < int32(s.term):
		refuse(wire.FencedLeaderEpoch)
	case req.CurrentLeaderEpoch > int32(s.term):
		refuse(wire.UnknownLeaderEpoch)
	case len(req.Listeners) == 0 || req.Listeners[0].Host == "":
		refuse(wire.InvalidRequest)
	case q.changing():
		refuse(wire.RequestTimedOut)
	case old < 0:
		refuse(wire.VoterNotFound)
	default:
		v.Address = address(req.Listeners[0].Host, req.Listeners[0].Port)
		if q.votersNow()[old] == v {
			q.answerNow(r, resp)
		} else if q.proposeMembers(pending{request: r, resp: resp}, pb.ConfChangeUpdateNode, v) != nil {
			r.answer <- answer{err: &NotControllerError{cluster.NoLeader}}
		}
	}
}

// proposeMembers gives raft a change of the members.
func (q *Quorum) proposeMembers(p pending, kind pb.ConfChangeType, v Voter) error {
	s := &q.loop
	p.since, p.index, p.term = q.now(), s.next, s.term
	change := &pb.ConfChange{Type: kind.Enum(), NodeId: new(v.RaftID()), Context: v.context()}
	if err := q.raft.ProposeConfChange(change); err != nil {
		return err
	}
	s.next++
	s.changeIndex = p.index
	s.pending = append(s.pending, p)
	return nil
}

// answerNow answers a request that changes nothing, behind all that it has seen.
func (q *Quorum) answerNow(r *request, resp kmsg.Response) {
	q.loop.pending = append(q.loop.pending, pending{request: r, resp: resp})
	q.answerUnblocked()
}

// changing tells whether a change of the members is under way.
func (q *Quorum) changing() bool { return q.loop.joining != nil || q.loop.changeIndex != 0 }

func (q *Quorum) foreign(clusterID *string) bool {
	return clusterID != nil && *clusterID != q.cfg.ClusterID
}

// votersNow returns the voters, sorted by node id.
func (q *Quorum) votersNow() []Voter {
	var list []Voter
	for _, id := range q.storage.saved.conf.GetVoters() {
		if v, ok := q.loop.voters[id]; ok {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, compareVoters)
	return list
}

func voterList(voters []Voter) string {
	texts := make([]string, len(voters))
	for i, v := range voters {
		texts[i] = v.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func address(host string, port uint16) string {
	if host == "" {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
