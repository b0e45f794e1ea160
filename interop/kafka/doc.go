// Package kafka runs real Apache Kafka brokers, to ask them what Logbahn is asked too.
//
// interop/install.sh fetches the releases: 4.3.1 and 3.9.1 as a KRaft node that is broker and controller, 0.9.0.1 with
// the ZooKeeper that it needs. Start returns when the broker answers; it listens on loopback only, on ports that the
// system chose, and keeps everything in the directory that it is given. Stop ends the processes that Start made, and no
// others; on Linux they end with this process too.
//
// A Broker may be used by several goroutines; Stop is called once, after all of them.
package kafka
