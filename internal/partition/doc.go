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
// A leader whose session with the controller has ended, or that has resigned, may not be one any more: it does not tell a
// consumer that an offset beyond its log is out of range (ErrOffsetNotAvailable), which the next leader may have given out.
// What it has is right.
//
// Every leadership begins with Log.StartEpoch before the first append, so no two leaders write under one epoch.
//
// # States
//
// A replica is online as leader, online as follower, or offline: its log could not be opened or failed later. An offline
// replica stays in the Set with its reason until the topic is deleted or the process starts anew, and tells its leader, who
// takes it out of the in-sync set at once. One whose log is corrupt is set aside and copied anew once its leader and the image
// count on nothing that it has (anew.go): as a new replica in its place. So is one whose log could not be opened because the
// disk was full, as soon as it can be (Tick). A replica that is gone from the Set answers those who still hold it with
// ErrNotLeader.
//
// # Following
//
// A follower copies its leader's log with Kafka's Fetch, byte for byte: batches come with their offsets and epochs, and
// each one is checked before it is appended. Where the logs part it cuts its own, as package replica says. It learns the
// leader's high watermark and log start with every answer. What it has on disk it tells with the next request, or in a
// report of its own when that has to wait (fetch_report.go). One fetcher per leader asks for all partitions of that leader
// in one incremental session; an error of one partition takes that one out for replica.fetch.backoff.ms and leaves the
// others going. An answer counts only while the replica is in the epoch, and at the offset, that it asked from.
//
// What a fetcher holds is bounded by replica.fetch.response.max.bytes, for each leader.
//
// Changes of the in-sync set are proposed to the controller, many partitions in one request. A proposal is in force for
// the high watermark until its outcome is known; a lost answer is no outcome, and the same proposal is sent again.
//
// # Parts
//
//   - package replica is the replication rule as a pure state machine: events in, effects out.
//   - Partition is the shell: it feeds the machine from the log's hooks, from requests and from the leader's answers, and
//     wakes waiters.
//   - Set is the replicas of this broker. It follows the images of the cluster, in order.
//   - fetcher copies from one leader; proposals ask the controller.
//   - Waiter waits for data on many partitions at once.
//
// # Concurrency
//
// Every method may be called by any goroutine. Appends are ordered by the log's own mutex; Partition.mu guards the
// machine and the lists of waiters and is held for no I/O. Partition.role orders a change of leadership against appends:
// an append, a follower's too, holds it shared, a change holds it alone, so that nothing is appended under an epoch that
// has ended. It is held alone as well while a follower's log is cut. Lock order: Set.applying, role, the log's, mu.
//
// The Set starts two goroutines for each broker that leads something here, and one for proposals, when they are needed
// first; Close ends them. The log's flusher calls in through commitlog.Hooks.
package partition
