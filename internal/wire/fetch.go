package wire

import "math"

// FetchVersion is the version of Fetch that nodes speak among each other.
const FetchVersion int16 = fetchMaxVersion

// FetchRequest is a Fetch request, versions 0 to 18. Reuse it: Decode keeps the memory of its slices. It does not alias
// the frame.
type FetchRequest struct {
	Version         int16
	ClusterID       *string // v12+, tagged
	ReplicaID       int32   // -1 for consumers; from v15 on it is taken from the tagged replica state (KIP-903)
	ReplicaEpoch    int64   // v15+; -1 when absent
	MaxWaitMillis   int32
	MinBytes        int32
	MaxBytes        int32 // v3+; 2^31-1 before
	IsolationLevel  int8  // v4+; 0 read uncommitted, 1 read committed
	SessionID       int32 // v7+ (KIP-227)
	SessionEpoch    int32 // v7+; -1 without session
	Topics          []FetchTopic
	ForgottenTopics []ForgottenTopic // v7+
	Rack            string           // v11+ (KIP-392)
}

// NewFetchPartition returns a partition that says nothing but its number and where to read from.
func NewFetchPartition(partition int32, offset int64) FetchPartition {
	return FetchPartition{
		Partition: partition, FetchOffset: offset, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1,
		HighWatermark: math.MaxInt64, FlushedOffset: -1,
	}
}

// FetchTopic is one topic of a FetchRequest: by name up to version 12, by id from 13 on (KIP-516).
type FetchTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartition
}

// FetchPartition is one partition to read from. Its fields are ordered by width: a follower sends many thousands.
type FetchPartition struct {
	FetchOffset        int64
	LogStartOffset     int64    // v5+; of a follower, -1 otherwise
	HighWatermark      int64    // v18+, tagged: what the follower knows (KIP-1166); 2^63-1 when absent
	FlushedOffset      int64    // v12+, tagged, of Logbahn's followers: the end of what is on their disk; -1 when absent
	ReplicaDirectoryID [16]byte // v17+, tagged (KIP-853)
	Copy               int32    // v12+, tagged, of Logbahn's followers: how often the copy was begun anew in this life; 0 when absent
	Partition          int32
	CurrentLeaderEpoch int32 // v9+; -1 when unknown (KIP-320)
	LastFetchedEpoch   int32 // v12+; -1 when unknown (KIP-595)
	PartitionMaxBytes  int32
}

// LostOffset is the FetchOffset of a follower whose records are lost: it reads nothing, and wants the leader to forget what
// it had before its Copy.
const LostOffset int64 = -1

// ForgottenTopic names partitions that leave a fetch session.
type ForgottenTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []int32
}

// FetchResponse answers a FetchRequest of the same version.
type FetchResponse struct {
	Version        int16
	ThrottleMillis int32 // v1+
	Error          Error // v7+
	SessionID      int32 // v7+
	Topics         []FetchTopicReply
	NodeEndpoints  []NodeEndpoint // v16+, tagged: where CurrentLeaders are (KIP-951)
}

// FetchTopicReply is what was read of one topic.
type FetchTopicReply struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartitionReply
}

// FetchPartitionReply is what was read of one partition. Start from [NewFetchPartitionReply], which has the values that
// mean "nothing".
type FetchPartitionReply struct {
	Partition            int32
	Error                Error
	HighWatermark        int64
	LastStableOffset     int64                // v4+; -1 when unknown
	LogStartOffset       int64                // v5+; -1 when unknown
	DivergingEpoch       EpochEnd             // v12+, tagged: sent unless NoEpochEnd
	CurrentLeader        CurrentLeader        // v12+, tagged: sent unless NoLeader
	SnapshotID           EpochEnd             // v12+, tagged: sent unless NoEpochEnd
	AbortedTransactions  []AbortedTransaction // v4+; nil is null, as read_uncommitted gets it
	Forgotten            Forgotten            // v12+, tagged, for Logbahn's followers: sent unless zero
	PreferredReadReplica int32                // v11+; -1 for none
	Records              RecordSource         // nil is none: sent as empty, since old clients cannot read null
}

// NewFetchPartitionReply returns a reply for a partition that says nothing but its number.
func NewFetchPartitionReply(partition int32) FetchPartitionReply {
	return FetchPartitionReply{
		Partition: partition, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		DivergingEpoch: NoEpochEnd, CurrentLeader: NoLeader, SnapshotID: NoEpochEnd, PreferredReadReplica: -1,
	}
}

// Forgotten says that a leader counts nothing that a follower had before its Copy, and that the in-sync set which the leader
// knows, of a partition epoch, is without it.
type Forgotten struct {
	Copy           int32
	PartitionEpoch int32
}

// EpochEnd is a leader epoch and the offset at which it ends: where a follower's log diverges, or a snapshot's id.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// NoEpochEnd is the EpochEnd that says nothing and is not sent.
var NoEpochEnd = EpochEnd{Epoch: -1, EndOffset: -1}

// AbortedTransaction tells a read_committed consumer which records to skip.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}
