package node

import (
	"context"
	"fmt"
	"sync"

	"github.com/logbahn/logbahn/internal/cluster"
)

// controllerWatch ends the wait for the answer of a controller when there is another one. A node that has become silent keeps
// its connections: nothing else would end the wait before the reply is overdue, and leaders cannot change their in-sync sets
// meanwhile.
type controllerWatch struct {
	mu struct {
		sync.Mutex
		id      cluster.NodeID
		waiting map[*controllerWait]struct{}
	}
}

type controllerWait struct {
	controller cluster.NodeID
	cancel     context.CancelCauseFunc
}

// is takes in who is the controller. That there is none ends no wait: the one that was may be it again.
func (w *controllerWatch) is(id cluster.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == cluster.NoLeader || id == w.mu.id {
		return
	}
	w.mu.id = id
	for wait := range w.mu.waiting {
		if wait.controller != id {
			wait.cancel(fmt.Errorf("node %d is the controller now", id))
		}
	}
}

// while returns a context that ends when another node becomes the controller. Its end has to be called.
func (w *controllerWatch) while(ctx context.Context, controller cluster.NodeID) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	wait := &controllerWait{controller: controller, cancel: cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.waiting == nil {
		w.mu.waiting = make(map[*controllerWait]struct{})
	}
	w.mu.waiting[wait] = struct{}{}
	return ctx, func() {
		cancel(nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.mu.waiting, wait)
	}
}
