package quorum

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3"

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

// machineMs is the time as the machine is told it, by the monotonic clock. Brokers rely on a session as long as it was agreed
// on: a wall clock that is set ahead on the way would end it for the controller alone.
func (q *Quorum) machineMs() int64 { return q.begun.UnixMilli() + time.Since(q.begun).Milliseconds() }

const (
	// tickChangesMax is how many changes one turn of the loop proposes for the machine. Where brokers fall silent by the
	// hundred there are far more, and while they are made, committed and stored, everybody else is to be heard.
	tickChangesMax = 10_000
	// requestsBeforeTick bounds the requests that are taken before the machine looks at the time.
	requestsBeforeTick = 16 * requestsQueued
)

// tickMachine lets the machine look at the time, and proposes what it finds. What has come before is heard before: a broker
// whose heartbeat waits for the loop is not silent.
func (q *Quorum) tickMachine() {
	s := &q.loop
	if !s.leading || !s.ready {
		return
	}
	q.takeWaiting(requestsBeforeTick)
	for proposed, more := 0, true; more; {
		if proposed >= tickChangesMax {
			select {
			case q.again <- struct{}{}:
			default:
			}
			return
		}
		var changes []cluster.Change
		changes, more = q.cfg.Machine.Tick(q.machineMs(), s.proposed)
		if len(changes) == 0 {
			return
		}
		err := q.propose(pending{}, changes)
		if err != nil && !errors.Is(err, raft.ErrProposalDropped) { // too much is under way already
			q.log.Warn("a change of the cluster that time demands was not proposed, and will be again", "err", err)
		}
		if err != nil {
			return
		}
		proposed += len(changes)
	}
}
