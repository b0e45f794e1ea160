package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func consoleConsumerTool() *tool {
	return &tool{
		name:      "kafka-console-consumer",
		does:      "This tool helps to read data from Kafka topics and outputs it to standard output.",
		run:       runConsoleConsumer,
		badOption: messageAndHelp,
		options: []option{
			{name: "topic", kind: text, value: "topic", help: "The topic to consume."},
			{name: "include", kind: text, value: "Java regex (String)", help: "A regular expression that names of topics match as a whole."},
			{name: "whitelist", kind: text, value: "Java regex (String)", help: "(DEPRECATED) The name of --include before Kafka 3."},
			{name: "partition", kind: integer, value: "partition", help: "The one partition to consume, from its end unless --offset or --from-beginning say otherwise."},
			{name: "offset", kind: text, value: "consume offset", fallback: "latest", help: "Where to begin in --partition: earliest, latest, or an offset."},
			{name: "command-property", kind: text, value: "consumer_prop", help: "A consumer property, key=value. Any number of times."},
			{name: "consumer-property", kind: text, value: "consumer_prop", help: "(DEPRECATED) The name of --command-property before Kafka 4.2."},
			{name: "command-config", kind: text, value: "config file", help: "A file with consumer properties."},
			{name: "consumer.config", kind: text, value: "config file", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
			{name: "formatter", kind: text, value: "class", fallback: defaultFormatter, help: "How a record is printed: one of the classes that Kafka brings along."},
			{name: "formatter-property", kind: text, value: "prop", help: formatterPropertyHelp},
			{name: "property", kind: text, value: "prop", help: "(DEPRECATED) The name of --formatter-property before Kafka 4.2."},
			{name: "formatter-config", kind: text, value: "config file", help: "A file with properties as for --formatter-property, which override it."},
			{name: "from-beginning", help: "Without a committed offset, begin with the oldest record instead of waiting for new ones."},
			{name: "max-messages", kind: integer, value: "num_messages", help: "End after so many records."},
			{name: "timeout-ms", kind: long, value: "timeout_ms", help: "End when no record has come for so long."},
			{name: "skip-message-on-error", help: "Pass over a record that cannot be printed."},
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "key-deserializer", kind: text, value: "deserializer for key", help: "What a key is: one of the classes that Kafka brings along."},
			{name: "value-deserializer", kind: text, value: "deserializer for values", help: "What a value is: one of the classes that Kafka brings along."},
			{name: "enable-systest-events", help: "Say when the consumer has shut down."},
			{name: "isolation-level", kind: text, fallback: "read_uncommitted", help: "read_committed leaves out records of transactions that were not committed."},
			{name: "group", kind: text, value: "consumer group id", help: "The consumer group."},
		},
	}
}

const (
	formatterPropertyHelp = "How a record is printed, key=value. true or false: print.timestamp, print.key, print.offset, " +
		"print.epoch, print.delivery, print.partition, print.headers, print.value. Texts: key.separator, line.separator, " +
		"headers.separator, null.literal. Classes: key.deserializer, value.deserializer, headers.deserializer."
	consumerDeprecated = "Option --%s is deprecated and will be removed in a future version. Use --%s instead."
)

var consumerRenamed = [][2]string{{"command-property", "consumer-property"}, {"command-config", "consumer.config"}, {"formatter-property", "property"}}

// pollRecordsMax is how many records are printed between two looks at the clock.
const pollRecordsMax = 10_000

// consoleConsumer is the command line of a console consumer, checked.
type consoleConsumer struct {
	properties
	topic, include string
	group          string // "" when none was given
	partition      int32  // -1: all
	start          kgo.Offset
	isolation      kgo.IsolationLevel
	max            int64         // -1: no end
	timeout        time.Duration // no end: the longest there is
	format         formatter
	autoCommit     bool
}

func runConsoleConsumer(ctx context.Context, c *call) error {
	consumer, err := c.consoleConsumer()
	if err != nil {
		return err
	}
	client, err := c.connect(ctx, c.opts.text("bootstrap-server"), consumer.properties, consumer.clientOptions()...)
	if err != nil {
		c.logf("ERROR", "Unknown error when running consumer: %v", err)
		return exitError(1)
	}
	n, err := consumer.consume(ctx, c, client)
	if consumer.autoCommit && consumer.group != "" {
		done, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectPatience)
		if err := client.CommitMarkedOffsets(done); err != nil {
			c.logf("WARN", "The offsets of what was consumed could not be committed: %v", err)
		}
		cancel()
	}
	client.CloseAllowingRebalance()
	_ = c.out.Flush()
	fmt.Fprintf(c.Stderr, "Processed a total of %d messages\n", n)
	if err == nil && c.opts.has("enable-systest-events") {
		fmt.Fprintln(c.out, "shutdown_complete")
	}
	return err
}

// logf prints what Kafka's tools log: a line on standard error with the time in front.
func (c *call) logf(level, format string, args ...any) {
	_ = c.out.Flush()
	fmt.Fprintf(c.Stderr, "[%s] %s %s\n", time.Now().Format("2006-01-02 15:04:05,000"), level, fmt.Sprintf(format, args...))
}

func (c *call) consoleConsumer() (*consoleConsumer, error) {
	o := c.opts
	if o.has("whitelist") && !o.has("include") {
		o.given["include"] = o.given["whitelist"]
	}
	if err := checkConsoleConsumer(c); err != nil {
		return nil, err
	}
	p, err := loadProperties(o.eitherText("command-config", "consumer.config"))
	if err != nil {
		return nil, err
	}
	group, err := c.consumerGroup(p)
	if err != nil {
		return nil, err
	}
	p.addPairs(o.either("command-property", "consumer-property"))
	k := &consoleConsumer{properties: p, topic: o.text("topic"), include: o.text("include"), group: group, partition: -1, max: -1, timeout: forever}
	if err := k.begin(c); err != nil {
		return nil, err
	}
	if o.has("partition") {
		k.partition = o.integer("partition")
	}
	if o.has("max-messages") {
		k.max = int64(o.integer("max-messages"))
	}
	if patience := o.milliseconds("timeout-ms"); o.has("timeout-ms") && patience >= 0 {
		k.timeout = patience
	}
	if p["client.id"] == "" {
		p["client.id"] = "console-consumer"
	}
	if err := k.isolate(o); err != nil {
		return nil, err
	}
	k.autoCommit = p["enable.auto.commit"] == "" || strings.EqualFold(p["enable.auto.commit"], "true")
	if k.format, err = c.formatter(); err != nil {
		return nil, usage("%s", err)
	}
	return k, o.err
}

// checkConsoleConsumer refuses combinations of options, in the order in which Kafka does.
func checkConsoleConsumer(c *call) error {
	o := c.opts
	if o.count("topic", "include") != 1 {
		return usage("Exactly one of the following arguments is required: [topic], [include]")
	}
	switch {
	case o.has("partition") && !o.has("topic"):
		return usage("The topic is required when partition is specified.")
	case o.has("partition") && o.count("from-beginning", "offset") == 2:
		return usage("Options from-beginning and offset cannot be specified together.")
	case !o.has("partition") && o.has("offset"):
		return usage("The partition is required when offset is specified.")
	}
	if err := o.require("bootstrap-server"); err != nil {
		return err
	}
	for _, names := range consumerRenamed {
		if o.count(names[0], names[1]) == 2 {
			return usage("Options --%s and --%s cannot be specified together.", names[1], names[0])
		}
	}
	for _, names := range consumerRenamed {
		c.deprecated(consumerDeprecated, names[1], names[0])
	}
	return nil
}

// consumerGroup returns the group that the option, the properties and the file agree on, "" for none.
func (c *call) consumerGroup(file properties) (string, error) {
	given := properties{}
	given.addPairs(c.opts.either("command-property", "consumer-property"))
	var ids []string
	for _, id := range []string{c.opts.text("group"), file["group.id"], given["group.id"]} {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 1 {
		return "", usage("The group ids provided in different places (directly using '--group', via '--consumer-property', "+
			"or via '--consumer.config') do not match. Detected group ids: '%s'", strings.Join(ids, "', '"))
	}
	if len(ids) == 0 {
		return "", nil
	}
	if c.opts.has("partition") {
		return "", usage("Options group and partition cannot be specified together.")
	}
	return ids[0], nil
}

// begin finds out where to begin.
func (k *consoleConsumer) begin(c *call) error {
	o := c.opts
	reset, set := k.properties["auto.offset.reset"]
	if set && o.has("from-beginning") && reset != "earliest" {
		fmt.Fprintf(c.Stderr, "Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option\n", reset)
		return exitError(1)
	}
	k.start = kgo.NewOffset().AtEnd()
	if o.has("from-beginning") || reset == "earliest" && !o.has("partition") {
		k.start = kgo.NewOffset().AtStart()
	}
	if !o.has("offset") {
		return nil
	}
	switch written := o.text("offset"); strings.ToLower(written) {
	case "earliest":
		k.start = kgo.NewOffset().AtStart()
	case "latest":
		k.start = kgo.NewOffset().AtEnd()
	default:
		n, err := strconv.ParseInt(written, 10, 64)
		if err != nil || n < 0 {
			return usage("The provided offset value '%s' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.", written)
		}
		k.start = kgo.NewOffset().At(n)
	}
	return nil
}

func (k *consoleConsumer) isolate(o *options) error {
	level := k.properties["isolation.level"]
	if o.has("isolation-level") || level == "" {
		level = o.text("isolation-level")
	}
	switch level {
	case "read_committed":
		k.isolation = kgo.ReadCommitted()
	case "read_uncommitted":
		k.isolation = kgo.ReadUncommitted()
	default:
		return failf("Invalid value %s for configuration isolation.level: String must be one of: read_committed, read_uncommitted", level)
	}
	return nil
}

func (k *consoleConsumer) clientOptions() []kgo.Opt {
	opts := []kgo.Opt{kgo.FetchIsolationLevel(k.isolation), kgo.AllowAutoTopicCreation(), kgo.FetchMaxWait(500 * time.Millisecond)}
	switch {
	case k.partition >= 0:
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{k.topic: {k.partition: k.start}}), kgo.ConsumeResetOffset(k.reset()))
	case k.topic != "":
		opts = append(opts, kgo.ConsumeTopics(k.topic))
	default:
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+k.include+")$"))
	}
	opts = append(opts, kgo.ConsumeResetOffset(k.start))
	if k.group == "" {
		return opts
	}
	opts = append(opts, kgo.ConsumerGroup(k.group), kgo.BlockRebalanceOnPoll())
	if k.autoCommit {
		return append(opts, kgo.AutoCommitMarks())
	}
	return append(opts, kgo.DisableAutoCommit())
}

// reset is where an offset that the log no longer has leads.
func (k *consoleConsumer) reset() kgo.Offset {
	if k.properties["auto.offset.reset"] == "earliest" {
		return kgo.NewOffset().AtStart()
	}
	return kgo.NewOffset().AtEnd()
}

// consume prints records until there have been enough, or none for too long, and returns how many there were.
func (k *consoleConsumer) consume(ctx context.Context, c *call, client *kgo.Client) (int64, error) {
	n := int64(0)
	if k.include != "" {
		if _, err := regexp.Compile(k.include); err != nil {
			return 0, failf("%v", err)
		}
	}
	for k.max == -1 || n < k.max {
		poll, cancel := ctx, func() {}
		if k.timeout < forever {
			poll, cancel = context.WithTimeout(ctx, k.timeout)
		}
		fetches := client.PollRecords(poll, int(min(pollRecordsMax, uint64(k.max-n))))
		expired := poll.Err() != nil
		cancel()
		if err := fatal(fetches); err != nil {
			c.logf("ERROR", "Error processing message, terminating consumer process: %v", err)
			return n, nil
		}
		for _, r := range fetches.Records() {
			n++
			if err := k.format.write(c.out, r); err != nil {
				if !c.opts.has("skip-message-on-error") {
					c.logf("ERROR", "Unknown error when running consumer: %v", err)
					return n, exitError(1)
				}
				c.logf("ERROR", "Error processing message, skipping this message: %v", err)
			}
			client.MarkCommitRecords(r)
		}
		client.AllowRebalance()
		if err := c.out.Flush(); err != nil {
			fmt.Fprintln(c.Stderr, "Unable to write to standard out, closing consumer.")
			return n, nil
		}
		if ended(ctx) || expired && fetches.NumRecords() == 0 {
			return n, nil
		}
	}
	return n, nil
}

// fatal returns an error that more polling does not help against.
func fatal(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var lost *kgo.ErrDataLoss
		if errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled) || errors.As(e.Err, &lost) {
			continue
		}
		return e.Err
	}
	return nil
}
