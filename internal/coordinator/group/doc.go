// Package group is the classic group coordinator as a pure machine: Kafka's JoinGroup, SyncGroup, Heartbeat and
// LeaveGroup protocol, the committed offsets, and what describes, lists and deletes them.
//
// # Contract
//
// A [Machine] holds the groups of one partition of __consumer_offsets. It is not safe for concurrent use: one goroutine
// owns it. It starts nothing, reads no clock and no random source but [Config].NewID, and the same calls give the same
// results. The owner
//
//  1. feeds every record of the partition to [Machine.Replay], then calls [Machine.Loaded] once;
//  2. passes requests to [Machine.Handle], and calls [Machine.Expire] while [Machine.Deadline] has passed;
//  3. after each of these calls hands the records of its [Result] back to Replay, in order, before the next call, and
//     appends them to the partition;
//  4. sends a reply only once the high watermark covers every record replayed so far;
//  5. throws the machine away when an append fails, and loads a new one from the log.
//
// # What is durable
//
// A group's offsets and its last GroupMetadataValue (generation, protocol, leader, members with their assignments) are
// durable: only Replay changes them, so they are always what the log says. Only Replay makes a group Stable or Empty.
// Who is joining, who has synced, sessions and timers are volatile: a coordinator that loads the log finds the last
// stored generation, gives every member of it a fresh session, and members of a generation that was never stored are
// told to join again.
//
// # States
//
//	Empty                no members; may hold offsets
//	PreparingRebalance   waits for the members to join
//	CompletingRebalance  members know the generation; waits for the leader's assignment
//	Stable               every member has, or can fetch, its assignment
//	Dead                 how a group that does not exist is described
//
// A join, a leave, an expired session or a changed subscription leads from Stable or CompletingRebalance to
// PreparingRebalance; the first join leads there from Empty and waits group.initial.rebalance.delay.ms for company.
//
// # Parked replies
//
// JoinGroup is answered when the join phase ends, SyncGroup when the leader's assignment is stored. Until then their
// [Call].ID is remembered, and a later Result carries the reply. Every call is answered exactly once, as long as the
// machine is stepped.
//
// # Errors
//
// Requests never fail the machine: what is wrong with one is in its reply. Replay returns an error for a record that
// cannot be decoded and skips it; records of kinds that the classic protocol does not know are ignored.
//
// Sources: Kafka's group protocol as of 4.x with KIP-62 (rebalance timeout), KIP-134 (initial delay), KIP-211 (offset
// retention), KIP-345 (static members), KIP-389 (group size), KIP-394 (member id required), KIP-496 (OffsetDelete),
// KIP-559 (protocol in SyncGroup), KIP-814 (skip assignment).
package group
