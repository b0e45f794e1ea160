// Package payd is pay-as-you-drive car insurance on a log: what cars send becomes trips, habits, a score and a premium
// of which every factor is printed.
//
//	devices -> telematics -> (group clean) -> telematics.clean -> (group analytics) -> driving-events, driver-scores
//	                              |                                       |
//	                              +-> telematics.dlq <--------------------+   driver-scores -> (group pricing) -> premiums
//
// [Run] makes the topics, starts one stage per group, a source (the simulated fleet or a replay of real drives) and a
// page, and returns when its context ends. It reaches the log only as any Kafka client does.
//
// # What a crash changes
//
// No trip, score or premium. Stages commit their offsets behind what they have written, so that some of it is written twice:
//
//   - clean names in every record the offset that it came from ([headerFrom]); records of one source partition are in
//     order, so a reader drops what it has seen, exactly. Which messages came last it remembers in memory only: behind a
//     restart one that was sent twice may pass it, and analytics drops and counts it; so it does then with one that
//     contradicts another of the same time, which else is a dead letter.
//   - analytics keeps each driver's state, with the input offset that it covers, in a compacted topic. After a restart
//     it reads on from the oldest offset covered, whatever is committed, and skips what a driver's state already holds. Its events have ids
//     that depend on the drive alone, its scores are absolute: written twice, they are the same.
//   - pricing is a function of a score.
package payd
