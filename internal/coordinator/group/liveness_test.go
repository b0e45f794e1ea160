package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// What the clients of a world ask for, and how long its first rebalance waits.
const (
	initialDelay = 500 * time.Millisecond
	sessionOf    = 6 * time.Second
	rebalanceOf  = 30 * time.Second
)

// How long the group may take to be Stable once its clients do what they ought to do. Nobody has to wait for a timeout,
// unless there are members that no client answers for: those go when their sessions end, and a session can begin as late
// as when that of another one has ended the join phase.
const (
	heartbeatEvery = 100 * time.Millisecond
	stableWithin   = 4 * time.Second
	ghostsWithin   = 2*sessionOf + stableWithin
)

// disconnect breaks a client's connection: its request stays where it is, the client does not see the reply and sends
// the next request over another connection.
func (w *world) disconnect(t *rapid.T) {
	c := rapid.SampledFrom(w.clients).Draw(t, "client")
	if !c.parked {
		t.Skip("no request is under way")
	}
	w.breakConnection(c)
}

func (w *world) breakConnection(c *client) {
	for id, call := range w.calls {
		if call.client == c {
			w.calls[id] = asked{}
		}
	}
	c.parked = false
}

// crash ends a client's process; a new one may begin in its place.
func (w *world) crash(t *rapid.T) {
	rarely(t)
	c := rapid.SampledFrom(w.clients).Draw(t, "client")
	w.breakConnection(c)
	c.member, c.joined, c.synced, c.left = "", false, false, rapid.Bool().Draw(t, "for good")
}

func (w *world) settleSometimes(t *rapid.T) {
	rarely(t)
	w.settle(t)
}

// end lets everything come to its end: then nobody waits.
func (w *world) end(t *rapid.T) {
	w.settle(t)
	w.advance(t, 10*time.Minute)
	if len(w.calls) > 0 {
		t.Fatalf("%d calls are never answered", len(w.calls))
	}
}

// settle has the clients do what they ought to do, and holds the group to the time that it may take.
func (w *world) settle(t *rapid.T) {
	for _, c := range w.clients {
		if w.requests(c) > 1 {
			w.breakConnection(c) // no client waits for two: the earlier are of connections that it has given up
		}
	}
	within := stableWithin
	ghosts := w.ghosts()
	if len(ghosts) > 0 {
		within = ghostsWithin
	}
	w.settlings[len(ghosts) > 0]++
	for from := w.now; !w.settled(); w.advance(t, heartbeatEvery) {
		if w.now.Sub(from) > within {
			t.Fatalf("the group is not stable after %v, ghosts %q\n%s", within, ghosts, w)
		}
		for _, c := range w.clients {
			if !c.parked && !c.left {
				w.sendNext(t, c)
			}
		}
	}
}

// settled says whether the group is Stable and everyone who fits is in it, and nobody else; or Empty, when all have left.
func (w *world) settled() bool {
	g := w.groupState()
	in, want := 0, 0
	for _, c := range w.clients {
		if !c.left {
			want++
		}
		if c.synced && !c.parked && c.generation == g.generation && g.byID[c.member] != nil {
			in++
		}
	}
	if want == 0 {
		return g.state == Empty
	}
	return g.state == Stable && in == len(g.members) && in == min(want, w.machine.cfg.SizeMax)
}

// requests counts the requests of the client that are under way.
func (w *world) requests(c *client) (n int) {
	for _, call := range w.calls {
		if call.client == c {
			n++
		}
	}
	return n
}

// ghosts lists the members, and the ids handed out, that no client answers for: it has gone before it was told. A static
// member that does not know its id gets its place back, but not in a group that is full, in Kafka neither.
func (w *world) ghosts() (ids []string) {
	owned := make(map[string]bool)
	for _, c := range w.clients {
		if c.left {
			continue // whom a coordinator that has not stored it yet can forget again
		}
		owned[c.member] = true
		if c.instance != nil && w.cfg.SizeMax == 0 {
			owned[*c.instance] = true
		}
	}
	g := w.groupState()
	for id := range g.pending {
		if !owned[id] {
			ids = append(ids, id)
		}
	}
	for _, mem := range g.members {
		if !owned[mem.id] && !owned[instanceOf(mem.id)] && w.calls[mem.join].client == nil {
			ids = append(ids, mem.id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *world) String() string {
	g := w.groupState()
	var b strings.Builder
	fmt.Fprintf(&b, "%v, generation %d, leader %q, pending %v\n", g.state, g.generation, g.leader, g.pending)
	for _, mem := range g.members {
		fmt.Fprintf(&b, "member %s: new %v, join %d, sync %d, owes SyncGroup %v\n", mem.id, mem.isNew, mem.join, mem.sync, mem.owesSync)
	}
	for _, c := range w.clients {
		fmt.Fprintf(&b, "client %s: %+v\n", c.name, *c)
	}
	return b.String()
}
