// Package replica is the replication rule of one replica of a partition: a pure state machine, of which each replica has
// one, leader or follower.
//
// # How it is driven
//
// Events go in as method calls, with the time in milliseconds where the rule needs one; Effects come out, and whoever
// drives the machine carries them out in the order of their fields. The machine has no log, no clock and no goroutine: it
// knows of the log its end, its flushed end and where it starts to be committed. It is deterministic and not safe for
// concurrent use. Partition drives it with the log; tests and the state-space explorer with models.
//
//	event                       who tells it                            what may come of it
//	Assigned                    the image of the cluster                leadership won or lost, high watermark
//	Appended, FlushedTo         the log                                 high watermark
//	FollowerFetched             a follower's fetch (leader)             high watermark, a larger in-sync set proposed
//	FollowerLost                a follower whose records are lost       a smaller in-sync set proposed
//	Admit                       the image, or time                      a larger in-sync set proposed
//	Tick                        time (leader)                           a smaller in-sync set proposed
//	Failed, NoSpace             the log (leader)                        an in-sync set without itself proposed
//	ProposalRefused             the controller's answer (leader)        high watermark
//	LeaderAnswered              the leader's answer (follower)          high watermark
//	Diverged, OutOfRange        the leader's answer (follower)          the log is cut, or begun again
//	Truncated                   the log, after that
//	StartedAt                   the log: records below were deleted     high watermark
//
// An answer of the leader's counts only while the follower is in the epoch that it asked in, at the end that it asked from,
// and its last record is of the same epoch as then: it must not be told of it else. A follower that has cut its log and
// copied another tail may end where it ended before.
//
// # The rules
//
// They are Kafka's (KIP-101, KIP-279, KIP-320, KIP-497, KIP-903, KIP-966) with one difference: a replica counts with its
// flushed end offset, not its end offset. What "flushed" promises is the log's matter; with flush=os both are the same.
//
// The high watermark of a leader is the least flushed end over the in-sync set and over the replicas whose admission has
// been proposed, the leader's own included. It advances only while the in-sync set has at least min(min.insync.replicas,
// replication factor) members, and never goes back while one leader leads. A proposal counts until the image or the
// controller has answered it: one whose answer is lost may have been taken, and a replica that the controller holds for
// in sync may be elected.
//
// A follower is proposed for the in-sync set once it has flushed all that is committed and has reached the start of the
// leader's own epoch, below which its log may differ from the leader's, and if it is eligible: alive, not draining, and
// in the life (broker epoch) that the cluster knows. It is proposed to leave when it has not flushed, for
// replica.lag.time.max.ms, all that the leader had at any moment of that time.
//
// A follower whose log is corrupt begins another copy in the same life. The leader, which takes a follower for one that loses
// nothing, has to forget it first: FollowerLost, with the number of the copy that is to begin. What comes of an earlier copy
// afterwards is passed over, as what comes of an earlier life. The follower may drop its records once the leader has
// forgotten it and an image, as new as the leader's, has it in no set from which one is elected: nothing but the leader's
// proposals brings it back there.
//
// A follower asks for what follows its end and says which epoch its last record is of. A leader that has that epoch end
// earlier, or does not know it, answers with the largest epoch that both may have in common and its end; the follower cuts
// to where it agrees with that, and asks again, until the leader has nothing to object: each round ends in a smaller epoch
// or at a smaller offset.
//
// It does not cut below its high watermark: what is below is committed, and a leader that was elected from the in-sync
// set or its like (ELR) has it. There the leader may object only because compaction has left nothing of an epoch in its
// log; the follower cuts to the high watermark and asks from there without naming an epoch. Where the image says that
// there was an unclean election after the follower's committed records were written, they are not the leader's, and are
// cut as Kafka does it.
package replica
