// Package explore searches the states that a partition with three replicas can get into, breadth first, for one in which
// a committed record is lost. It finds the shortest way there.
//
// # What is real and what is a model
//
// The transitions are the production ones: replica.Machine decides for each broker, controller.Machine and cluster.Image
// for the cluster. Models stand for what is around them: a log (records, leader epochs, how much is on disk), a network
// whose messages wait, come twice and are lost, and time, which is whatever step is taken next.
//
// # Steps
//
// A leader appends a record; a broker flushes, fetches, or applies the next image; a leader finds that followers lag, and
// its proposal reaches the controller late, twice, or without its answer being heard; the controller misses a broker's
// heartbeats, whether it lives or not, or hears them again; a process is killed, or its machine loses power and with it
// what was not on disk; a broker starts again, with the high watermark of then or of long ago; it finds that its log is
// corrupt, tells its leader, and begins the log anew.
//
// # What must hold
//
// A record that a leader has committed is in the log of every leader that the controller elects, at its offset (leader
// completeness). When it was committed it was on the disks of all that were in sync, and of min.insync.replicas brokers at
// least (durable acknowledgement), and it stays on the disks of all that are in sync, unless there is no flush. Records of equal offset and epoch are equal (log matching). An epoch has at most one
// leader, and no high watermark is beyond the end of its log. These are invariants of Kafka's TLA+ specification.
//
// # Bounds
//
// Options say how many records, crashes and the like there may be in one run. Search sees everything within them, if
// StatesMax lets it; Walk goes further than any search does, one way at a time. A Weakening leaves a rule out, to show that
// what must be found is found.
//
// A run belongs to one goroutine, and depends on its options and seed only.
package explore
