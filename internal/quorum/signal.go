package quorum

import "sync"

// signal wakes everybody who waits for the next of something. It costs nothing while nobody does.
type signal struct {
	mu struct {
		sync.Mutex
		next chan struct{} // nil when nobody waits
	}
}

// raised returns a channel that is closed by the next raise. Ask for it before looking at what may change.
func (s *signal) raised() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.next == nil {
		s.mu.next = make(chan struct{})
	}
	return s.mu.next
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.next != nil {
		close(s.mu.next)
		s.mu.next = nil
	}
}
