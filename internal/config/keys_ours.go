package config

// How an acknowledged record is kept, the values of the key flush.
const (
	FlushSync = "sync"
	FlushOS   = "os"
)

var ourBrokerKeys = []Def{
	{Name: "cluster.id", Type: String, Unset: true, Valid: clusterID,
		Doc: "The cluster that this node is of. An empty directory is formatted with it, one of another cluster is refused. When nothing is said a new cluster gets one of its own. The Apache image's CLUSTER_ID is the same."},
	{Name: "flush", Type: String, Default: FlushSync, Valid: oneOf(FlushSync, FlushOS),
		Doc: "When a record counts as written: sync after it is on disk, os after it is with the operating system, as in Kafka."},
	{Name: "ops.consumer.lag.enable", Type: Boolean, Default: "true",
		Doc: "Whether /metrics tells how far consumer groups are behind."},
	{Name: "ops.listener", Type: String, Valid: hostPort,
		Doc: "The address of the operations endpoint, as host:port: metrics, health, clients, profiles. logbahn start takes 127.0.0.1:9644 when nothing is said; off is none."},
	{Name: "proxy.listener.names", Type: List,
		Doc: "The listeners that show the whole cluster as one node, behind the one address that their clients reach: whatever these ask is passed on to where it belongs. For clients that cannot reach every broker."},
	{Name: "ops.metrics.series.max", Type: Int, Default: "200000", Valid: atLeast(0),
		Doc: "Most series of partitions and of consumer groups in one answer of /metrics. A kind of series that finds no room is left out whole. 0 leaves all of them out."},
	{Name: "scrub.bytes.per.second", Type: Long, Default: "1048576", Valid: atLeast(0),
		Doc: "How fast closed segments are read in the background for records that the disk has damaged. What is found is copied anew from the leader while other replicas have it. 0 is never."},
}

// dynamicOnlyKeys are keys that Kafka takes from clients and not from server.properties.
var dynamicOnlyKeys = []Def{
	{Name: "follower.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Valid: atLeast(0),
		Dynamic: ClusterWide, Hidden: true,
		Doc: "Most bytes per second that throttled followers fetch."},
	{Name: "leader.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Valid: atLeast(0),
		Dynamic: ClusterWide, Hidden: true,
		Doc: "Most bytes per second that throttled followers are served."},
	{Name: "replica.alter.log.dirs.io.max.bytes.per.second", Type: Long, Default: "9223372036854775807", Valid: atLeast(0),
		Dynamic: ClusterWide, Class: NoEffect, Hidden: true,
		Doc: "Most bytes per second that moves between log directories take."},
}

// retiredTopicKeys are what older Kafkas had and older tools still send.
var retiredTopicKeys = []Def{
	{Name: "message.downconversion.enable", Type: Boolean, Default: "true", Class: NoEffect, Hidden: true,
		Doc: "Whether old consumers are served in their format. They are."},
	{Name: "message.format.version", Type: String, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "The format of the records on disk. It is always the newest."},
	{Name: "message.timestamp.difference.max.ms", Type: Long, Default: "9223372036854775807", Valid: atLeast(0),
		Class: NoEffect, Hidden: true,
		Doc: "How far timestamps may be off. message.timestamp.before.max.ms and message.timestamp.after.max.ms took its place."},
}

// retiredKeys are keys of older Kafkas, so that their server.properties starts a broker.
var retiredKeys = []Def{
	{Name: "port", Type: Int, Unset: true, Valid: between(0, 65535), Class: Mapped, Hidden: true,
		Doc: "The port to listen on, if listeners does not say."},
	{Name: "host.name", Type: String, Unset: true, Class: Mapped, Hidden: true,
		Doc: "The address to listen on, if listeners does not say."},
	{Name: "advertised.host.name", Type: String, Unset: true, Class: Mapped, Hidden: true,
		Doc: "The address that clients are told, if advertised.listeners does not say."},
	{Name: "advertised.port", Type: Int, Unset: true, Valid: between(0, 65535), Class: Mapped, Hidden: true,
		Doc: "The port that clients are told, if advertised.listeners does not say."},
	{Name: "zookeeper.connect", Type: String, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "Where ZooKeeper is. Logbahn needs none."},
	{Name: "zookeeper.connection.timeout.ms", Type: Int, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "How long a connection to ZooKeeper may take. Logbahn needs none."},
	{Name: "zookeeper.session.timeout.ms", Type: Int, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "How long ZooKeeper waits for a broker. Logbahn needs none."},
	{Name: "zookeeper.max.in.flight.requests", Type: Int, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "Most open requests to ZooKeeper. Logbahn needs none."},
	{Name: "zookeeper.set.acl", Type: Boolean, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "Whether ZooKeeper's nodes are protected. Logbahn needs none."},
	{Name: "broker.id.generation.enable", Type: Boolean, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "Whether a broker without an id gets one from ZooKeeper."},
	{Name: "reserved.broker.max.id", Type: Int, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "The highest id that is not given out by ZooKeeper."},
	{Name: "inter.broker.protocol.version", Type: String, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "The version that brokers speak with each other. They find out by themselves."},
	{Name: "log.message.format.version", Type: String, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "The format of the records on disk. It is always the newest."},
	{Name: "log.message.downconversion.enable", Type: Boolean, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "Whether old consumers are served in their format. They are."},
	{Name: "log.message.timestamp.difference.max.ms", Type: Long, Unset: true, Class: NoEffect, Hidden: true,
		Doc: "How far timestamps may be off. log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms took its place."},
}
