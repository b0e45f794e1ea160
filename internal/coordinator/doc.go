// Package coordinator runs the group coordinator: Groups takes the group requests of clients, and one shard per partition
// of __consumer_offsets answers them.
//
// # A shard
//
// A shard is one incarnation of a coordinator: one partition in one leader epoch. It is the only writer of its
// group.Machine, which it loads from the partition's log when it is first asked for something. It takes requests one at a
// time, replays the records that the machine returns, and appends those of all requests that were waiting as one batch;
// nothing waits for company. A reply leaves once the high watermark covers the end of the log as the request saw it, for
// reads too, so that nobody sees what could still be lost. The wait is the caller's (see Requests), so the shard goes on
// meanwhile and one flush serves many requests.
//
//	loading ----> serving ----> gone
//	   |                          ^
//	   +--------------------------+
//
// A shard is gone when its partition is no longer led in its epoch, when an append or the wait for one fails, or when
// Groups is closed. Its memory may then be ahead of the log, so all of it is thrown away, whoever waits is told to look
// for the coordinator again, and the next request loads a new incarnation. Requests that come while a shard loads wait
// for LoadPatience and are then refused with COORDINATOR_LOAD_IN_PROGRESS: there is never an answer from half a log.
// Commits of offsets, which come all the time, are refused while too few replicas are in sync, and cost no shard.
//
// # Who was deposed and does not know it
//
// A shard whose broker is cut off from the controller goes on in an epoch that is over, while its successor commits
// offsets that it does not have. What it appends then is never committed: those who are in sync under the next epoch refuse
// its own. So a reply that waits for records which were appended after its request had come proves, when it leaves, that
// nobody else led when the request came. One that does not (OffsetFetch, a heartbeat, a description) proves nothing, and
// leaves only while the broker is confirmed: the controller has answered a heartbeat so lately that it cannot have elected
// another for this one's silence. Else it is refused as what passes (COORDINATOR_NOT_AVAILABLE).
//
// That is more than Kafka promises, which answers OffsetFetch from memory as long as the broker has not heard of another
// leader, and less than linearizable: where the controller replaces a broker that lives (a reassignment that ends, an
// unclean election by hand) and that broker is cut off in the very moment, its reads may be old until its confirmation
// runs out. A broker that hands over what it leads in order to stop is not confirmed while it asks to.
//
// # Requests
//
// Every request method of Groups has two phases. The first hands the request to the shard, in the order of the calls,
// and blocks only while the shard's queue is full; the second, the function it returns, waits for the reply. It must be
// called at most once; when its context ends it returns an error reply, and what was asked may happen all the same. The
// request belongs to the coordinator until the finish has returned.
//
// JoinGroup and SyncGroup are parked in the machine until the group's next step; nothing polls.
//
// # Errors
//
// All errors become Kafka's codes in replies:
//
//	NOT_COORDINATOR               the partition is not led here, or its log fails, of which the reason is logged
//	COORDINATOR_LOAD_IN_PROGRESS  the shard is loading (a Heartbeat is answered well instead, as by Kafka)
//	COORDINATOR_NOT_AVAILABLE     there is no __consumer_offsets yet, too few replicas are in sync, or Groups is closed
//	                              (NOT_COORDINATOR instead for OffsetFetch, of which old consumers expect nothing else)
//
// # Goroutines and locks
//
// One goroutine per shard that has been asked for something (shard.run), started by Groups, ended by Close or the end of
// the incarnation. It sleeps until a request, a deadline of its machine or a deleted topic wakes it, and has one timer.
// Groups has one more timer, which loads the shards that nobody has asked, so that their offsets expire as well.
//
// Groups.mu guards the table of shards, shard.mu the deleted topics that a shard has to look at. Neither is held during
// anything that waits.
package coordinator
