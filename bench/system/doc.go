//go:build linux

// Package system starts what is measured: Logbahn, Apache Kafka, kfake, NATS JetStream, and the bare loops that say what
// the machine can do. Each runs as a process of its own in a directory of its own, so that its CPU time and memory can
// be read from /proc, and is gone with its data after Stop.
//
// A system may be a cluster: three processes, each with an address of loopback of its own, that can be killed, stopped and
// started again on their directories one by one. The methods of a Cluster add up over its nodes. A Process belongs to one
// goroutine.
//
// kfake, NATS and the bare loops are libraries or parts of this module: the benchmark's own binary is started again for
// them, with the arguments that Serve takes.
package system
