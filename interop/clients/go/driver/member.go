package driver

import (
	"context"
	"sync"
	"time"
)

// Holdings is what a member has been given, for libraries that tell of it in calls back. Its methods may be called from
// any goroutine; the zero value holds nothing.
type Holdings struct {
	mu                sync.Mutex
	held              map[int32]bool
	assigned, revoked int
}

// Given counts an assignment.
func (h *Holdings) Given() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.assigned++
}

// Hold adds partitions.
func (h *Holdings) Hold(partitions ...int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[int32]bool{}
	}
	for _, p := range partitions {
		h.held[p] = true
	}
}

// Release takes partitions away.
func (h *Holdings) Release(partitions ...int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoked += len(partitions)
	for _, p := range partitions {
		delete(h.held, p)
	}
}

// Assignment, Assigned and Revoked are [Member]'s.
func (h *Holdings) Assignment() []int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var held []int32
	for p := range h.held {
		held = append(held, p)
	}
	return held
}

func (h *Holdings) Assigned() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.assigned
}

func (h *Holdings) Revoked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.revoked
}

// Inbox is what a member's goroutines hand to Poll. Failed has room for the one error that ends them.
type Inbox struct {
	Records chan Record
	Failed  chan error
}

// NewInbox returns an empty Inbox.
func NewInbox() Inbox { return Inbox{make(chan Record), make(chan error, 1)} }

// Poll is [Member]'s.
func (b Inbox) Poll(ctx context.Context) ([]Record, error) {
	var rs []Record
	wait := time.NewTimer(100 * time.Millisecond)
	defer wait.Stop()
	for len(rs) < 100 {
		select {
		case r := <-b.Records:
			rs = append(rs, r)
		case err := <-b.Failed:
			return rs, err
		case <-wait.C:
			return rs, nil
		case <-ctx.Done():
			return rs, ctx.Err()
		}
	}
	return rs, nil
}
