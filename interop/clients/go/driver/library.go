package driver

import (
	"context"
	"time"
)

// Record is a record as the checks see it, whatever the library calls it.
type Record struct {
	Key, Value []byte
	Headers    []Header
	Time       time.Time // zero: not given
	Partition  int32
	Offset     int64
	LogAppend  *bool // nil: the library does not say
}

// Header is a record's header. A nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// ProduceOptions are how records are written. The zero value is: no compression, acks=all, not idempotent, batches as
// the library likes them.
type ProduceOptions struct {
	Codec         string // none, gzip, snappy, lz4, zstd
	Acks          string // 0, 1, all
	Idempotent    bool
	BatchRecords  int // at most so many records in a batch; 0: as the library likes
	Transactional string
}

// Position is where a reader begins.
type Position struct {
	Start, End bool
	Offset     int64 // with neither
}

// ReadOptions are how records are read.
type ReadOptions struct {
	PartitionBytesMax int32 // 0: the library's default
	ReadCommitted     bool
}

// Library is a client library that is connected to a broker.
type Library interface {
	// CreateTopic creates the topic; it does not wait for metadata to show it. Partitions -1 means the broker's default.
	CreateTopic(ctx context.Context, topic string, partitions int, replicas int, configs map[string]string) error
	// Describe asks for the topic's metadata and does not create it.
	Describe(ctx context.Context, topic string) (Description, error)
	// Produce writes the records to their partitions, in order, and returns the offset of each, -1 where unknown. Of
	// several errors it returns the first.
	Produce(ctx context.Context, topic string, records []Record, options ProduceOptions) ([]int64, error)
	// Read opens a reader of partition 0, which is at its position when Read returns.
	Read(ctx context.Context, topic string, at Position, options ReadOptions) (Reader, error)
	// OffsetAt is the first offset of partition 0 whose timestamp is at least t, -1 for none.
	OffsetAt(ctx context.Context, topic string, t time.Time) (int64, error)
	// Join opens a member of a group that consumes topic from the start where nothing is committed.
	Join(ctx context.Context, options MemberOptions) (Member, error)
	// Committed is the group's offset of partition 0, -1 for none.
	Committed(ctx context.Context, group, topic string) (int64, error)
	// ErrorCode is Kafka's code of an error, if it has one.
	ErrorCode(error) (int16, bool)
	Close()
}

// Description is what metadata says of a topic and of the cluster.
type Description struct {
	Brokers         int
	ControllerKnown bool
	Partitions      int
	LeadersKnown    bool
	Internal        bool
}

// Reader reads one partition.
type Reader interface {
	// Next returns records as they come; it may return none.
	Next(ctx context.Context) ([]Record, error)
	Close()
}

// Assignor is how a group shares partitions.
type Assignor int

const (
	Range Assignor = iota
	CooperativeSticky
)

// MemberOptions are what a member joins with.
type MemberOptions struct {
	Topic, Group string
	Assignor     Assignor
	Instance     string // group.instance.id, empty for none
}

// Member is one member of a group. It heartbeats by itself; Poll is what makes it take part in rebalances in libraries
// that ask for that.
type Member interface {
	// Poll returns the records that came within about 100 ms.
	Poll(ctx context.Context) ([]Record, error)
	// Assignment is what the member holds now; Assigned how often it was given partitions, Revoked how many were taken.
	Assignment() []int32
	Assigned() int
	Revoked() int
	// Commit commits the next offset to read of each partition.
	Commit(ctx context.Context, offsets map[int32]int64) error
	// Leave closes the member and has it leave the group; Stop closes it without a word, as a static member does.
	Leave()
	Stop()
}
