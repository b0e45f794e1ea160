package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/logbahn/logbahn/internal/ops"
)

// Stop stops the node: no new requests, an end to those in flight as long as the context allows, then everything that
// Start has started, backwards. It may be called more than once, and returns when all is stopped. That requests had to be
// cut off is no error.
func (n *Node) Stop(ctx context.Context) error {
	return n.end(ctx, nil)
}

// StopUndrained is Stop without handing over what this broker leads: for a cluster that stops as a whole, where there is
// nobody to hand it to.
func (n *Node) StopUndrained(ctx context.Context) error {
	n.undrained.Store(true)
	return n.Stop(ctx)
}

// end stops the node once; the first caller says why, nil for Stop. All callers return when it has stopped.
func (n *Node) end(ctx context.Context, failure error) error {
	n.stopOnce.Do(func() {
		n.failure = failure
		n.stopErr = n.shutdown(ctx)
		close(n.done)
	})
	return n.stopErr
}

// changeGrace is how long a stop waits for changes that clients and other nodes have asked for. There may be no majority left
// to make them.
const changeGrace = time.Second

func (n *Node) shutdown(ctx context.Context) error {
	var errs []error
	n.opsState(ops.Draining)
	begin := time.Now()
	if n.failure == nil && ctx.Err() == nil && !n.undrained.Load() {
		n.drain(ctx)
		n.resign(ctx)
	}
	close(n.stop)
	defer n.endChanges()
	if !n.alone() { // whose quorum is always there
		defer time.AfterFunc(changeGrace, n.endChanges).Stop()
	}
	cutOff := false
	for _, s := range slices.Backward(n.proxiesLast()) {
		err := s.shutdown(ctx)
		if err != nil && errors.Is(err, ctx.Err()) {
			cutOff = true
			continue
		}
		errs = append(errs, err)
	}
	n.running.Wait()
	if cutOff && n.failure == nil && !n.killed.Load() {
		n.log.Warn("requests were cut off that waited for what did not come in time, as for replicas that have stopped before")
	}
	if n.server != nil { // else nobody ever was
		n.log.Info("no client is connected any more", "after", time.Since(begin).Round(time.Millisecond).String())
	}
	if n.ops != nil {
		n.ops.Close()
	}
	if n.groups != nil {
		n.groups.Close()
	}
	if n.set != nil {
		n.set.Close()
	}
	if n.quorum != nil {
		n.quorum.Close()
	}
	n.closePeers()
	if n.dir != nil {
		errs = append(errs, n.dir.Close())
		n.log.Info("everything is on disk", "after", time.Since(begin).Round(time.Millisecond).String())
	}
	return errors.Join(errs...)
}

// resignPatience bounds how long a stop waits for another controller: about as long as the others would take to elect one
// without being asked.
const resignPatience = 2 * time.Second

// resign lets another node be the controller, if this one is: so that nobody has to notice its silence first.
func (n *Node) resign(ctx context.Context) {
	if n.quorum == nil || n.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, resignPatience)
	defer cancel()
	if err := n.quorum.Resign(ctx); err != nil {
		n.log.Warn("no other controller took over: one is elected when this one is missed", "err", err)
	}
}

func (s *serving) shutdown(ctx context.Context) error {
	if server := s.server.Load(); server != nil {
		return server.Shutdown(ctx)
	}
	var errs []error
	for _, socket := range s.sockets {
		errs = append(errs, socket.Close())
	}
	return errors.Join(errs...)
}

// fail ends a node that cannot keep its promises. Requests in flight get no time: they could not be answered rightly.
func (n *Node) fail(err error) {
	if n.killed.Load() {
		return
	}
	n.log.Error("the node stops", "err", err)
	n.opsState(ops.Failed)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.end(ctx, err) // err is the one that counts
}
