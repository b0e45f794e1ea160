package listener

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// budget is the memory that frames may take. Claims are served in order of arrival, so that a large one is not starved
// by small ones; one larger than the whole is let in alone.
type budget struct {
	total   int64
	sem     *semaphore.Weighted
	waiting atomic.Int64 // claims that wait
	count   *counters
}

func newBudget(total int64, count *counters) *budget {
	return &budget{total: total, sem: semaphore.NewWeighted(total), count: count}
}

// claim waits for n bytes. It fails only when the context ends, with its error.
func (b *budget) claim(ctx context.Context, n int) error {
	if b.tryClaim(n) {
		return nil
	}
	b.count.budgetWaits.Add(1)
	b.waiting.Add(1)
	err := b.sem.Acquire(ctx, min(int64(n), b.total))
	b.waiting.Add(-1)
	if err != nil {
		return err
	}
	b.count.budgetUsed.Add(int64(n))
	return nil
}

// tryClaim claims n bytes if they are free and nobody waits, and tells whether it did.
func (b *budget) tryClaim(n int) bool {
	if !b.sem.TryAcquire(min(int64(n), b.total)) {
		return false
	}
	b.count.budgetUsed.Add(int64(n))
	return true
}

// contended tells whether somebody waits for what others hold.
func (b *budget) contended() bool { return b.waiting.Load() > 0 }

// release gives a claim back.
func (b *budget) release(n int) {
	b.count.budgetUsed.Add(-int64(n))
	b.sem.Release(min(int64(n), b.total))
}

// largeShare is the part of the budget above which a frame is large. Large frames have one half of the budget, all
// others the other half: who sends a huge one, at whatever pace, does not hold up the common ones.
const largeShare = 32

// budgetOf returns the half of the budget that pays for a frame of the length.
func (s *Server) budgetOf(length int) *budget {
	if int64(length) > s.cfg.BudgetBytes/largeShare {
		return s.large
	}
	return s.common
}
