// Package quorum keeps the cluster's metadata: it drives etcd's raft library over the metadata log, runs the controller
// on the node that leads, and publishes an immutable cluster.Image after each committed change.
//
// # What it promises
//
// A change that Do has answered is on the disks of a majority of the voters, and in this node's image: what Do's caller
// reads next includes it, and every subscriber has seen it. Images are published in the order of the log, on every node
// the same. Terms and votes are synced before any entry that depends on them; an entry is synced before it counts.
//
// # States
//
//	no leader  requests wait for one, as long as their context allows
//	leading    requests run against the newest proposed image, once the entries of earlier terms are applied
//	disk full  requests wait for space, as long as their context allows
//	following  requests are refused with *NotControllerError
//	deposed    requests whose changes were under way wait until the log shows what became of them: committed, or overruled
//	           and refused with *NotControllerError; ErrOutcomeUnknown where a snapshot has taken the place of the log
//	failed     the log or the vote could not be written: every request is refused with ErrFailed, Failed is closed, and
//	           the node has to stop, since a voter must never forget what it has promised
//
// A reply that changes nothing, a refusal above all, waits for what it has seen and for nothing else: a leader that was deposed
// and does not know it yet gives it by an image that is not the newest. It steps down two election timeouts after it has last heard
// from a majority, which elects nobody for one: 300 ms are left, while its process runs. Kafka's controllers do the same for longer.
//
// # Members
//
// A node is a voter, a learner (is sent the log and does not count), or an observer (fetches what is committed). The log
// decides, and that changes at run time: AddRaftVoter makes a learner, then a voter, RemoveRaftVoter an observer, one change at a
// time (members.go). A voter is a node id with a directory id, from which its raft id derives: with an emptied disk it is
// somebody else, who follows as observer until it is added, and never votes with what was forgotten. A member that hears of
// no leader for two seconds fetches as observers do (observe.go): it may have been removed.
//
// # Storage
//
// Raft's entry i is one batch of one record at offset i-1 of the log, its term the batch's leader epoch (entry.go).
// quorum-state holds term, vote and members (state.go). A snapshot is a file of its own (snapshot.go). quorum-acknowledged
// tells how far the log has been on disk (acknowledged.go): a voter whose log is shorter has lost what it has promised. What
// is damaged or missing is refused at Open, with the way out; nothing is repaired by guessing.
//
// # Concurrency
//
// Every method may be called by any goroutine, and none from within a subscriber. A Quorum owns two goroutines: the loop
// (loop.go) is the only one that touches raft, the machine and the storage; the publisher (publish.go) calls the
// subscribers in order and then answers those who wait for them. Others run while a snapshot is written (snapshot.go) and
// while the log is fetched (observe.go). All end with Close.
package quorum
