package wire

// ProduceRequest is a Produce request, versions 0 to 13. Reuse it: Decode keeps the memory of its slices.
type ProduceRequest struct {
	Version         int16
	TransactionalID *string // v3+
	Acks            int16   // -1 all in-sync replicas, 0 no reply at all, 1 the leader
	TimeoutMillis   int32
	Topics          []ProduceTopic
}

// ProduceTopic is one topic of a ProduceRequest: by name up to version 12, by id from 13 on (KIP-516).
type ProduceTopic struct {
	Topic      string   // v0 to v12
	TopicID    [16]byte // v13+
	Partitions []ProducePartition
}

// ProducePartition is the record set for one partition. Records aliases the frame; nil is null.
type ProducePartition struct {
	Partition int32
	Records   []byte
}

// ProduceResponse answers a ProduceRequest of the same version.
type ProduceResponse struct {
	Version        int16
	Topics         []ProduceTopicReply
	ThrottleMillis int32          // v1+
	NodeEndpoints  []NodeEndpoint // v10+, tagged: where CurrentLeaders are (KIP-951)
}

// ProduceTopicReply is the outcome for one topic.
type ProduceTopicReply struct {
	Topic      string   // v0 to v12
	TopicID    [16]byte // v13+
	Partitions []ProducePartitionReply
}

// ProducePartitionReply is the outcome for one partition. Set LogAppendTime and LogStartOffset to -1 when unknown, and
// CurrentLeader to [NoLeader] unless it is news.
type ProducePartitionReply struct {
	Partition      int32
	Error          Error
	BaseOffset     int64
	LogAppendTime  int64         // v2+; -1 with CreateTime
	LogStartOffset int64         // v5+; -1 when unknown
	RecordErrors   []RecordError // v8+
	ErrorMessage   *string       // v8+
	CurrentLeader  CurrentLeader // v10+, tagged: sent unless NoLeader
}

// RecordError says which record of a refused batch was at fault (KIP-467).
type RecordError struct {
	Index   int32 // of the record in its batch, from 0
	Message *string
}

// CurrentLeader tells a client who asked the wrong broker which one leads (KIP-951).
type CurrentLeader struct {
	LeaderID    int32
	LeaderEpoch int32
}

// NoLeader is the CurrentLeader that says nothing and is not sent.
var NoLeader = CurrentLeader{LeaderID: -1, LeaderEpoch: -1}

// NodeEndpoint is the address of a broker that a CurrentLeader names (KIP-951).
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   *string
}
