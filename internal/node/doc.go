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
// Sockets are bound before anything is written, so that a taken port costs nothing. A node registers before it opens its
// replicas: the image is then as new as the cluster, and the leader epochs of what it led in an earlier life are raised. It
// is unfenced when they are open, and serves then. Everything is stopped in the reverse order of its start.
//
// # Concurrency
//
// All methods may be called by any goroutine. The package owns a goroutine per socket (accept), one that watches the
// quorum for failure, and one that ticks the replicas; all end with Stop.
package node
