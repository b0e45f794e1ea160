// Package sandbox runs this program again in namespaces of its own, so that whatever it does to mounts, networks and
// processes ends with it: Ctrl-C, a panic and kill -9 leave nothing behind, because the kernel takes the namespaces
// down with their last process.
//
// Inside, the program is process 1 of a process namespace, has a network namespace with nothing but a loopback
// interface, a private view of the mounts, and an empty file system in memory at Dir.
//
// It runs on Linux and needs root: see ErrUnsupported for what else may be missing.
package sandbox
