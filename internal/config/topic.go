package config

import "slices"

// Topic is what counts for a topic on this broker. Times are in milliseconds; -1 is no limit where a limit can be off.
type Topic struct {
	Delete, Compact bool // cleanup.policy
	Compaction      Compaction
	Compression     Compression
	Segment         Segment
	Timestamps      Timestamps

	MaxMessageBytes   int32
	MinInsyncReplicas int32
	RetentionBytes    int64
	RetentionMs       int64
	// The replicas that are throttled as leaders and as followers: partition:broker, or * alone for all.
	LeaderThrottled, FollowerThrottled []string
}

// Compaction says when a log is compacted.
type Compaction struct {
	DeleteRetentionMs      int64
	MaxLagMs, MinLagMs     int64
	MinCleanableDirtyRatio float64
}

// Compression says how records are compressed on disk.
type Compression struct {
	Type                           string // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel, LZ4Level, ZstdLevel int32
}

// Segment says when a segment is closed and how long it stays once it is deleted.
type Segment struct {
	Bytes              int32
	IndexBytes         int32
	IndexIntervalBytes int32
	Ms                 int64
	FileDeleteDelayMs  int64
}

// Timestamps says what the timestamps of records mean and how far they may be off.
type Timestamps struct {
	LogAppendTime           bool
	BeforeMaxMs, AfterMaxMs int64
}

// Election is what the choice of a topic's leaders depends on.
type Election struct {
	MinInsyncReplicas int32
	Unclean           bool // a replica that may lack records leads when no other is left
}

// Election returns what counts for the leaders of a topic with these settings of its own: as Topic, but quickly, for many
// topics at once.
func (l Layers) Election(overrides map[string]string) Election {
	return Election{
		MinInsyncReplicas: int32(l.topicValue(topicIndex["min.insync.replicas"], overrides).number),
		Unclean:           l.topicValue(topicIndex["unclean.leader.election.enable"], overrides).yes,
	}
}

// Topic returns what counts for a topic with these settings of its own.
func (l Layers) Topic(overrides map[string]string) Topic {
	get := func(name string) value { return l.topicValue(topicIndex[name], overrides) }
	number32 := func(name string) int32 { return int32(get(name).number) }
	policy := get("cleanup.policy").list
	return Topic{
		Delete:  slices.Contains(policy, "delete"),
		Compact: slices.Contains(policy, "compact"),
		Compaction: Compaction{
			DeleteRetentionMs:      get("delete.retention.ms").number,
			MaxLagMs:               get("max.compaction.lag.ms").number,
			MinLagMs:               get("min.compaction.lag.ms").number,
			MinCleanableDirtyRatio: get("min.cleanable.dirty.ratio").float,
		},
		Compression: Compression{
			Type:      get("compression.type").text,
			GzipLevel: number32("compression.gzip.level"),
			LZ4Level:  number32("compression.lz4.level"),
			ZstdLevel: number32("compression.zstd.level"),
		},
		Segment: Segment{
			Bytes:              number32("segment.bytes"),
			IndexBytes:         number32("segment.index.bytes"),
			IndexIntervalBytes: number32("index.interval.bytes"),
			Ms:                 get("segment.ms").number,
			FileDeleteDelayMs:  get("file.delete.delay.ms").number,
		},
		Timestamps: Timestamps{
			LogAppendTime: get("message.timestamp.type").text == "LogAppendTime",
			BeforeMaxMs:   get("message.timestamp.before.max.ms").number,
			AfterMaxMs:    get("message.timestamp.after.max.ms").number,
		},
		MaxMessageBytes:   number32("max.message.bytes"),
		MinInsyncReplicas: number32("min.insync.replicas"),
		RetentionBytes:    get("retention.bytes").number,
		RetentionMs:       get("retention.ms").number,
		LeaderThrottled:   get("leader.replication.throttled.replicas").list,
		FollowerThrottled: get("follower.replication.throttled.replicas").list,
	}
}
