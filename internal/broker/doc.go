// Package broker answers Kafka's requests. apis.go is the one table of what it serves; each API has a file of its name.
//
// # A request's way
//
// The listener decodes a request and calls Broker.Start in the order of arrival on its connection. Start does what has
// to be in that order (for Produce, the append) and returns a Finish, which does the rest, may wait, and returns the
// reply. Finishes are called in the same order, at most one at a time per connection. An API whose Pipelines is false is
// started only when all replies before it have left; its whole work is in Finish, so that the reader never blocks.
//
// A reply that holds record data reads it while it is encoded: wire.Response.AppendTo is called once at most. A reply that
// has a method Release holds files or memory until that is called, once, when the reply has left or nobody wants it.
//
// The image of the cluster is loaded once per request and passed down: one reply never mixes two images. Metadata
// and Produce for a topic that is not in it, and a JoinGroup before there is a topic for groups, wait until it is as new as
// the controller's, half a second at most.
//
// # Errors
//
// Every API maps the errors of the rooms below to Kafka's codes in one switch. A failure that is in no table becomes
// UNKNOWN_SERVER_ERROR and is logged, with its cause, once, here.
//
// # Concurrency
//
// All methods may be called by any goroutine. The package starts none. Its own state is the cache of fetch sessions
// (one lock for the cache, one per session, taken in this order and never held while reading or waiting), a block of
// producer ids, the question to the controller that requests wait for, and when others were fenced, which whoever made it
// tells it (ImageApplied, in the order of the images).
package broker
