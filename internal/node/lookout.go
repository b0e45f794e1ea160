package node

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
)

// A broker whose process has ended is fenced before its session is over: the system of its machine says so. It closes the
// process's connections, and refuses new ones to its listeners, while a machine without power, one that is cut off and a
// process that is stopped do neither. Nothing is taken for proof but both:
//
//  1. Suspicion: a connection by which the node has spoken to this one has ended, and it has not spoken since. One that lives
//     speaks again at once, for it sees its connection end as well (liveness.severed).
//  2. Proof: the listener between brokers refuses, twice in 200 ms, and so does every other one that can be reached at all,
//     while nothing is heard.
//
// A silent node whose connection stands is nobody to suspect. Its process may live where this one cannot reach it, behind what
// refuses in its name; and until its session is over it relies on no other broker being elected in its place (Node.confirmed):
// what resets its connections in its name as well can have it answer for a while as before (docs/decisions/controller.md).
//
// To be wrong costs an election. A broker that lives goes on sending heartbeats, which unfence it as they do after any
// fencing; then its listeners' refusals mean nothing, and its registration is not judged by them again.
const (
	refusalPause   = 200 * time.Millisecond // between the two refusals
	refusalTimeout = 3 * time.Second        // of an attempt to connect; Windows takes two to see a refusal
	probesMax      = 16                     // brokers that are tried at once
	probePauseMin  = 50 * time.Millisecond  // before a broker is tried again that has not refused: the system may still be at it
	probePauseMax  = time.Second            // doubled with each
	lookInterval   = 50 * time.Millisecond  // while anybody is suspected: leadership begins and ends
	// cutKept is how long a node that does not lead remembers that a connection has ended: whoever follows a leader that has
	// died knows of it.
	cutKept = 10 * time.Second
)

// lookout finds out which brokers' processes have ended, for as long as this node leads the quorum. Its goroutine is run's;
// spoke may be called by any.
type lookout struct {
	self  cluster.NodeID
	image func() *cluster.Image
	leads func() (epoch int32, leads bool)
	// addresses returns where a broker listens: where it must refuse, and where it must not answer.
	addresses func(cluster.Broker) (must, others []string)
	dial      func(ctx context.Context, address string) (net.Conn, error)
	lost      func(quorum.Loss)
	log       *slog.Logger

	wake chan struct{} // capacity 1: a connection has ended, or this node may lead

	mu struct {
		sync.Mutex
		nodes map[cluster.NodeID]*sighting // brokers of the image that have spoken
	}

	// Of run.
	epoch   int32           // of the leadership, 0 while this node does not lead
	trying  context.Context // ends with it
	giveUp  context.CancelFunc
	probes  map[cluster.NodeID]*probe
	proofs  chan *probe
	probing int
}

// probe is the attempt to prove that a broker's process has ended.
type probe struct {
	broker cluster.Broker
	count  int // of its sighting
	epoch  int32
	tries  int // of the same suspicion, before this one
	proven bool
	again  time.Time // not before; zero while it is under way
}

// same tells whether two probes are of one suspicion: the broker has not spoken in between.
func (p *probe) same(other *probe) bool {
	return p.count == other.count && p.broker.Epoch == other.broker.Epoch && p.epoch == other.epoch
}

// look has the suspects looked at. It does not wait.
func (l *lookout) look() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run is the lookout's goroutine. It ends with the context, and the probes with it, or with the leadership.
func (l *lookout) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	l.trying, l.giveUp = context.WithCancel(ctx)
	defer func() { l.giveUp() }()
	l.probes, l.proofs = map[cluster.NodeID]*probe{}, make(chan *probe, probesMax)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-again.C:
		case p := <-l.proofs:
			l.judge(p)
		}
		l.follow(ctx)
		suspects := l.suspects()
		for _, p := range suspects {
			if l.begins(p) {
				trying := l.trying
				running.Go(func() {
					p.proven = l.prove(trying, p.broker)
					l.proofs <- p
				})
			}
		}
		if len(suspects) > 0 || l.remembers() {
			again.Reset(lookInterval)
		}
	}
}

// follow notices that this node has begun to lead, or does not any more. Then what was found out is forgotten, and by which
// connections brokers have spoken: they speak to somebody else now, and may hear late that this node leads again. Members of the
// quorum speak to each other at every election.
func (l *lookout) follow(ctx context.Context) {
	epoch, leads := l.leads()
	if !leads {
		epoch = 0
	}
	if epoch == l.epoch {
		return
	}
	led := l.epoch != 0
	if l.epoch = epoch; !led {
		return
	}
	l.giveUp()
	l.trying, l.giveUp = context.WithCancel(ctx)
	maps.DeleteFunc(l.probes, func(_ cluster.NodeID, p *probe) bool { return !p.again.IsZero() })
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.mu.nodes {
		s.proven, s.immune = -1, -1
		s.drop(asBroker)
	}
}

// suspects returns the brokers that are suspected, those first that have waited longest for a probe.
func (l *lookout) suspects() []*probe {
	if l.epoch == 0 {
		return nil
	}
	var found []*probe
	cutAt := map[cluster.NodeID]time.Time{}
	l.mu.Lock()
	for _, b := range l.image().Brokers() {
		s := l.mu.nodes[b.ID]
		if s == nil || b.Fenced || b.ID == l.self || s.immune == b.Epoch {
			continue
		}
		if at := s.cutAt(); !at.IsZero() {
			cutAt[b.ID] = at
			found = append(found, &probe{broker: b, count: s.count, epoch: l.epoch})
		}
	}
	l.mu.Unlock()
	tried := func(p *probe) time.Time {
		if last := l.probes[p.broker.ID]; last != nil {
			return last.again
		}
		return time.Time{}
	}
	slices.SortFunc(found, func(a, b *probe) int {
		return cmp.Or(tried(a).Compare(tried(b)), cutAt[a.broker.ID].Compare(cutAt[b.broker.ID]))
	})
	return found
}

// begins tells whether a suspect is to be tried now, and notes that it is. One that has spoken since it was tried is another one.
func (l *lookout) begins(p *probe) bool {
	last := l.probes[p.broker.ID]
	switch {
	case l.probing == probesMax:
		return false
	case last == nil:
	case last.again.IsZero():
		return false
	case p.same(last):
		if time.Now().Before(last.again) {
			return false
		}
		p.tries = last.tries + 1
	}
	l.probes[p.broker.ID] = p
	l.probing++
	return true
}

// judge takes in what a probe has shown, and tells the quorum of a broker whose process has ended.
func (l *lookout) judge(p *probe) {
	l.probing--
	p.again = time.Now().Add(min(probePauseMin<<min(p.tries, 10), probePauseMax))
	epoch, leads := l.leads()
	if !p.proven || !leads || epoch != p.epoch || !l.silent(p) {
		return
	}
	l.log.Info("a broker's process has ended: it is fenced before its session is over", "broker", p.broker.ID)
	p.again = time.Now().Add(probePauseMax)
	l.lost(quorum.Loss{Epoch: epoch, Broker: p.broker.ID, BrokerEpoch: p.broker.Epoch, Silent: refusalPause / 2})
}

// openLookout begins to look out for brokers on a node that may lead the quorum.
func (n *Node) openLookout() {
	n.lookout = &lookout{
		self: n.broker.NodeID, image: n.quorum.Image, leads: n.quorum.Leads, addresses: n.addressesOf,
		dial: n.cfg.Network.Dial, lost: n.quorum.Lost, log: n.log, wake: make(chan struct{}, 1),
	}
	n.lookout.mu.nodes = map[cluster.NodeID]*sighting{}
	controller := cluster.NoLeader
	n.quorum.Subscribe(func(img *cluster.Image, _ cluster.Delta) {
		if id := img.ControllerID(); id != controller {
			controller = id
			n.lookout.look()
		}
	})
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		ctx, cancel := n.untilStop()
		defer cancel()
		n.lookout.run(ctx)
	}()
}
