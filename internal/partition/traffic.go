package partition

import "sync/atomic"

// Traffic counts what clients send to and read from a replica; what replicas do among each other is not in it. The
// counters only grow, and may be added to by any goroutine.
type Traffic struct {
	BytesIn, RecordsIn        atomic.Int64 // appended; record batches as they are stored
	Produces, ProducesFailed  atomic.Int64 // attempts to append, of which some got an error
	BytesOut                  atomic.Int64
	Fetches, FetchesFailed    atomic.Int64 // reads that were answered, of which some with an error
	FetchesOfOldMessageFormat atomic.Int64 // reads whose records were converted to magic 0 or 1
}

// TrafficCount is what a Traffic stood at.
type TrafficCount struct {
	BytesIn, RecordsIn        int64
	Produces, ProducesFailed  int64
	BytesOut                  int64
	Fetches, FetchesFailed    int64
	FetchesOfOldMessageFormat int64
}

// Count returns what the counters stand at.
func (t *Traffic) Count() TrafficCount {
	return TrafficCount{
		BytesIn: t.BytesIn.Load(), RecordsIn: t.RecordsIn.Load(),
		Produces: t.Produces.Load(), ProducesFailed: t.ProducesFailed.Load(), BytesOut: t.BytesOut.Load(),
		Fetches: t.Fetches.Load(), FetchesFailed: t.FetchesFailed.Load(),
		FetchesOfOldMessageFormat: t.FetchesOfOldMessageFormat.Load(),
	}
}

// Add adds another count to c.
func (c *TrafficCount) Add(o TrafficCount) {
	c.BytesIn += o.BytesIn
	c.RecordsIn += o.RecordsIn
	c.Produces += o.Produces
	c.ProducesFailed += o.ProducesFailed
	c.BytesOut += o.BytesOut
	c.Fetches += o.Fetches
	c.FetchesFailed += o.FetchesFailed
	c.FetchesOfOldMessageFormat += o.FetchesOfOldMessageFormat
}

// Traffic returns the counters of the replica.
func (p *Partition) Traffic() *Traffic { return &p.traffic }

// Removed returns what the replicas that are gone had counted: with them the sum over all replicas never falls.
func (s *Set) Removed() TrafficCount {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.removed
}
