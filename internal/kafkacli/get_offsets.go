package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func getOffsetsTool() *tool {
	return &tool{
		name: "kafka-get-offsets",
		does: "An interactive shell for getting topic-partition offsets.",
		run:  runGetOffsets,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "HOST1:PORT1,...", help: "REQUIRED: where the cluster answers."},
			{name: "broker-list", kind: text, value: "HOST1:PORT1,...", help: "What --bootstrap-server was called before Kafka 3."},
			{name: "topic-partitions", kind: text, value: "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3", help: "Patterns: a regular expression of topics, and behind a colon a partition, or a range whose end is not in it."},
			{name: "topic", kind: text, value: "topic", help: "A regular expression of topics; all otherwise."},
			{name: "partitions", kind: text, value: "partition ids", help: "Partitions, separated by commas; all otherwise."},
			{name: "time", kind: text, value: "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload", fallback: "latest", help: "Whose offset: of the first record at a time in milliseconds since 1970 or later, or one of the words."},
			{name: "command-config", kind: text, value: "config file", help: "A file with properties for the connection."},
			{name: "exclude-internal-topics", help: "Leave the internal topics out."},
		},
		failed: func(c *call, err error) { fmt.Fprintln(c.Stderr, "Error occurred:", err) },
	}
}

var offsetTimes = map[string]int64{
	"latest": latestOffset, "earliest": earliestOffset, "max-timestamp": maxTimestampOffset,
	"earliest-local": earliestLocalOffset, "latest-tiered": latestTieredOffset, "earliest-pending-upload": earliestPendingUpload,
}

func runGetOffsets(ctx context.Context, c *call) error {
	o := c.opts
	if o.has("broker-list") && !o.has("bootstrap-server") {
		o.given["bootstrap-server"] = o.given["broker-list"]
	}
	if err := first(o.require("bootstrap-server"), checkBootstrap(o)); err != nil {
		return err
	}
	if o.has("topic-partitions") && o.count("topic", "partitions") > 0 {
		return failf("--topic-partitions cannot be used with --topic or --partitions")
	}
	time, known := offsetTimes[o.text("time")]
	if !known {
		var err error
		if time, err = strconv.ParseInt(o.text("time"), 10, 64); err != nil {
			return failf("Malformed time argument %s. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / "+
				"-5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp", o.text("time"))
		}
	}
	filter, err := partitionFilter(o)
	if err = first(o.err, err); err != nil {
		return err
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		return c.printPartitionOffsets(ctx, client, filter, time)
	})
}

func (c *call) printPartitionOffsets(ctx context.Context, client *kgo.Client, filter func(topicPartition) bool, time int64) error {
	topics, err := listTopics(ctx, client)
	if err != nil {
		return err
	}
	wanted := map[topicPartition]bool{}
	for i := range topics {
		for _, p := range topics[i].partitions {
			if tp := (topicPartition{topics[i].name, p.number}); filter(tp) && !(topics[i].internal && c.opts.has("exclude-internal-topics")) {
				wanted[tp] = true
			}
		}
	}
	if len(wanted) == 0 {
		return failf("Could not match any topic-partitions with the specified filters")
	}
	offsets, failures := map[topicPartition]int64{}, map[topicPartition]error{}
	askOffsets(ctx, client, wanted, time, offsets, failures)
	for _, tp := range sortedPartitions(failures) {
		var refused *brokerError
		if !errors.As(failures[tp], &refused) {
			return failures[tp]
		}
		fmt.Fprintf(c.Stderr, "Skip getting offsets for topic-partition %s due to error: %s: %v\n", tp, class(failures[tp]), failures[tp])
	}
	var names []topicPartition
	for tp, offset := range offsets {
		if offset >= 0 {
			names = append(names, tp)
		}
	}
	slices.SortFunc(names, func(a, b topicPartition) int { return strings.Compare(a.String(), b.String()) }) // as Kafka: 10 before 2
	for _, tp := range names {
		fmt.Fprintf(c.out, "%s:%d:%d\n", tp.topic, tp.partition, offsets[tp])
	}
	return nil
}

// partitionFilter makes the filter that the options ask for.
func partitionFilter(o *options) (func(topicPartition) bool, error) {
	if o.has("topic-partitions") {
		return patternFilter(o.text("topic-partitions"))
	}
	pattern := ".*"
	if o.has("topic") {
		pattern = o.text("topic")
	}
	topics, err := topicFilter(pattern)
	if err != nil {
		return nil, err
	}
	ids := map[int32]bool{}
	if list := o.text("partitions"); list != "" {
		for _, word := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(word, 10, 32)
			if err != nil {
				return nil, failf("--partitions expects a comma separated list of numeric partition ids, but received: %s", list)
			}
			ids[int32(n)] = true
		}
	}
	return func(tp topicPartition) bool {
		return topics.MatchString(tp.topic) && (len(ids) == 0 || ids[tp.partition])
	}, nil
}

var partitionPattern = regexp.MustCompile(`^([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?$`)

func patternFilter(patterns string) (func(topicPartition) bool, error) {
	var rules []func(topicPartition) bool
	for _, pattern := range strings.Split(patterns, ",") {
		m := partitionPattern.FindStringSubmatch(pattern)
		if m == nil {
			return nil, failf("org.apache.kafka.tools.TerseException: Invalid rule specification: %s", pattern)
		}
		if m[1] == "" {
			m[1] = ".*"
		}
		topics, err := topicFilter(m[1])
		if err != nil {
			return nil, err
		}
		lower, upper, err := partitionRange(m[2], m[3], m[4])
		if err != nil {
			return nil, failf("For input string: \"%s\"", pattern)
		}
		rules = append(rules, func(tp topicPartition) bool {
			return topics.MatchString(tp.topic) && int64(tp.partition) >= lower && int64(tp.partition) < upper
		})
	}
	return func(tp topicPartition) bool {
		return slices.ContainsFunc(rules, func(rule func(topicPartition) bool) bool { return rule(tp) })
	}, nil
}

// partitionRange is the partition, or the range, of a pattern; upper is not in it.
func partitionRange(one, from, to string) (lower, upper int64, err error) {
	upper = math.MaxInt64
	if one != "" {
		lower, err = strconv.ParseInt(one, 10, 32)
		return lower, lower + 1, err
	}
	if from != "" {
		if lower, err = strconv.ParseInt(from, 10, 32); err != nil {
			return 0, 0, err
		}
	}
	if to != "" {
		upper, err = strconv.ParseInt(to, 10, 32)
	}
	return lower, upper, err
}
