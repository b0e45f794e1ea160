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
// The image is the only lasting state. The machine itself remembers when it last heard of each broker; a new controller
// gives every broker a whole session before it misses one.
//
// # Who leads
//
// A broker that is fenced, drains or registers anew gives up what another live member of the in-sync set can lead, and
// leaves that set. What nobody else can lead stays with it: it is the only one that has all records, it goes on where it
// stopped when it returns, and no change of the metadata is spent on it but the registration, which raises its leader
// epochs (cluster.RegisterBroker). Clients are not sent to a fenced leader.
//
// # Concurrency
//
// A Machine belongs to one goroutine. It starts none, reads no clock, and ranges over no map without sorting.
package controller
