// Package workload is the clients that use the cluster while it is broken: franz-go in this process, librdkafka and the
// Java client in processes of their own. All do the same and report it in the same words.
//
// # What a client does
//
// One idempotent producer with acks=all sends values that are unique in the run, NAME-COUNTER, to the partitions in
// turn, as many in a second as it is told. Of each partition only a few are under way, so that one which takes no
// writes does not hold up the others. One consumer reads all partitions by assignment from their start. Two members of
// one group read them too, and commit what they have got about once a second; one of them leaves and comes back now and
// then.
//
// # What it reports
//
// Events, one JSON object a line, in the order in which they happen to each producer and each consumer. Kind says which
// fields count:
//
//   - send {w, p, v}, then one of ack {v, p, o} and unknown {v, p, err}: what the client was told of a record
//   - assign {c, g, p, o}: a consumer begins at an offset; -1 when it does not know at which
//   - read {c, g, p, o, v, n}: a record that the n-th poll has returned
//   - commit {g, p, o, b, err}: an offset that was committed between b and t; with err it may have been
//   - fetched {g, p, o, b}: the group's committed offset for who asked between b and t, -1 for none
//   - problem {err}: something that a client should not meet
//   - stopped {}: all records sent are acknowledged or given up, and none will follow
//
// An external client is told by lines on its standard input: "stop" ends its producer, "end" the rest and the process.
// What it logs goes to its standard error; at SIGQUIT it writes the stacks of its threads there, and what else it knows of
// itself, and goes on.
//
// A History turns events into what internal/sim/check judges, and keeps when each partition took its writes.
package workload
