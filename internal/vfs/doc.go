// Package vfs is the file system below the log: the disk, a memory file system that loses power, and a wrapper that
// injects faults. Everything that Logbahn keeps goes through it.
//
// # Promises
//
// A write is seen by every reader at once and by nobody after a power loss, until File.Sync has returned nil. The name
// of a created, renamed or removed file is durable when SyncDir of its directory has returned nil; a synced file in a
// directory that was not synced may be gone. Between two syncs there is no order: a later write may survive an earlier
// one, and a write may survive in part.
//
// A Sync that failed says nothing about what is on disk, and a second one that succeeds does not either: Linux marks
// the pages clean after the first. What the file holds since its last good Sync has to be written again.
//
// # Implementations
//
//   - Disk is the operating system's file system. Sync is fdatasync on Linux and what os.File.Sync does elsewhere.
//   - Mem keeps everything in memory. Crash ends it and returns what a power loss with the given seed leaves; Kill ends
//     it as kill -9 ends a process, with the page cache intact. Handles of before fail with ErrCrashed in both cases.
//     The same calls in the same order and the same seed leave the same bytes.
//   - Faults passes calls on to another FS, and fails, shortens, delays or falsifies those which its rules pick.
//   - Severable passes calls on to another FS until it is severed: then nothing more gets through.
//
// All of them pass the suite of package vfstest.
//
// # Concurrency and errors
//
// Any goroutine may call any method at any time. Closing a file while another goroutine uses it ends that use with an
// error. Errors are *fs.PathError or *os.LinkError around fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, a syscall.Errno,
// or one of this package's.
package vfs
