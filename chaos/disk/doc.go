// Package disk is a file system for a process under test that loses power, fails and fills up: internal/vfs's file
// system in memory, mounted through FUSE.
//
// # Promises
//
// What vfs.Mem promises: bytes are durable when fsync or fdatasync of their file has returned, names when fsync of
// their directory has. The page cache of the kernel is not used (direct I/O), so a write that has returned survives
// the death of the process, and PowerLoss keeps of the unsynced calls none, all, some, or parts, by the seed.
//
// A failing sync behaves as Linux does: the dirty pages count as clean, later syncs succeed, and a power loss finds the
// disk without them.
//
// # What differs from a disk
//
// The kernel holds the inode while an fsync runs, so a slow fsync holds up the writes to the same file, not only the
// syncs. There are no links, no extended attributes, no times that can be set, and no shared memory maps.
//
// # Concurrency
//
// All methods may be called at any time; PowerLoss and Wipe expect that no process has a file open, and answer those
// that do with EIO. A process must not use the mount that it serves itself: every call would wait for a reply that it
// has to give.
package disk
