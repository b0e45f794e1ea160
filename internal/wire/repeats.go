package wire

// RepeatsMax is how many parts of a request may name what another part has named, and be answered like that one.
const RepeatsMax = 16

// Repeats bounds what a reply says again. A client that names something twice is told of it twice, as by Kafka; but to name
// what is long to tell costs a few bytes, and who does so a million times gets no answer that no memory holds. The zero value
// is ready for one request.
type Repeats[K comparable] struct {
	named map[K]struct{}
	again int
}

// TooMany notes that k is named. It reports whether k has been named before and is not to be answered again.
func (r *Repeats[K]) TooMany(k K) bool {
	if _, before := r.named[k]; before {
		r.again++
		return r.again > RepeatsMax
	}
	if r.named == nil {
		r.named = make(map[K]struct{})
	}
	r.named[k] = struct{}{}
	return false
}
