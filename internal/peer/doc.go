// Package peer is a node's connections to other nodes. It speaks Kafka's protocol as a client does, over whatever the
// Config's Dial gives.
//
// # What it promises
//
// A [Peers] holds nodes by id, each with an address that may change, all on one kind of listener: a node that has a
// listener for controllers beside the one for brokers is in two Peers. Connections are made when they are first needed,
// one per node and [Lane]; requests of a lane leave, and arrive, in the order in which they were begun, without waiting
// for each other's replies. Lanes do not wait for each other: a heartbeat never stands behind a request that takes its time.
//
// A request is sent once at most. Who gets an error that matches [ErrNotSent] may send it again, here or elsewhere; after
// any other error it may have been carried out. A request that is begun while a node cannot be reached waits for the next
// attempt to connect, and fails with it: attempts come after 50 ms of pause at first and 1 s at last, with jitter.
//
// A connection ends when its peer breaks it, sends what is no reply, or answers nothing for as long as its lane's requests
// may take (Config.ReplyTimeout, Config.LivenessTimeout, a Fetch's own wait in addition); all requests that were sent by
// it fail then. It also ends when the node's address changes. That one of the lane Liveness has ended is told at once
// (Config.Severed).
//
// # Streams
//
// A [Stream] is a connection to a node for one user alone, that of a proxy's client: its requests are in order among each
// other and wait for nobody else's. It is made by Open and never made again: when it ends, by the same rules, all that was
// sent and not answered fails. EndStreams ends those to a node that the cluster holds for dead, so that nobody waits for the
// end of a connection which nobody is left to close.
//
// Reply bytes are read into memory that grows with what has arrived, up to Config.ReplyBytesMax.
//
// # Raft
//
// [Raft] is a transport for the metadata quorum: messages queue for each voter, and leave together in frames as fast as
// the voter takes them. Where a queue is full messages are dropped, as they are for voters that nobody has an address of:
// raft sends again what is missing.
//
// # Concurrency
//
// All methods may be called by any goroutine. Per connection in use there are two goroutines, a writer and a reader; the
// writer ends after a while without requests, or with Forget and Close. [Raft] has one more per voter. Close returns when
// all have ended. One lock guards the table of nodes, one per lane its queue; neither is held during I/O.
package peer
