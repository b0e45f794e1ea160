// Package check judges what clients of a log have seen. It is pure: a History goes in, anomalies come out.
//
// The rules are those of Jepsen's Kafka workload, with what is known beyond it: the replicas' own contents at the end, the
// order of records of one producer, real time, and the offsets that groups commit.
//
// # What is an anomaly
//
// See Kind. A record whose fate is unknown (Info) may be there or not, but only once and only where its producer's order
// has room for it. Records that need not survive the loss of a leader (Durable is false) may be missing; when a consumer has
// read one it must stay, because consumers see only what all in-sync replicas have.
//
// # Metadata
//
// What clients ask for and are shown of a topic (MetadataOp) must be linearizable: porcupine looks for the order. Its work
// grows with the operations on one topic whose outcome is unknown: clients should take another topic after a few.
//
// # Size
//
// A history of a million records is judged in a few seconds; what is needed beside it is a few words for each record.
package check
