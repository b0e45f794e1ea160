package quorum

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// TestDamagedVoterAmongOthers damages or removes each file of a voter's: it refuses to start and says what to do, the others go
// on, and what it says to do works.
func TestDamagedVoterAmongOthers(t *testing.T) {
	remove := func(t *testing.T, fsys vfs.FS, name string) {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for what, damage := range map[string]func(*testing.T, vfs.FS, string){
		stateFile + " flipped": flip, stateFile + " removed": remove,
		snapshotSuffix + " flipped": flip, snapshotSuffix + " removed": remove,
		".log removed": remove,
		".log shorter": func(t *testing.T, fsys vfs.FS, _ string) { shorten(t, fsys, 300) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, 1, 3, func(s *simulated) {
				s.startAll()
				for i := range 1200 { // the log does not begin at its first entry any more
					s.mustDo(fmt.Sprint(i))
				}
				s.settle()
				ill := s.leader()
				s.stop(ill, kill)
				names, err := ill.mem.List(metadataFolder)
				if err != nil {
					t.Fatal(err)
				}
				suffix, _, _ := strings.Cut(what, " ")
				names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, suffix) })
				damage(s.t, ill.mem, path.Join(metadataFolder, names[len(names)-1]))
				switch err := s.start(ill); {
				case err == nil:
					t.Fatal("it starts")
				case !errors.Is(err, errDamaged) && !errors.Is(err, commitlog.ErrCorrupt) && !strings.Contains(err.Error(), "restore"):
					t.Fatal(err)
				}
				s.mustDo("meanwhile")
				s.wipe(ill)
				s.mustStart(ill)
				s.mustDo("with an empty directory")
				time.Sleep(5 * time.Second)
				if ill.v.isMember() {
					t.Fatal("an empty directory is a member")
				}
				old := s.begun[ill.id-1]
				s.removeVoter(old, wire.None, "")
				s.addVoter(ill.self, wire.None, "")
				s.settle()
				s.wantVoters(1, 2, 3)
			})
		})
	}
}

// TestEmptiedVoterDoesNotVote empties the disk of one voter while the only other one that has an entry is away: the third
// one, without the entry, must not win with the help of who has forgotten.
func TestEmptiedVoterDoesNotVote(t *testing.T) {
	bubble(t, 2, 3, func(s *simulated) {
		s.startAll()
		s.mustDo("a")
		leader := s.leader()
		without, forgets := s.nodes[1+leader.id%3], s.nodes[1+(leader.id+1)%3]
		s.isolate(without.id, true)
		s.mustDo("b") // by the leader and the one that will forget
		s.stop(leader, kill)
		s.stop(forgets, kill)
		s.wipe(forgets)
		s.isolate(without.id, false)
		s.mustStart(forgets)
		time.Sleep(20 * time.Second)
		if s.leader() != nil {
			t.Fatalf("a leader without what was acknowledged\n%s", s.describe())
		}
		s.mustStart(leader)
		s.mustDo("c")
		s.settle()
	})
}

// TestJoinerOfABegunCluster opens two of three voters on nothing, as nodes that another has begun the cluster with: they vote
// before they have a log, and remember it.
func TestJoinerOfABegunCluster(t *testing.T) {
	bubble(t, 3, 3, func(s *simulated) {
		all := s.begun
		s.mustStart(s.nodes[1])
		s.begun = []Voter{all[0]}
		s.mustStart(s.nodes[2], s.nodes[3])
		s.mustDo("a")
		for _, n := range s.nodes {
			s.stop(n, powerLoss(uint64(n.id)))
		}
		s.settle()
		s.wantVoters(1, 2, 3)
	})
}

// TestJoinerRemembersItsVote stops a joiner when it has voted and has no log yet.
func TestJoinerRemembersItsVote(t *testing.T) {
	fsys := vfs.NewMem()
	dir, err := commitlog.OpenDir(commitlog.DirConfig{FS: fsys, Path: "data", ClusterID: "c", NodeID: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	log, err := dir.Open(commitlog.TopicPartition{Topic: MetadataTopic}, MetadataTopicID, commitlog.DefaultConfig(), commitlog.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		s, err := openStorage(fsys, metadataFolder, log)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			hard := newState().hard
			hard.Term, hard.Vote = new(uint64(2)), new(uint64(77))
			err = s.saveHardState(hard)
		}
		if err != nil || s.saved.hard.GetVote() != 77 || s.saved.hard.GetTerm() != 2 {
			t.Errorf("round %d: %v %v", round, s.saved.hard, err)
		}
		if err := s.acked.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMembersAreRememberedWithTheirEntry opens a log that adds and removes a member behind the snapshot: the changes that
// quorum-state has are not made again.
func TestMembersAreRememberedWithTheirEntry(t *testing.T) {
	bubble(t, 4, 3, func(s *simulated) {
		four, five := s.add(4), s.add(5)
		s.startAll()
		for _, n := range []*simNode{four, five} {
			s.addVoter(n.self, wire.None, "")
		}
		s.removeVoter(four.self, wire.None, "")
		s.settle()
		for _, n := range s.nodes {
			before := n.v.q.storage.saved
			s.stop(n, kill)
			s.mustStart(n)
			if after := n.v.q.storage.saved; after.confIndex < before.confIndex || slices.Contains(after.conf.GetVoters(), four.self.RaftID()) {
				t.Errorf("node %d: members %v at entry %d, before %v at %d", n.id, after.conf, after.confIndex, before.conf, before.confIndex)
			}
		}
		s.settle()
		s.wantVoters(1, 2, 3, 5)
	})
}

// TestSilentBrokersAreFenced uses the controller that nodes have: a broker that is silent for its session is fenced by the
// leading loop, and a leader that is new gives every broker a session.
func TestSilentBrokersAreFenced(t *testing.T) {
	bubble(t, 5, 3, func(s *simulated) {
		s.change = func(c *Config) { c.Machine = controller.New(controller.Config{}) }
		s.check.fail = func(string, ...any) {} // its chain is of another machine
		s.startAll()
		epochs := map[int32]int64{}
		for id := range int32(3) {
			req := kmsg.NewPtrBrokerRegistrationRequest()
			req.BrokerID, req.ClusterID, req.IncarnationID = id+1, "c", [16]byte{byte(id + 1)}
			l := kmsg.NewBrokerRegistrationRequestListener()
			l.Name, l.Host, l.Port = "PLAINTEXT", "localhost", 9092
			req.Listeners = append(req.Listeners, l)
			epochs[id+1] = simAsk[*kmsg.BrokerRegistrationResponse](s, req).BrokerEpoch
		}
		beat := func(id int32) {
			req := kmsg.NewPtrBrokerHeartbeatRequest()
			req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = id, epochs[id], s.running(s.leader().id).Image().Offset()
			if code := simAsk[*kmsg.BrokerHeartbeatResponse](s, req).ErrorCode; code != 0 {
				t.Fatalf("heartbeat of %d: %d", id, code)
			}
		}
		fenced := func(id int32) bool {
			b, ok := s.running(s.leader().id).Image().Broker(id)
			return !ok || b.Fenced
		}
		for range 3 {
			for id := range int32(3) {
				beat(id + 1)
			}
		}
		for range 16 { // 8 s of 9
			time.Sleep(500 * time.Millisecond)
			beat(1)
			beat(2)
		}
		if fenced(1) || fenced(2) || fenced(3) {
			t.Fatal("fenced too early")
		}
		s.stop(s.leader(), kill)
		s.await(5*time.Second, "another leader", func() bool { return s.leader() != nil })
		begin := time.Now()
		for !fenced(3) {
			beat(1)
			beat(2)
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(begin); d < 8*time.Second || d > 11*time.Second {
			t.Errorf("fenced %v after the new leader began", d)
		}
		if fenced(1) || fenced(2) {
			t.Error("brokers that are heard are fenced")
		}
	})
}

// TestLoneNodeSleeps leaves a node that is alone with its own broker without any timer.
func TestLoneNodeSleeps(t *testing.T) {
	v := controlled(t, vfs.NewMem(), 1, 0)
	v.q.Subscribe(func(*cluster.Image, cluster.Delta) {}) // the loop has had its turn
	v.close()
	if raft, machine := v.q.timers.raft, v.q.timers.machine; raft != nil || machine != nil {
		t.Error("it ticks")
	}
}
