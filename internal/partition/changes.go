package partition

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// Changes collects which of many partitions have changed, for somebody who watches them for long and cannot look at all of
// them each time. Unlike a Waiter it may be used by any goroutine.
type Changes struct {
	C <-chan struct{} // receives after a change; changes in quick succession may arrive as one

	c  chan struct{}
	mu struct {
		sync.Mutex
		closed  bool
		watched map[*Partition]struct{}
		changed map[*Partition]struct{}
	}
}

// NewChanges returns a collection of changes that watches nothing. Close it.
func NewChanges() *Changes {
	c := make(chan struct{}, 1)
	s := &Changes{C: c, c: c}
	s.mu.watched, s.mu.changed = make(map[*Partition]struct{}), make(map[*Partition]struct{})
	return s
}

// Watch adds a partition. What changes from now on is collected, and the partition itself when it has changed since the
// Read that returned seen.
func (s *Changes) Watch(p *Partition, seen uint64) {
	s.mu.Lock()
	closed := s.mu.closed
	if !closed {
		s.mu.watched[p] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		return
	}
	if p.watch(s, seen) {
		s.wake(p)
	}
	s.mu.Lock()
	closed = s.mu.closed
	s.mu.Unlock()
	if closed { // meanwhile, and Close may have been here first
		p.unwatch(s)
	}
}

// Unwatch takes a partition out.
func (s *Changes) Unwatch(p *Partition) {
	p.unwatch(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.watched, p)
	delete(s.mu.changed, p)
}

// Mark makes a partition one that has changed.
func (s *Changes) Mark(p *Partition) { s.wake(p) }

// Take returns the partitions that have changed since the last call, sorted by topic and number.
func (s *Changes) Take() []*Partition {
	s.mu.Lock()
	list := make([]*Partition, 0, len(s.mu.changed))
	for p := range s.mu.changed {
		list = append(list, p)
	}
	clear(s.mu.changed)
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *Partition) int {
		return cmp.Or(bytes.Compare(a.topicID[:], b.topicID[:]), cmp.Compare(a.index, b.index))
	})
	return list
}

// Close ends the watching.
func (s *Changes) Close() {
	s.mu.Lock()
	watched := s.mu.watched
	s.mu.closed, s.mu.watched = true, nil
	clear(s.mu.changed)
	s.mu.Unlock()
	for p := range watched {
		p.unwatch(s)
	}
}

// wake implements watcher.
func (s *Changes) wake(p *Partition) {
	s.mu.Lock()
	if _, watched := s.mu.watched[p]; watched {
		s.mu.changed[p] = struct{}{}
	}
	s.mu.Unlock()
	signal(s.c)
}
