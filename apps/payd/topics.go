package payd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The topics. All keyed by device, with as many partitions, so that a device is in the same one everywhere.
const (
	topicRaw     = "telematics"       // what devices send, as they send it
	topicClean   = "telematics.clean" // canonical records
	topicDead    = "telematics.dlq"   // what was refused: the raw bytes as far as there is room, with the reason in headers
	topicEvents  = "driving-events"
	topicScores  = "driver-scores" // habit.Summary, the newest per driver
	topicQuotes  = "premiums"      // premium.Quote, the newest per driver
	topicHistory = "driver-history"
	topicState   = "analytics.state" // drivers' states with the offsets that they cover
	topicSources = "payd.sources"    // where the simulated cars and replays stopped
)

// The consumer groups.
const (
	groupClean     = "clean"
	groupAnalytics = "analytics"
	groupPricing   = "pricing"
)

// partitions of every topic but topicSources.
const partitions = 12

// Headers of records.
const (
	headerFormat = "format" // trip.Format of a raw message; absent for JSON records and text lines
	headerRow    = "row"    // of a replayed file
	headerFile   = "file"   // the file replayed
	headerFrom   = "from"   // topic/partition/offset that a record was made of
	headerReason = "reason" // of a dead letter
	headerDetail = "detail" // of a dead letter
)

type topicSpec struct {
	name       string
	partitions int32
	keep       time.Duration // 0: compacted
}

var topics = []topicSpec{
	{topicRaw, partitions, 7 * 24 * time.Hour},
	{topicClean, partitions, 7 * 24 * time.Hour},
	{topicDead, partitions, 30 * 24 * time.Hour},
	{topicEvents, partitions, 90 * 24 * time.Hour},
	{topicScores, partitions, 0},
	{topicQuotes, partitions, 0},
	{topicHistory, partitions, 0},
	{topicState, partitions, 0},
	{topicSources, 1, 0},
}

// configs of a topic. Timestamps are the log's own: retention must not eat a replay of old drives.
func (t topicSpec) configs() map[string]*string {
	configs := map[string]*string{"message.timestamp.type": new("LogAppendTime")}
	if t.keep == 0 {
		configs["cleanup.policy"] = new("compact")
		configs["segment.bytes"] = new("16777216")
		return configs
	}
	configs["retention.ms"] = new(fmt.Sprint(t.keep.Milliseconds()))
	return configs
}

// createTopics makes the topics that do not exist yet. One that somebody else made is used as it is.
func createTopics(ctx context.Context, admin *kadm.Client) error {
	for _, t := range topics {
		_, err := admin.CreateTopic(ctx, t.partitions, -1, t.configs(), t.name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("payd: create topic %s: %w", t.name, err)
		}
	}
	return nil
}
