// Package cluster is what every node knows of the cluster: brokers, topics, leaders, dynamic configs.
//
// # What it promises
//
// An Image is immutable. Whoever holds one may read it from any goroutine for as long as it likes, and two reads of one
// image agree with each other. Everything reached through an image (Topic, Broker, slices, maps) is shared with it and
// with other images: it must not be written to.
//
// Image.Apply makes the next image out of a list of Changes that commit together. It is total and deterministic: the
// same image and the same changes give the same image on every node, and a list with one invalid change is an error and
// changes nothing. The new image shares with the old one all that did not change, so that a small change stays cheap
// with hundreds of thousands of partitions.
//
// Changes travel and rest as bytes of our own format (AppendChanges, ParseChanges; docs/formats/cluster-metadata.md).
// A change that this version does not know is ErrNewerVersion and never skipped: a node that cannot understand the
// cluster's state must not act on a part of it.
//
// # Errors
//
// ErrInvalidChange (Apply), ErrNewerVersion and ErrMalformed (ParseChanges), all wrapped with what is wrong.
//
// # Concurrency
//
// Nothing here starts a goroutine, takes a lock, reads a clock or does I/O.
package cluster
