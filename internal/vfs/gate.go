package vfs

import "sync"

// Gate is a lock for those who wait for a disk, or for anything else that takes its time, while they hold it. It is fair.
// Who waits for it waits on a channel, which testing/synctest takes for idle: in a simulation the time passes that the holder
// waits for. The zero Gate is open. It implements sync.Locker.
type Gate struct {
	mu    sync.Mutex
	held  bool
	queue []chan struct{}
}

// Lock returns when the caller holds the gate.
func (g *Gate) Lock() {
	g.mu.Lock()
	if !g.held {
		g.held = true
		g.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	g.queue = append(g.queue, turn)
	g.mu.Unlock()
	<-turn
}

// Unlock hands the gate to who has waited longest. Any goroutine may call it; that the gate is not held is a defect.
func (g *Gate) Unlock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.held:
		panic("vfs: unlock of a gate that nobody holds")
	case len(g.queue) == 0:
		g.held = false
	default:
		close(g.queue[0])
		g.queue = g.queue[1:]
	}
}
