package listener

import "sync/atomic"

// Stats counts what a Server has seen since it was made. The first three are levels, the rest only grow.
type Stats struct {
	ConnectionsOpen int64
	BudgetUsedBytes int64
	ReplyHeldBytes  int64 // the memory of replies that have not left

	ConnectionsAccepted      int64
	ConnectionsRefused       int64 // ConnectionsMax was reached
	ConnectionsRefusedOfPeer int64 // ConnectionsPerIPMax was reached
	Requests                 int64
	RequestBytes             int64
	ReplyBytes               int64
	BudgetWaits              int64 // frames that had to wait for others' memory

	// Connections closed, by reason.
	ClosedIdle       int64
	ClosedTooLarge   int64 // a frame longer than allowed, or of negative length
	ClosedForeign    int64 // HTTP or TLS
	ClosedSlowFrame  int64 // a frame that did not arrive in time
	ClosedMalformed  int64
	ClosedNotServed  int64 // an API or version that is not in the table
	ClosedNotReading int64 // replies that the client did not read in time
	ClosedByHandler  int64 // Start returned an error, or a reply could not be encoded
	ClosedByPanic    int64
}

type counters struct {
	open, budgetUsed, replyHeld                   atomic.Int64
	accepted, refused, refusedOfPeer              atomic.Int64
	requests, requestBytes, replyBytes            atomic.Int64
	budgetWaits                                   atomic.Int64
	idle, tooLarge, foreign, slowFrame, malformed atomic.Int64
	notServed, notReading, byHandler, byPanic     atomic.Int64
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		ConnectionsOpen: c.open.Load(), BudgetUsedBytes: c.budgetUsed.Load(), ReplyHeldBytes: c.replyHeld.Load(),
		ConnectionsAccepted: c.accepted.Load(), ConnectionsRefused: c.refused.Load(),
		ConnectionsRefusedOfPeer: c.refusedOfPeer.Load(),
		Requests:                 c.requests.Load(), RequestBytes: c.requestBytes.Load(), ReplyBytes: c.replyBytes.Load(),
		BudgetWaits: c.budgetWaits.Load(),
		ClosedIdle:  c.idle.Load(), ClosedTooLarge: c.tooLarge.Load(), ClosedForeign: c.foreign.Load(),
		ClosedSlowFrame: c.slowFrame.Load(), ClosedMalformed: c.malformed.Load(), ClosedNotServed: c.notServed.Load(),
		ClosedNotReading: c.notReading.Load(), ClosedByHandler: c.byHandler.Load(), ClosedByPanic: c.byPanic.Load(),
	}
}
