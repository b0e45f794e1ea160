package partition

import "sync"

// roleLock is a sync.RWMutex whose waiters are idle to testing/synctest, as those of vfs.Gate are: an append may wait for
// the disk under it when a segment is new, and a follower's log is cut under it.
type roleLock struct {
	mu struct {
		sync.Mutex
		shared  int // holders
		alone   bool
		waiting int // for alone; they go before those who come to share
	}
	changed sync.Cond
	once    sync.Once
}

func (l *roleLock) lock() {
	l.once.Do(func() { l.changed.L = &l.mu })
	l.mu.Lock()
}

// RLock returns when the caller shares the lock.
func (l *roleLock) RLock() {
	l.lock()
	for l.mu.alone || l.mu.waiting > 0 {
		l.changed.Wait()
	}
	l.mu.shared++
	l.mu.Unlock()
}

// RUnlock ends RLock.
func (l *roleLock) RUnlock() {
	l.lock()
	if l.mu.shared--; l.mu.shared == 0 && l.mu.waiting > 0 {
		l.changed.Broadcast()
	}
	l.mu.Unlock()
}

// Lock returns when the caller holds the lock alone.
func (l *roleLock) Lock() {
	l.lock()
	l.mu.waiting++
	for l.mu.alone || l.mu.shared > 0 {
		l.changed.Wait()
	}
	l.mu.waiting--
	l.mu.alone = true
	l.mu.Unlock()
}

// Unlock ends Lock.
func (l *roleLock) Unlock() {
	l.lock()
	l.mu.alone = false
	l.changed.Broadcast()
	l.mu.Unlock()
}
