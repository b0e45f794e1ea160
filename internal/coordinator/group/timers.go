package group

import (
	"container/heap"
	"time"
)

type timerKind uint8

const (
	sessionTimeout timerKind = iota // of a member, or of a member id handed out and not yet used
	joinTimeout
	syncTimeout
	retentionCheck
)

// timer is one deadline. It is owned by what waits for it: a member, a pending member id, a rebalance, the machine.
type timer struct {
	at       time.Time
	seq      uint64 // order of equal deadlines
	index    int    // in the heap, -1 when not scheduled
	kind     timerKind
	group    *group
	memberID string
}

// timers is a heap of deadlines, earliest first. Deadlines carry the monotonic reading of the times they were made of,
// so that a jump of the wall clock ends no session.
type timers struct {
	heap timerHeap
	seq  uint64
}

// schedule sets t to fire after d, whether or not it was set before, and returns it.
func (m *Machine) schedule(now time.Time, d time.Duration, t *timer) *timer {
	m.timers.cancel(t)
	m.timers.seq++
	t.at, t.seq = now.Add(d), m.timers.seq
	heap.Push(&m.timers.heap, t)
	return t
}

// cancel unsets t, which may be nil or not set.
func (ts *timers) cancel(t *timer) {
	if t != nil && t.index >= 0 && t.index < len(ts.heap) && ts.heap[t.index] == t {
		heap.Remove(&ts.heap, t.index)
	}
}

// pop unsets and returns the first timer that is due, or nil.
func (ts *timers) pop(now time.Time) *timer {
	if len(ts.heap) == 0 || ts.heap[0].at.After(now) {
		return nil
	}
	return heap.Pop(&ts.heap).(*timer)
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
