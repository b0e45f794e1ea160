package quorum

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// voters returns the node ids of the voters, as the leader knows them.
func (s *simulated) voters() (ids []cluster.NodeID) {
	s.t.Helper()
	s.await(20*time.Second, "a leader", func() bool { return s.leader() != nil })
	for _, m := range s.running(s.leader().id).Status().Members {
		if !m.Learner {
			ids = append(ids, m.NodeID)
		}
	}
	return ids
}

func (s *simulated) wantVoters(want ...cluster.NodeID) {
	s.t.Helper()
	if got := s.voters(); !slices.Equal(got, want) {
		s.t.Fatalf("voters %v, want %v\n%s", got, want, s.describe())
	}
}

func wantCode(t *testing.T, what string, code int16, text *string, want wire.Error, part string) {
	t.Helper()
	if wire.Error(code) != want || part != "" && (text == nil || !strings.Contains(*text, part)) {
		said := "nothing"
		if text != nil {
			said = *text
		}
		t.Fatalf("%s: %v (%s), want %v with %q", what, wire.Error(code), said, want, part)
	}
}

func (s *simulated) addVoter(v Voter, want wire.Error, part string) {
	s.t.Helper()
	resp := simAsk[*kmsg.AddRaftVoterResponse](s, addVoter(v))
	wantCode(s.t, fmt.Sprint("add ", v.NodeID), resp.ErrorCode, resp.ErrorMessage, want, part)
}

func (s *simulated) removeVoter(v Voter, want wire.Error, part string) {
	s.t.Helper()
	resp := simAsk[*kmsg.RemoveRaftVoterResponse](s, removeVoter(v))
	wantCode(s.t, fmt.Sprint("remove ", v.NodeID), resp.ErrorCode, resp.ErrorMessage, want, part)
}

// TestVotersAreAddedAndRemoved grows a quorum of one to three, and takes the first one out.
func TestVotersAreAddedAndRemoved(t *testing.T) {
	bubble(t, 1, 1, func(s *simulated) {
		one, two, three := s.nodes[1], s.add(2), s.add(3)
		s.startAll()
		s.mustDo("a")
		s.addVoter(two.self, wire.None, "")
		s.wantVoters(1, 2)
		s.addVoter(three.self, wire.None, "")
		s.wantVoters(1, 2, 3)
		list := "[" + one.self.String() + ", " + two.self.String() + ", " + three.self.String() + "]"
		s.addVoter(two.self, wire.DuplicateVoter, "The voter id for "+two.self.String()+" is already part of the set of voters "+list+".")
		nobody := Voter{NodeID: 9, DirectoryID: cluster.UUID{9}}
		s.removeVoter(nobody, wire.VoterNotFound, "Cannot remove voter "+nobody.String()+" from the set of voters "+list)
		s.removeVoter(one.self, wire.None, "")
		s.wantVoters(2, 3)
		s.mustDo("b")
		s.settle() // node 1 follows as observer
		s.stop(one, kill)
		s.mustDo("c") // and is not needed
		s.removeVoter(two.self, wire.None, "")
		s.removeVoter(three.self, wire.InvalidRequest, "it is the only one")
		s.settle()
		s.wantVoters(3)
	})
}

// TestLeaderRemovesItself takes out whoever leads, again and again.
func TestLeaderRemovesItself(t *testing.T) {
	bubble(t, 2, 5, func(s *simulated) {
		s.startAll()
		for left := 4; left >= 2; left-- {
			s.mustDo("a")
			s.removeVoter(s.leader().self, wire.None, "")
			s.await(10*time.Second, "another leader", func() bool { return s.leader() != nil && len(s.voters()) == left })
		}
		s.settle()
		for _, n := range s.nodes {
			if voter := slices.Contains(s.voters(), n.id); !voter && n.v.isMember() {
				t.Errorf("node %d does not know that it was removed", n.id)
			}
		}
	})
}

// TestVoterThatIsNotThere is added and does not catch up: it is dropped, and another one can be added.
func TestVoterThatIsNotThere(t *testing.T) {
	bubble(t, 3, 3, func(s *simulated) {
		s.startAll()
		ghost := Voter{NodeID: 7, DirectoryID: cluster.UUID{7}}
		four := s.add(4)
		s.mustStart(four)
		s.mustDo("a")
		second := make(chan *kmsg.AddRaftVoterResponse)
		go func() {
			time.Sleep(time.Second)
			resp, err := s.running(s.leader().id).Do(s.t.Context(), addVoter(four.self))
			if err != nil {
				t.Error(err)
			}
			second <- resp.(*kmsg.AddRaftVoterResponse)
		}()
		s.addVoter(ghost, wire.RequestTimedOut, "Aborted add voter operation for "+ghost.String()+" since it is lagging behind")
		resp := <-second
		wantCode(t, "the second", resp.ErrorCode, resp.ErrorMessage, wire.RequestTimedOut, "Request timed out waiting for leader to handle previous voter change request")
		s.addVoter(four.self, wire.None, "")
		s.wantVoters(1, 2, 3, 4)
		for _, m := range s.running(s.leader().id).Status().Members {
			if m.NodeID == 4 && m.Address != "host4:9093" {
				t.Errorf("node 4 is at %q", m.Address)
			}
		}
		s.settle()
	})
}

// TestAdditionOutlivesItsLeader stops the leader that is adding a voter: the next one goes on.
func TestAdditionOutlivesItsLeader(t *testing.T) {
	bubble(t, 4, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		four := s.add(4)
		leader := s.leader()
		answered := make(chan error)
		go func() {
			_, err := s.running(leader.id).Do(s.t.Context(), addVoter(four.self))
			answered <- err
		}()
		s.await(5*time.Second, "a learner", func() bool {
			return slices.ContainsFunc(s.running(leader.id).Status().Members, func(m Member) bool { return m.Learner })
		})
		s.stop(leader, kill)
		if err := <-answered; err == nil {
			t.Error("the addition was answered")
		}
		s.mustStart(four)
		s.await(20*time.Second, "node 4 to be a voter", func() bool { return s.leader() != nil && slices.Contains(s.voters(), 4) })
		s.settle()
	})
}

// TestVoterIsAddedByANewLeader asks while nobody leads, and the next leader has still to commit what the last one has left.
func TestVoterIsAddedByANewLeader(t *testing.T) {
	bubble(t, 10, 3, func(s *simulated) {
		four := s.add(4)
		s.startAll()
		s.mustDo("a")
		s.settle()
		old := s.leader()
		q, committed := s.running(old.id), s.running(old.id).Status().HighWatermark
		s.mu.Lock()
		for id := range s.nodes {
			s.cut[[2]cluster.NodeID{id, old.id}] = true
		}
		s.mu.Unlock()
		go func() { _, _ = q.Do(s.t.Context(), set("left")) }()
		s.await(time.Second, "an entry at all voters", func() bool {
			return !slices.ContainsFunc(s.begun, func(v Voter) bool { return s.running(v.NodeID).Status().EndOffset <= committed })
		})
		s.stop(old, kill)
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		added := make(chan *kmsg.AddRaftVoterResponse, len(s.begun))
		for _, v := range s.begun {
			if v.NodeID == old.id {
				continue
			}
			go func() {
				for ctx.Err() == nil {
					if resp, err := s.running(v.NodeID).Do(ctx, addVoter(four.self)); err == nil {
						added <- resp.(*kmsg.AddRaftVoterResponse)
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		resp := <-added
		wantCode(t, "add 4", resp.ErrorCode, resp.ErrorMessage, wire.None, "")
		cancel()
		s.settle()
		s.wantVoters(1, 2, 3, 4)
	})
}

// TestMemberRequestsThatMakeNoSense are refused by what is wrong with them.
func TestMemberRequestsThatMakeNoSense(t *testing.T) {
	bubble(t, 5, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		v := Voter{NodeID: 8, DirectoryID: cluster.UUID{8}}
		foreign := addVoter(v)
		foreign.ClusterID = kmsg.StringPtr("another")
		resp := simAsk[*kmsg.AddRaftVoterResponse](s, foreign)
		wantCode(t, "foreign", resp.ErrorCode, resp.ErrorMessage, wire.InconsistentClusterID, "")
		s.addVoter(Voter{NodeID: 8}, wire.InvalidRequest, "Add voter request didn't include a valid voter")
		nowhere := addVoter(v)
		nowhere.Listeners = nil
		resp = simAsk[*kmsg.AddRaftVoterResponse](s, nowhere)
		wantCode(t, "nowhere", resp.ErrorCode, resp.ErrorMessage, wire.InvalidRequest, "endpoint")
		s.wantVoters(1, 2, 3)
	})
}

func updateVoter(v Voter, epoch int32, port uint16) *kmsg.UpdateRaftVoterRequest {
	req := kmsg.NewPtrUpdateRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.CurrentLeaderEpoch = v.NodeID, v.DirectoryID, epoch
	l := kmsg.NewUpdateRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", "elsewhere", port
	req.Listeners = append(req.Listeners, l)
	return req
}

// TestVoterMoves tells the quorum where a voter is reached; all learn it, and remember it.
func TestVoterMoves(t *testing.T) {
	bubble(t, 6, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		epoch := s.running(s.leader().id).Status().Epoch
		for _, c := range []struct {
			req  *kmsg.UpdateRaftVoterRequest
			want wire.Error
		}{
			{updateVoter(s.nodes[2].self, epoch-1, 1), wire.FencedLeaderEpoch},
			{updateVoter(s.nodes[2].self, epoch+1, 1), wire.UnknownLeaderEpoch},
			{updateVoter(Voter{NodeID: 2, DirectoryID: cluster.UUID{2}}, epoch, 1), wire.VoterNotFound},
			{updateVoter(s.nodes[2].self, epoch, 9999), wire.None},
			{updateVoter(s.nodes[2].self, epoch, 9999), wire.None}, // nothing new
		} {
			if resp := simAsk[*kmsg.UpdateRaftVoterResponse](s, c.req); wire.Error(resp.ErrorCode) != c.want || resp.CurrentLeader.LeaderEpoch != epoch {
				t.Errorf("%v of %+v, want %v", wire.Error(resp.ErrorCode), resp.CurrentLeader, c.want)
			}
		}
		s.settle()
		s.stopAll()
		s.startAll()
		for _, n := range s.nodes {
			if at := n.v.q.Status().Members[1].Address; at != "elsewhere:9999" {
				t.Errorf("node %d knows node 2 at %q", n.id, at)
			}
		}
	})
}

// TestResign hands the leadership over without a silence.
func TestResign(t *testing.T) {
	bubble(t, 7, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		old := s.leader()
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := s.running(old.id).Resign(ctx); err != nil {
			t.Fatal(err)
		}
		if heir := s.running(old.id).Status().Leader; heir == old.id || heir == cluster.NoLeader {
			t.Errorf("it returns when node %d leads", heir)
		}
		s.await(time.Second, "another leader", func() bool { return s.leader() != nil && s.leader() != old })
		if d := time.Since(begin); d > 100*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if err := s.running(old.id).Resign(ctx); err != nil { // it does not lead
			t.Error(err)
		}
		s.settle()
	})
}

// TestResignWithoutAnHeirAtFirst asks in a moment in which nobody has answered the leader since it last counted who does.
func TestResignWithoutAnHeirAtFirst(t *testing.T) {
	bubble(t, 9, 3, func(s *simulated) {
		s.startAll()
		s.await(20*time.Second, "a leader", func() bool { return s.leader() != nil })
		const counts = electionTicks * tickDefault // from the election on, some milliseconds ago
		old := s.leader()
		answers := func(cut bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for id := range s.nodes {
				s.cut[[2]cluster.NodeID{id, old.id}] = cut
			}
		}
		time.Sleep(counts - 50*time.Millisecond)
		answers(true)
		time.Sleep(70 * time.Millisecond)
		ctx, cancel := context.WithTimeout(s.t.Context(), counts/2)
		defer cancel()
		resigned := make(chan error, 1)
		go func() { resigned <- s.running(old.id).Resign(ctx) }()
		synctest.Wait()
		if len(resigned) > 0 || s.leader() != old {
			t.Fatal("it does not lead: the test shows nothing")
		}
		answers(false)
		if err := <-resigned; err != nil {
			t.Fatal(err)
		}
		s.settle()
	})
}

// TestDescribeQuorum names voters and observers, when they were heard of and how far they are.
func TestDescribeQuorum(t *testing.T) {
	bubble(t, 8, 3, func(s *simulated) {
		four := s.add(4)
		s.startAll()
		s.settle()
		time.Sleep(2 * time.Second)
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: MetadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
		p := simAsk[*kmsg.DescribeQuorumResponse](s, req).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.LeaderID != s.leader().id || len(p.CurrentVoters) != 3 || len(p.Observers) != 1 {
			t.Fatalf("%+v", p)
		}
		for _, r := range append(p.CurrentVoters, p.Observers...) {
			ago := time.Now().UnixMilli() - r.LastFetchTimestamp
			behind := time.Now().UnixMilli() - r.LastCaughtUpTimestamp
			if r.LogEndOffset != p.HighWatermark || ago > 1000 || behind > 1000 || ago < 0 {
				t.Errorf("replica %d ends at %d of %d, fetched %d ms ago, caught up %d ms ago", r.ReplicaID, r.LogEndOffset, p.HighWatermark, ago, behind)
			}
		}
		if p.Observers[0].ReplicaID != four.id || p.Observers[0].ReplicaDirectoryID != four.self.DirectoryID {
			t.Errorf("observer %+v", p.Observers[0])
		}
	})
}
