package metrics

import (
	"math/bits"
	"strconv"
	"sync/atomic"
	"time"
)

// The buckets of a Histogram end at 16 µs times a power of four: 16 µs, 64 µs, 256 µs, ... 68.7 s. Requests last from
// microseconds to the minute of a long poll, and one factor for all makes finding the bucket a shift.
const (
	bucketFirstShift = 14 // 2^14 ns = 16.384 µs
	bucketCount      = 12
)

// Histogram counts durations in buckets. The zero value is ready.
type Histogram struct {
	buckets [bucketCount + 1]atomic.Uint64 // the last one has no end
	nanos   atomic.Int64
}

// Observe counts a duration. A negative one counts as none at all.
func (h *Histogram) Observe(d time.Duration) {
	nanos := max(int64(d), 0)
	h.buckets[bucketOf(nanos)].Add(1)
	h.nanos.Add(nanos)
}

// bucketOf returns the first bucket whose end is not below nanos.
func bucketOf(nanos int64) int {
	if nanos <= 1<<bucketFirstShift {
		return 0
	}
	return min((bits.Len64(uint64(nanos-1))-bucketFirstShift+1)/2, bucketCount)
}

// bucketEnd returns the end of a bucket in nanoseconds.
func bucketEnd(i int) int64 { return 1 << (bucketFirstShift + 2*i) }

var bucketLabels = func() (labels [bucketCount + 1]string) {
	for i := range bucketCount {
		labels[i] = strconv.FormatFloat(float64(bucketEnd(i))/1e9, 'g', -1, 64)
	}
	labels[bucketCount] = "+Inf"
	return labels
}()

// Count returns how many durations were observed.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Histogram writes a histogram as a sample of the family, in seconds.
func (w *Writer) Histogram(h *Histogram, labels ...string) {
	var count uint64
	for i := range h.buckets {
		count += h.buckets[i].Load()
		w.sample(w.name, "_bucket", float64(count), labels, "le", bucketLabels[i])
	}
	w.sample(w.name, "_sum", float64(h.nanos.Load())/1e9, labels, "", "")
	w.sample(w.name, "_count", float64(count), labels, "", "")
}
