package quorum

import (
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// machineInterval is how often a leader lets the machine look at the time.
const machineInterval = 100 * time.Millisecond

// timers wake the loop, each only while it is needed: a voter that is alone, with its own broker, sleeps until it is asked.
type timers struct {
	raft    *time.Ticker
	machine *time.Ticker
}

// setTimers starts and stops the timers as the members, the leadership and the brokers demand. It runs in the loop.
func (q *Quorum) setTimers() {
	t := &q.timers
	t.raft = running(t.raft, !(q.alone() && q.loop.leading) && (q.member() || !q.follows()), q.cfg.TickInterval)
	t.machine = running(t.machine, q.watchesBrokers(), machineInterval)
}

func running(t *time.Ticker, needed bool, d time.Duration) *time.Ticker {
	switch {
	case needed && t == nil:
		return time.NewTicker(d)
	case !needed && t != nil:
		t.Stop()
		return nil
	}
	return t
}

func (t *timers) stop() {
	for _, ticker := range []*time.Ticker{t.raft, t.machine} {
		if ticker != nil {
			ticker.Stop()
		}
	}
}

func ticks(t *time.Ticker) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C
}

// watchesBrokers tells whether this node leads brokers other than its own, whose silence means something.
func (q *Quorum) watchesBrokers() bool {
	s := &q.loop
	if !s.leading || !s.ready {
		return false
	}
	for _, b := range s.proposed.Brokers() {
		if b.ID != q.cfg.Self.NodeID {
			return true
		}
	}
	return false
}

// tickMachine lets the machine look at the time, and proposes what it finds.
func (q *Quorum) tickMachine() {
	s := &q.loop
	if !s.leading || !s.ready {
		return
	}
	for more := true; more; {
		var changes []cluster.Change
		changes, more = q.cfg.Machine.Tick(q.now().UnixMilli(), s.proposed)
		if len(changes) == 0 {
			return
		}
		if err := q.propose(pending{}, changes); err != nil {
			q.log.Warn("a change of the cluster that time demands was not proposed, and will be again", "err", err)
			return
		}
	}
}
