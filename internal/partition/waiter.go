package partition

// Waiter waits for a change on any of several partitions: more committed records, another leader, a failed log. One
// goroutine owns it and calls Watch and Close; partitions signal it from any goroutine.
type Waiter struct {
	C <-chan struct{} // receives after a change; changes in quick succession may arrive as one

	c       chan struct{}
	watched []*Partition
}

// NewWaiter returns a waiter that watches nothing.
func NewWaiter() *Waiter {
	c := make(chan struct{}, 1)
	return &Waiter{C: c, c: c}
}

// Watch adds a partition. seen is the Version that the caller's last Read returned: when the partition has changed since
// then the waiter is signalled at once, so that no change is missed between reading and watching.
func (w *Waiter) Watch(p *Partition, seen uint64) {
	w.watched = append(w.watched, p)
	if p.watch(w, seen) {
		w.signal()
	}
}

// Close ends the watching. The waiter must not be used afterwards.
func (w *Waiter) Close() {
	for _, p := range w.watched {
		p.unwatch(w)
	}
	w.watched = nil
}

func (w *Waiter) signal() { signal(w.c) }

// wake implements watcher.
func (w *Waiter) wake(*Partition) { w.signal() }

// watcher is told of changes of a partition, under the partition's lock.
type watcher interface{ wake(*Partition) }

// ackWaiter is someone who waits for an append to be safe.
type ackWaiter struct {
	end  int64 // the offset after the append's last record
	all  bool  // wait for the high watermark, not only for this replica's flush
	done chan error
}

// newAckWaiter takes a waiter out of the Set's pool, since every produce request needs one. No pool is shared by brokers:
// channels must not leave the bubble of a simulated one.
func (s *Set) newAckWaiter() *ackWaiter {
	if w, ok := s.ackWaiters.Get().(*ackWaiter); ok {
		return w
	}
	return &ackWaiter{done: make(chan error, 1)}
}
