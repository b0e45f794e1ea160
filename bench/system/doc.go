//go:build linux

// Package system starts what is measured: Logbahn, Apache Kafka, kfake, NATS JetStream, and the bare loops that say what
// the machine can do. Each runs as a process of its own in a directory of its own, so that its CPU time and memory can
// be read from /proc, and is gone with its data after Stop.
//
// kfake, NATS and the bare loops are libraries or parts of this module: the benchmark's own binary is started again for
// them, with the arguments that Serve takes.
package system
