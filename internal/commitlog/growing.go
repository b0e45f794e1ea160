package commitlog

import "sync/atomic"

// growing is an array that one writer extends while others read it without a lock. The zero value is empty and takes
// no memory.
type growing[E any] struct {
	array atomic.Pointer[[]E]
	n     atomic.Int64
}

func (g *growing[E]) append(e E) {
	n := int(g.n.Load())
	a := g.array.Load()
	if a == nil || n == len(*a) {
		bigger := make([]E, max(16, 2*n))
		if a != nil {
			copy(bigger, *a)
		}
		a = &bigger
		g.array.Store(a)
	}
	(*a)[n] = e
	g.n.Store(int64(n + 1))
}

// view returns what has been appended so far. The slice does not change.
func (g *growing[E]) view() []E {
	n := g.n.Load()
	if n == 0 {
		return nil
	}
	return (*g.array.Load())[:n]
}
