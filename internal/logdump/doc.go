// Package logdump prints the files of a partition's folder as kafka-dump-log does: .log (batches of version 2, message
// sets of 0 and 1), .index, .timeindex, .snapshot, .txnindex, and leader-epoch-checkpoint, which Kafka's tool passes over.
// Records of __consumer_offsets and __transaction_state can be decoded.
//
// # What it promises
//
// Files are read as they are, whoever wrote them, and never written. What they say is taken as hostile: no more memory is
// used than one batch has bytes, and what it decompresses to, both bounded; nothing makes it panic. Indexes and snapshots are
// read whole, up to a bound, and of the log beside a time index a few bytes for each batch. A file that is damaged is printed up
// to the damage, and the damage is named.
//
// # Errors and callers
//
// A [JSON] shows one record as a formatter of the console consumer does, and may be used from everywhere at once.
// [Dumper.File] returns an error when a file cannot be read or is none of these; [Dumper.Problems] prints what was found
// to be inconsistent between files. A Dumper belongs to one goroutine; files may be in use by a broker meanwhile.
package logdump
