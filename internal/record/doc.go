// Package record reads, checks and writes the bytes of Kafka's records: batches of version 2 (KIP-98), which is what a
// log holds, and the message sets of versions 0 and 1, which clients of 2012 to 2017 send and fetch.
//
// It is pure: functions over byte slices, without goroutines, clocks or files. Everything that takes bytes takes them
// as hostile. Functions are safe for concurrent use as long as nobody writes to the bytes meanwhile; a Builder belongs
// to one goroutine.
//
// A broker leaves records as they are. It reads the header of a batch (ReadHeader), checks what can be checked without
// decompression (Check), looks inside only where a topic's settings ask for it (Validate), and patches offset and epoch
// in place (PatchOffsets), which the checksum does not cover. Decompression is bounded by the caller, and no memory is
// allocated because a header claims a size.
//
// The formats, their sources and the rules are in docs/formats/record-batch.md.
package record
