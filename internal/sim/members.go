package sim

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// changeVoters takes a voter out of the quorum and lets it in again, while controllers are killed. What is asked may be lost with
// them: it is asked until it is so.
func (r *Run) changeVoters() {
	m := r.Pick()
	directory := r.directory(m)
	r.change(m, false, func(ctx context.Context, cl *kgo.Client) error { return removeVoter(ctx, cl, m, directory) })
	if chance(r.Rand, 3) { // one that starts takes its place by itself
		r.crash(m, m.Kill)
	}
	r.change(m, true, func(ctx context.Context, cl *kgo.Client) error { return addVoter(ctx, cl, m, directory) })
}

// change asks for it until a machine votes, or does not, and kills the controller meanwhile now and then.
func (r *Run) change(m *Machine, votes bool, do func(context.Context, *kgo.Client) error) {
	kill := chance(r.Rand, 2)
	what := m.Name + " does not vote"
	if votes {
		what = m.Name + " votes"
	}
	r.await(what, func() bool {
		voters := r.voters()
		if _, is := voters[m.ID]; is == votes && len(voters) > 0 {
			return true
		}
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			r.admin(callMax, func(ctx context.Context, cl *kgo.Client) { r.Trace.Logf("asked: %s: %v", what, do(ctx, cl)) })
		}()
		if kill {
			kill = false
			r.Between(0, 50*time.Millisecond)
			c := r.controller()
			r.crash(c, c.Kill)
		}
		<-asked
		return false
	})
}

func removeVoter(ctx context.Context, cl *kgo.Client, m *Machine, directory [16]byte) error {
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID = m.ID, directory
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

func addVoter(ctx context.Context, cl *kgo.Client, m *Machine, directory [16]byte) error {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = m.ID, directory, int32(callMax.Milliseconds())
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", m.ip.String(), brokerPort
	req.Listeners = append(req.Listeners, l)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// checkVoters tells when not every machine votes.
func (r *Run) checkVoters() {
	r.await("every machine votes", func() bool {
		voters := r.voters()
		return !slices.ContainsFunc(r.Machines, func(m *Machine) bool { _, votes := voters[m.ID]; return !votes })
	})
}
