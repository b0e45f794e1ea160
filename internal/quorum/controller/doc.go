// Package controller decides what requests do to the cluster's metadata: brokers, topics, partitions, dynamic configs,
// producer ids.
//
// # What it promises
//
// Machine is pure: Handle takes the time, an image and a request, and returns the reply and the changes that must be
// committed before the reply may leave. The changes of one reply fit the image, and commit together or not at all. A
// request that is refused in part (one topic of several) changes only the rest. The same machine with the same random
// source gives the same answers.
//
// Texts and codes of errors are those of Kafka's own controller where it has one.
//
// # State
//
// The image is the only lasting state. The machine itself remembers when it last heard of each broker, how far each has
// read the metadata, and which partitions it has still to look at; a new controller gives every broker a whole session
// before it misses one for its silence, and looks at all partitions once. A session ends early when the broker's process is
// known to have ended (Lost).
//
// # Who leads
//
// settle.go has the rule: the leader is live and in sync; who is eligible (KIP-966) leads when nobody in sync lives; a
// replica that may lack records only where the topic allows it, flagged in the image (UncleanEpoch).
//
// A broker that is fenced, drains or registers anew gives up what another live one can lead, and leaves the in-sync set.
// What nobody else can lead stays with it. Kafka makes such a partition leaderless until the broker returns; here it keeps
// the leader that it had. To clients that is the same, who are not sent to a fenced leader. It is as safe: the broker is in
// the in-sync set in either case, so that it alone (with those eligible, who would lead already) may lead next; a leader
// that was merely cut off and goes on appending in its epoch has no rival in it; and a new run of it has a new epoch by its
// registration. And it is cheaper: a broker with a hundred thousand partitions of one replica goes and comes without a
// change of any.
//
// A broker that returns has what it had in sync or was eligible with, unless it has lost it: with another directory it
// leaves all in-sync sets and eligible replicas, and with flush=os also when its last run was not stopped (KIP-966). A
// partition whose last member has lost its records has no leader until an unclean election, or, with flush=os, until the
// last leader returns with what it still has.
//
// # Cost
//
// A heartbeat looks at its broker only; AlterPartition at the partitions that it names; a broker that goes or comes at the
// partitions of which it has a replica; a look at all partitions is taken in slices.
//
// # Concurrency
//
// A Machine belongs to one goroutine. It starts none, reads no clock, and ranges over no map without sorting.
package controller
