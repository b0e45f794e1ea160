package partition

import (
	"strconv"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/record"
)

// Settings are a topic's settings as its replicas, and those who write to it, need them.
type Settings struct {
	Log    commitlog.Config
	MinISR int // min.insync.replicas
	// Recompress tells that batches are stored with Codec at Level, whatever the producer chose (compression.type).
	Recompress bool
	Codec      record.Codec
	Level      int
	// How far the records' timestamps may lie before and after the broker's clock, in milliseconds
	// (message.timestamp.before.max.ms, message.timestamp.after.max.ms). Not looked at with LogAppendTime.
	TimestampBeforeMaxMs, TimestampAfterMaxMs int64
	// LeaderThrottled and FollowerThrottled are the replicas that are copied no faster than their broker's rate.
	LeaderThrottled, FollowerThrottled ReplicaList
}

// Layers returns what is set for a broker: by the image, and by its own configuration.
func Layers(img *cluster.Image, id cluster.NodeID, static map[string]string) config.Layers {
	return config.Layers{
		Dynamic:        img.Config(cluster.Resource{Type: cluster.BrokerResource, Name: strconv.Itoa(int(id))}),
		DynamicDefault: img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource}),
		Static:         static,
	}
}

// resolver resolves topics' settings against one image.
type resolver struct {
	layers               config.Layers
	producerExpirationMs int64
	leaderRate           int64 // bytes a second of throttled replicas
	followerRate         int64
}

func newResolver(layers config.Layers) resolver {
	r := resolver{layers: layers, producerExpirationMs: commitlog.DefaultConfig().ProducerExpirationMs, leaderRate: unlimited, followerRate: unlimited}
	if b, err := layers.Broker(); err == nil { // an invalid configuration does not get as far as this
		r.producerExpirationMs = int64(b.Producers.ExpirationMs)
		r.leaderRate, r.followerRate = b.Replication.LeaderBytesPerSecond, b.Replication.FollowerBytesPerSecond
	}
	return r
}

func (r resolver) settings(topic *cluster.Topic) *Settings {
	t := r.layers.Topic(topic.Config)
	s := &Settings{
		Log:                  logConfig(&t),
		MinISR:               int(t.MinInsyncReplicas),
		TimestampBeforeMaxMs: t.Timestamps.BeforeMaxMs,
		TimestampAfterMaxMs:  t.Timestamps.AfterMaxMs,
		LeaderThrottled:      replicaList(t.LeaderThrottled),
		FollowerThrottled:    replicaList(t.FollowerThrottled),
	}
	s.Log.ProducerExpirationMs = r.producerExpirationMs
	s.Recompress, s.Codec, s.Level = stored(&t.Compression)
	return s
}

func logConfig(t *config.Topic) commitlog.Config {
	c := commitlog.DefaultConfig()
	c.SegmentBytes = int64(t.Segment.Bytes)
	c.SegmentMs = t.Segment.Ms
	c.IndexBytes = int64(t.Segment.IndexBytes)
	c.IndexIntervalBytes = int64(t.Segment.IndexIntervalBytes)
	c.RetentionMs = t.RetentionMs
	c.RetentionBytes = t.RetentionBytes
	c.Delete, c.Compact = t.Delete, t.Compact
	c.MinCleanableRatio = t.Compaction.MinCleanableDirtyRatio
	c.MinCompactionLagMs, c.MaxCompactionLagMs = t.Compaction.MinLagMs, t.Compaction.MaxLagMs
	c.DeleteRetentionMs = t.Compaction.DeleteRetentionMs
	c.MaxMessageBytes = int64(t.MaxMessageBytes)
	c.FileDeleteDelayMs = t.Segment.FileDeleteDelayMs
	c.LogAppendTime = t.Timestamps.LogAppendTime
	return c
}

// stored returns the codec that batches are stored with, false when it is the producer's choice.
func stored(c *config.Compression) (recompress bool, codec record.Codec, level int) {
	switch c.Type {
	case "uncompressed":
		return true, record.None, 0
	case "gzip":
		return true, record.Gzip, int(c.GzipLevel)
	case "snappy":
		return true, record.Snappy, 0
	case "lz4":
		return true, record.LZ4, int(c.LZ4Level)
	case "zstd":
		return true, record.Zstd, int(c.ZstdLevel)
	}
	return false, record.None, 0
}
