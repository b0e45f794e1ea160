// Package commitlog stores partitions as Kafka does, byte for byte: a data directory (Dir) holds one folder per
// partition (Log), a folder holds segments of record batches with their indexes.
//
// # Promises
//
// What lies below FlushedOffset survives a power cut: same bytes, same offsets, once. What is read has been checked
// against its CRC-32C at this read; corrupt bytes are an error, never an answer. A Log that was closed by Dir.Close
// opens without reading its data; after anything else it is recovered (recover.go).
//
// # States of a Log
//
//	open    appends, reads, flushes
//	failed  a write or sync failed, or data below the recovery point is corrupt: Append, AppendReplica and Flush
//	        answer ErrStorage with the cause, reads go on. It never recovers by itself: what the kernel kept of a
//	        failed sync is not known. Opened again, the log is recovered.
//	closed  everything answers ErrClosed.
//
// A full disk at write is no failure: that append is refused with ErrNoSpace and leaves nothing behind.
//
// # Who may call what
//
// Every method may be called by any goroutine. Readers take no lock: Read, OffsetForTimestamp, Batches and the offsets
// work on an immutable list of segments and atomic numbers. Appends of one Log are ordered by its lock, under which
// files are written but never synced; TruncateSuffix and ResetTo, which nothing else may write beside, are the
// exception: they keep it (lock.go). The order of locks: Log.filesMu, Log.syncMu, Dir.checkpointMu, Log.mu; under Log.mu only those of one
// file handle and of the flusher's queue are taken.
//
// A Dir owns two goroutines: the flusher syncs what was appended, many appends at a time (flush.go), and maintenance
// checkpoints, deletes and compacts (maintenance.go). A third reads closed segments for corrupt records, where the Dir is told
// how fast (scrub.go). All end with Close. Hooks are called by them, without locks.
//
// # Files
//
// docs/formats describes every file of a directory.
package commitlog
