package broker

import "sync/atomic"

// FetchMemory bounds the record data of all Fetch replies between their reading and the end of their sending. Nobody
// waits for it: when it becomes scarce replies become smaller, which the protocol allows, down to a size that keeps every
// consumer going. Clients that ask for much and do not read it so cost little more than that.
type FetchMemory struct {
	total int64
	used  atomic.Int64
}

// NewFetchMemory returns memory that is free.
func NewFetchMemory() *FetchMemory { return &FetchMemory{total: fetchBytesTotal} }

const (
	fetchBytesTotal = 128 << 20
	// fetchShare is the part of what is free that one reply may have.
	fetchShare = 16
	// fetchBytesScarce is what a reply gets when nothing is free. A larger batch is still read whole.
	fetchBytesScarce = 64 << 10
)

// Reserve takes memory for up to n bytes and returns how much it got.
func (m *FetchMemory) Reserve(n int) int {
	for {
		used := m.used.Load()
		got := min(int64(n), max((m.total-used)/fetchShare, fetchBytesScarce))
		if m.used.CompareAndSwap(used, used+got) {
			return int(got)
		}
	}
}

// Release gives memory back.
func (m *FetchMemory) Release(n int) { m.used.Add(-int64(n)) }
