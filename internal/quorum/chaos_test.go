package quorum

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
)

// TestChaosQuorum lets quorums of three and five live through lost, doubled and delayed messages, cuts in one and in both
// directions, stops, kills, power losses, full disks, resignations and changes of their members. LOGBAHN_QUORUM_SEEDS=from:to
// says which seeds (make quorum).
func TestChaosQuorum(t *testing.T) {
	from, to := uint64(0), uint64(60)
	if seeds := os.Getenv("LOGBAHN_QUORUM_SEEDS"); seeds != "" {
		if _, err := fmt.Sscanf(seeds, "%d:%d", &from, &to); err != nil {
			t.Fatalf("LOGBAHN_QUORUM_SEEDS=%s: %v", seeds, err)
		}
	}
	const lanes = 4
	for lane := range uint64(lanes) {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			for seed := from + lane; seed < to && !t.Failed(); seed += lanes {
				bubble(t, seed, 3+2*int(seed%2), func(s *simulated) { chaos(s, 25) })
			}
		})
	}
}

// chaos does something evil every now and then, while clients work.
func chaos(s *simulated, steps int) {
	s.loss = float64(s.rng.IntN(4)) * 0.05
	s.startAll()
	for range s.rng.IntN(3) {
		s.mustStart(s.add(cluster.NodeID(len(s.nodes) + 1))) // an observer
	}
	stop := s.clients(3)
	for range steps {
		s.misfortune()
		s.mu.Lock()
		d := time.Duration(s.rng.Int64N(int64(time.Second)))
		s.mu.Unlock()
		time.Sleep(d)
		s.restartCrashed()
	}
	stop()
	s.settle()
}

// clients starts callers that commit keys; the function that it returns ends them.
func (s *simulated) clients(n int) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var count atomic.Int64
	done := make(chan struct{})
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				once, end := context.WithTimeout(ctx, time.Duration(1+s.draw(100))*100*time.Millisecond)
				n := s.leader()
				if n == nil || s.draw(20) == 0 {
					n = s.anyNode()
				}
				s.doAt(once, n, fmt.Sprint("k", count.Add(1)))
				end()
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	return func() {
		cancel()
		for range n {
			<-done
		}
	}
}

func (s *simulated) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

func (s *simulated) anyNode() *simNode {
	return s.nodes[cluster.NodeID(1+s.draw(len(s.nodes)))]
}

func (s *simulated) misfortune() {
	n := s.anyNode()
	switch s.draw(15) {
	case 0, 1:
		s.mu.Lock()
		clear(s.cut)
		s.mu.Unlock()
	case 2:
		s.isolate(n.id, true)
	case 3:
		s.mu.Lock()
		s.cut[[2]cluster.NodeID{n.id, cluster.NodeID(1 + s.rng.IntN(len(s.nodes)))}] = true
		s.mu.Unlock()
	case 4, 5, 6:
		if n.v == nil {
			s.mustStart(n)
			return
		}
		how := []func(*vfs.Mem) *vfs.Mem{nil, kill, powerLoss(uint64(s.draw(1 << 30)))}[s.draw(3)]
		s.stop(n, how)
	case 7: // all lose power at once
		for _, n := range s.nodes {
			if n.v != nil {
				s.stop(n, powerLoss(uint64(s.draw(1<<30))))
			}
		}
		s.startAll()
	case 8:
		if n.v != nil {
			n.disk.Add(vfs.Rule{
				Match: func(op vfs.Op, _ string) bool { return op == vfs.OpWrite },
				Times: 1 + s.draw(20), Fault: vfs.Fault{Err: syscall.ENOSPC},
			})
		}
	case 9:
		s.loseDisk(n)
	case 10:
		if n.v != nil {
			s.losePowerAt(n, 1+s.draw(100), uint64(s.draw(1<<30)))
		}
	case 11: // about at once
		for _, n := range s.nodes {
			if n.v != nil {
				s.losePowerAt(n, 1+s.draw(12), uint64(s.draw(1<<30)))
			}
		}
	case 12:
		s.resign()
	default:
		s.changeMembers(n)
	}
}

// resign asks whoever leads to hand over, while clients work. It may have nobody to hand over to.
func (s *simulated) resign() {
	leader := s.leader()
	if leader == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	s.note(leader.id, "resigns: %v", s.running(leader.id).Resign(ctx))
}

// loseDisk empties the disk of a node. Of voters it may take one of four: with another change of the members under way that
// is one of three, which a quorum survives.
func (s *simulated) loseDisk(n *simNode) {
	leader := s.leader()
	if leader == nil || n.v == nil {
		return
	}
	voters := 0
	for _, m := range s.running(leader.id).Status().Members {
		if m.Learner {
			continue
		}
		if voters++; !s.exists(m.Voter) {
			return // one is lost already
		}
	}
	if voters >= 4 {
		s.stop(n, kill)
		s.wipe(n)
		s.mustStart(n)
	}
}

// exists tells whether a node still has the directory of a voter.
func (s *simulated) exists(v Voter) bool { return s.nodes[v.NodeID].self.is(v) }

// changeMembers makes a voter of an observer, or the other way round, if a leader can be asked. It does not wait for long.
func (s *simulated) changeMembers(n *simNode) {
	leader := s.leader()
	if leader == nil {
		return
	}
	q := s.running(leader.id)
	members := q.Status().Members
	lost := slices.IndexFunc(members, func(m Member) bool { return !s.exists(m.Voter) })
	voter := slices.ContainsFunc(members, func(m Member) bool { return m.Voter.is(n.self) && !m.Learner })
	var req kmsg.Request
	switch {
	case lost >= 0:
		req = removeVoter(members[lost].Voter)
	case !voter:
		req = addVoter(n.self)
	case len(members) > 2:
		req = removeVoter(n.self)
	default:
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	resp, err := q.Do(ctx, req)
	s.note(leader.id, "asked to change the members: %+v: %+v %v", req, resp, err)
}

func addVoter(v Voter) *kmsg.AddRaftVoterRequest {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = v.NodeID, v.DirectoryID, 10_000
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", fmt.Sprint("host", v.NodeID), 9093
	req.Listeners = append(req.Listeners, l)
	return req
}

func removeVoter(v Voter) *kmsg.RemoveRaftVoterRequest {
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID = v.NodeID, v.DirectoryID
	return req
}
