package listener

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// budget is the memory that frames may take. Claims are served in order of arrival, so that a large one is not starved
// by small ones; one larger than the whole is let in alone.
type budget struct {
	total int64
	sem   *semaphore.Weighted
	count *counters
}

func newBudget(total int64, count *counters) budget {
	return budget{total: total, sem: semaphore.NewWeighted(total), count: count}
}

// claim waits for n bytes. It fails only when the context ends, with its error.
func (b *budget) claim(ctx context.Context, n int) error {
	share := min(int64(n), b.total)
	if !b.sem.TryAcquire(share) {
		b.count.budgetWaits.Add(1)
		if err := b.sem.Acquire(ctx, share); err != nil {
			return err
		}
	}
	b.count.budgetUsed.Add(int64(n))
	return nil
}

// release gives a claim back.
func (b *budget) release(n int) {
	b.count.budgetUsed.Add(-int64(n))
	b.sem.Release(min(int64(n), b.total))
}
