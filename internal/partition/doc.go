// Package partition is one broker's replica of a partition: who leads it in which epoch, how far its records are safe,
// and who waits for that.
//
// # What it promises
//
// The high watermark of a leader is the least flushed end offset over the in-sync replicas, its own included, and over
// the replicas whose admission is under way; what "flushed" promises is commitlog.FlushMode's. It advances only while
// the in-sync replicas number at least min(min.insync.replicas, replication factor), and never goes back while one
// leader leads. Consumers read below it only. A node that is alone is an in-sync set of one: nothing here knows whether
// there are other nodes.
//
// An append is acknowledged with acks=1 when the leader has flushed it, with acks=all when the high watermark has passed
// it. A leader that loses its leadership, or its log, wakes everyone who waits, with ErrNotLeader or ErrStorage. A wait
// belongs to the leader epoch that appended: a leader that is deposed and elected again does not confirm what it held
// before.
//
// Every leadership begins with Log.StartEpoch before the first append, so no two leaders write under one epoch.
//
// # States
//
// A replica is online as leader, online as follower, or offline: its log could not be opened or failed later. An offline
// replica stays in the Set with its reason until the topic is deleted or the process starts anew. A deleted replica is
// gone from the Set; those who still hold it get ErrNotLeader.
//
// # Parts
//
//   - machine is the replication rule as a pure state machine: events in, effects out.
//   - Partition is the shell: it feeds the machine from the log's hooks and from requests, and wakes waiters.
//   - Set is the replicas of this broker. It follows the images of the cluster, in order.
//   - Waiter waits for data on many partitions at once.
//
// # Concurrency
//
// Every method may be called by any goroutine. Appends are ordered by the log's own mutex; Partition.mu guards the
// machine and the lists of waiters and is held for no I/O. Partition.role orders a change of leadership against appends:
// an append holds it shared, a change holds it alone, so that nothing is appended under an epoch that has ended. Lock
// order: Set.applying, role, the log's, mu.
// The package starts no goroutine; the log's flusher calls in through commitlog.Hooks.
package partition
