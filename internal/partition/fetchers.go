package partition

import (
	"context"
	"sync"

	"github.com/logbahn/logbahn/internal/cluster"
)

// fetchers are the fetchers of a Set, one for each broker that leads something here. One that has nothing left to fetch
// waits for more.
type fetchers struct {
	mu struct {
		sync.Mutex
		byLeader map[cluster.NodeID]*fetcher
		closed   bool
	}
}

func (f *fetchers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.closed = true
}

// follow gives a replica to the fetcher of its leader, anew after each change of its assignment, or takes it away from
// the one that had it. Images are applied one after the other: no two calls for one replica meet.
func (s *Set) follow(p *Partition) {
	leader, follows := p.following()
	if former := p.followed.Load(); former != nil && (!follows || former.fetcher.leader != leader) {
		former.fetcher.remove(former)
		p.followed.Store(nil)
	}
	if !follows || s.cfg.Fetch == nil {
		return
	}
	if f := s.fetchers.of(s, leader); f != nil {
		f.add(p)
	}
}

// following returns whom this replica copies, or tells that it is lost.
func (p *Partition) following() (leader cluster.NodeID, follows bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	return m.Leader(), p.log != nil && m.Follows(m.LeaderEpoch())
}

// of returns the fetcher of a leader, and starts it when there is none; nil after close.
func (f *fetchers) of(s *Set, leader cluster.NodeID) *fetcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed {
		return nil
	}
	if f.mu.byLeader == nil {
		f.mu.byLeader = make(map[cluster.NodeID]*fetcher)
	}
	one := f.mu.byLeader[leader]
	if one == nil {
		one = newFetcher(&s.cfg, leader)
		f.mu.byLeader[leader] = one
		s.start(one.run)
		s.start(one.runReports)
	}
	return one
}

func (s *Set) start(run func(context.Context)) {
	s.running.Go(func() { run(s.ctx) })
}
