package commitlog

import (
	"math"
	"time"
)

// Config holds the settings of one log, named as Kafka's. Times are milliseconds, sizes bytes; -1 is no limit where
// Kafka says so. It may be replaced while the log is open.
type Config struct {
	SegmentBytes         int64
	SegmentMs            int64
	IndexBytes           int64 // segment.index.bytes: a segment whose index is full is rolled
	IndexIntervalBytes   int64
	RetentionMs          int64 // -1: for ever
	RetentionBytes       int64 // -1: no limit
	Delete               bool  // cleanup.policy has delete
	Compact              bool  // cleanup.policy has compact
	MinCleanableRatio    float64
	MinCompactionLagMs   int64
	MaxCompactionLagMs   int64
	DeleteRetentionMs    int64 // how long tombstones stay after they were first compacted
	MaxMessageBytes      int64
	FileDeleteDelayMs    int64
	LogAppendTime        bool  // message.timestamp.type=LogAppendTime
	PreallocateBytes     int64 // largest chunk reserved ahead for a busy log; 0: none
	ProducerExpirationMs int64 // producer.id.expiration.ms
}

// DefaultConfig returns Kafka's defaults, and preallocation in chunks of up to 16 MiB.
func DefaultConfig() Config {
	return Config{
		SegmentBytes:         1 << 30,
		SegmentMs:            7 * 24 * 3600 * 1000,
		IndexBytes:           10 << 20,
		IndexIntervalBytes:   4096,
		RetentionMs:          7 * 24 * 3600 * 1000,
		RetentionBytes:       -1,
		Delete:               true,
		MinCleanableRatio:    0.5,
		MaxCompactionLagMs:   math.MaxInt64,
		DeleteRetentionMs:    24 * 3600 * 1000,
		MaxMessageBytes:      1048588,
		FileDeleteDelayMs:    60_000,
		PreallocateBytes:     16 << 20,
		ProducerExpirationMs: 24 * 3600 * 1000,
	}
}

// forever is what is larger, and cannot be added to a time: neither here nor by clients, to whom a delete horizon is the base
// timestamp of a batch.
const forever = 100 * 365 * 24 * time.Hour

func (c *Config) fileDeleteDelay() time.Duration {
	return time.Duration(min(c.FileDeleteDelayMs, forever.Milliseconds())) * time.Millisecond
}

// deleteHorizonMs returns until when a tombstone stays that is met now.
func (c *Config) deleteHorizonMs(nowMs int64) int64 {
	return nowMs + min(c.DeleteRetentionMs, forever.Milliseconds())
}

// rollMs returns after how many milliseconds a segment is rolled. A compacted log rolls in time for its lag.
func (c *Config) rollMs() int64 {
	if c.Compact && c.MaxCompactionLagMs > 0 {
		return min(c.SegmentMs, c.MaxCompactionLagMs)
	}
	return c.SegmentMs
}

// Hooks are how a log tells its partition what happened in the background. They are called by the directory's
// goroutines without locks held, must not block, and may be nil. With FlushOS appends are flushed when they return, and
// Flushed is not called for them.
type Hooks struct {
	Flushed     func(flushedOffset int64)
	Failed      func(err error)
	StartOffset func(startOffset int64)
	// Rotten is told, in each pass of the scrubber, that a log which has not failed has corrupt records. Condemn lets it fail.
	Rotten func(err error)
}

// Origin says who made the batches that are appended.
type Origin int8

const (
	// Client batches are checked against the producer's sequence.
	Client Origin = iota
	// Coordinator batches are a group's or a transaction's own records.
	Coordinator
	// Internal batches are the node's own, control batches among them.
	Internal
)

// AppendOptions belong to one Append.
type AppendOptions struct {
	LeaderEpoch     int32
	Now             int64 // milliseconds since 1970: LogAppendTime, and the age of segments
	Origin          Origin
	NoProducerCheck bool // append whatever the sequence says
}

// Appended says where batches are.
type Appended struct {
	FirstOffset    int64
	LastOffset     int64
	LogAppendTime  int64 // -1 with the producer's own timestamps
	LogStartOffset int64
	// Duplicate means that the batch is in the log already, at these offsets: the caller waits until they are flushed
	// and replicated, as for a new one.
	Duplicate bool
	// Forgotten is a Duplicate whose place is not remembered: FirstOffset is -1, and it ends at LastOffset or before.
	Forgotten bool
}
