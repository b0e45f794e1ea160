package broker

import (
	"strconv"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/partition"
)

// Settings are the broker's own settings that requests depend on. Topics' settings come with their partitions.
type Settings struct {
	AutoCreateTopics              bool
	DescribePartitionsMax         int // of one answer of DescribeTopicPartitions
	FetchBytesMax                 int // of record data in one reply
	FetchSessionsMax              int
	OffsetsTopicPartitions        int32
	OffsetsTopicReplicationFactor int16
	OffsetsTopicSegmentBytes      int32
}

// SettingsOf takes the settings out of a broker's configuration.
func SettingsOf(c config.Broker) Settings {
	return Settings{
		AutoCreateTopics:              c.Topics.AutoCreate,
		DescribePartitionsMax:         int(c.Quorum.DescribePartitionsMax),
		FetchBytesMax:                 int(c.Fetch.BytesMax),
		FetchSessionsMax:              int(c.Fetch.SessionsMax),
		OffsetsTopicPartitions:        c.Offsets.Partitions,
		OffsetsTopicReplicationFactor: c.Offsets.ReplicationFactor,
		OffsetsTopicSegmentBytes:      c.Offsets.SegmentBytes,
	}
}

// offsetsTopicConfigs are what Kafka gives the topic: compacted, in segments small enough to load quickly. With three
// replicas two have to be in sync, so that no commit is lost with one broker; Kafka leaves that to min.insync.replicas.
func (s *Settings) offsetsTopicConfigs(replicas int16) [][2]string {
	configs := [][2]string{
		{"cleanup.policy", "compact"},
		{"compression.type", "producer"},
		{"segment.bytes", strconv.Itoa(int(s.OffsetsTopicSegmentBytes))},
	}
	if replicas >= 3 {
		configs = append(configs, [2]string{"min.insync.replicas", "2"})
	}
	return configs
}

const (
	decompressedFactor   = 16       // how much larger than max.message.bytes a batch may become
	decompressedBytesMin = 16 << 20 // so that small limits on messages still allow well compressed ones
	decompressedBytesMax = 1 << 30
)

// decompressedMax bounds what the broker inflates of one batch of a topic.
func decompressedMax(s *partition.Settings) int {
	return int(min(max(s.Log.MaxMessageBytes*decompressedFactor, decompressedBytesMin), decompressedBytesMax))
}
