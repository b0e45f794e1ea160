// Package cluster runs the processes of a cluster, each in a network namespace and on a disk of its own, and does to
// them what can happen to a machine: kill -9, SIGSTOP, the loss of power, a stop and a start.
//
// A Cluster belongs to one goroutine, but for Died, which any may ask. The processes end with the sandbox.
package cluster
