package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// audit is a client that asks any machine what the group has committed, and takes what it is answered as it is: no answer may be
// older than what is known, and who does not know must say so.
func (l *Load) audit(ctx context.Context, r *rand.Rand, host *Host) {
	cl, err := l.auditor(host)
	if err != nil {
		l.tell("audit: %v", err)
		return
	}
	defer cl.Close()
	for rest(ctx, r, 400*time.Millisecond) {
		l.askCommitted(ctx, cl, r.IntN(len(l.cluster.Machines)))
	}
}

// auditor returns a client that speaks of groups' offsets by the topic's name.
func (l *Load) auditor(host *Host) (*kgo.Client, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.OffsetFetch.Int16(), 9)
	versions.SetMaxKeyVersion(kmsg.OffsetCommit.Int16(), 9)
	return l.client(host, kgo.MaxVersions(versions))
}

// askCommitted asks one machine for the group's offsets.
func (l *Load) askCommitted(ctx context.Context, cl *kgo.Client, machine int) {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic = topic
	for p := range int32(partitions) {
		t.Partitions = append(t.Partitions, p)
	}
	g.Group, g.Topics = group, append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	begin := l.now()
	resp, err := ask[*kmsg.OffsetFetchResponse](ctx, cl, machine, req)
	l.op("audit %d: %v", machine+1, err)
	if err == nil {
		l.judgeCommitted(machine, begin, resp)
	}
}

func (l *Load) judgeCommitted(machine int, begin time.Duration, resp *kmsg.OffsetFetchResponse) {
	name := l.cluster.Machines[machine].Name
	if len(resp.Groups) != 1 {
		l.tell("%s answers for %d groups, asked for one", name, len(resp.Groups))
		return
	}
	switch err := kerr.ErrorForCode(resp.Groups[0].ErrorCode); err {
	case nil:
	case kerr.CoordinatorLoadInProgress:
		l.mu.Lock()
		l.loading++
		l.mu.Unlock()
		return
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable:
		return
	default:
		l.tell("%s answers who asks for the group's offsets: %v", name, err)
		return
	}
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				l.tell("%s answers who asks for the offset of partition %d: %v", name, p.Partition, kerr.ErrorForCode(p.ErrorCode))
				continue
			}
			l.cluster.Trace.Countf("audit of %s, %d: %d", name, p.Partition, p.Offset)
			l.recordFetched(check.Fetched{
				Partition: check.Partition{Topic: topic, Index: p.Partition}, Group: group, Offset: p.Offset, Begin: begin, End: l.now(),
			})
		}
	}
}

// Loading is how often a coordinator has answered that it loads.
func (l *Load) Loading() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loading
}

// auditFor asks every machine in turn for a while.
func (r *Run) auditFor(d time.Duration) {
	cl, err := r.Load.auditor(r.Load.host[1])
	if err != nil {
		r.Load.tell("audit: %v", err)
		return
	}
	defer cl.Close()
	for until := time.Now().Add(d); time.Now().Before(until); r.Sleep(20 * time.Millisecond) {
		for i := range r.Machines {
			r.Load.askCommitted(context.Background(), cl, i)
		}
	}
}

// killCoordinator ends the machine that coordinates the group, while disks are slow enough for somebody to come while the next
// one loads.
func (r *Run) killCoordinator() {
	m := r.coordinator()
	for _, m := range r.Machines {
		m.SlowGroups(600 * time.Millisecond)
	}
	switch r.Rand.IntN(3) {
	case 0:
		r.powerLoss(m)
	case 1: // long enough for another to take over
		m.Kill()
		r.auditFor(11 * time.Second)
		m.PowerOn()
	default:
		r.crash(m, m.Kill)
	}
	r.auditFor(5 * time.Second)
	for _, m := range r.Machines {
		m.SlowGroups(0)
	}
}

// coordinator returns who coordinates the group, any machine when nobody is known to.
func (r *Run) coordinator() *Machine {
	found := r.Pick()
	r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
		if c := kadm.NewClient(cl).FindGroupCoordinators(ctx, group)[group]; c.Err == nil && c.NodeID > 0 {
			found = r.Machines[c.NodeID-1]
		}
	})
	return found
}
