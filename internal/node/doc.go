// Package node puts a broker together: data directory, metadata quorum, replicas, group coordinator, broker, listeners.
// It is the only package that knows them all.
//
// # What it promises
//
// Start returns a node that answers requests, or an error that says what to do, with nothing left running. Stop finishes
// the requests that have begun, flushes, and marks the directory as cleanly stopped. A node that cannot keep its promises
// any more (its metadata log cannot be written) ends by itself: Done is closed, Err says why.
//
// # Order
//
// Sockets are bound before anything is written, so that a taken port costs nothing. A node of several accepts on its listener
// for controllers next, finds the cluster that it belongs to or begins one with the others (form.go), and takes part in the
// quorum; clients that come early wait until it serves. A node registers before it opens its
// replicas: the image is then as new as the cluster, and the leader epochs of what it led in an earlier life are raised. It
// is unfenced when they are open, and serves then. Everything is stopped in the reverse order of its start.
//
// # Other nodes
//
// What only nodes ask of each other is served on listeners for controllers: raft's messages, hello, and envelopes, in
// which registrations and heartbeats come as well (controller_apis.go). Where no listener is named for controllers and there
// are several voters, the one between brokers serves both. What a client asks the cluster to change is run by the quorum here, or passed on to the
// controller, and answered when this node's image has it (metadata.go). A request is passed on again only when it is certain
// that nothing was done of it.
//
// A broker says by heartbeats that it lives, registers again when the controller has lost it, and hands over what it leads
// before it stops (alive.go). The controller fences one whose process has ended as soon as its machine says so (lookout.go).
// A controller whose directory was lost takes the place of its former self among the voters (vote.go).
//
// # Concurrency
//
// All methods may be called by any goroutine. The package owns a goroutine per socket (accept), one that watches the
// quorum for failure, one that ticks the replicas, one for heartbeats, one that looks out for brokers that have died, and for
// a while those that ARCHITECTURE.md names; all end with Stop.
package node
