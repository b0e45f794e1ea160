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

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const alterElsewhere = " (To alter topic configurations, the kafka-configs tool can be used.)"

func topicsTool() *tool {
	return &tool{
		name:  "kafka-topics",
		does:  "This tool helps to create, delete, describe, or change a topic.",
		empty: "Create, delete, describe, or change a topic.",
		run:   runTopics,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "command-config", kind: text, value: "command config property file", help: "A file with properties for the connection."},
			{name: "list", help: "List the topics."},
			{name: "create", help: "Create a topic."},
			{name: "delete", help: "Delete topics."},
			{name: "alter", help: "Raise the number of a topic's partitions." + alterElsewhere},
			{name: "describe", help: "Show partitions, leaders and replicas."},
			{name: "topic", kind: text, value: "topic", help: "The topic. Except for --create it is a regular expression that matches whole names; several are separated by commas."},
			{name: "topic-id", kind: text, value: "topic-id", help: "The id of a topic, for --describe."},
			{name: "config", kind: text, value: "name=value", help: "A setting of the topic that is created. Any number of times." + alterElsewhere},
			{name: "delete-config", kind: text, value: "name", help: "Without effect since Kafka 4.0."},
			{name: "partitions", kind: integer, value: "# of partitions", help: "The number of partitions. More of them on a topic with keys send keys to other partitions than before."},
			{name: "replication-factor", kind: integer, value: "replication factor", help: "How many brokers have each partition. The cluster's default otherwise."},
			{name: "replica-assignment", kind: text, value: "broker:broker,broker:broker,...", help: "The brokers of each partition, the partitions separated by commas."},
			{name: "under-replicated-partitions", help: "Show only partitions with fewer in-sync replicas than replicas."},
			{name: "unavailable-partitions", help: "Show only partitions without a live leader."},
			{name: "under-min-isr-partitions", help: "Show only partitions with fewer in-sync replicas than min.insync.replicas."},
			{name: "at-min-isr-partitions", help: "Show only partitions with exactly min.insync.replicas in-sync replicas."},
			{name: "topics-with-overrides", help: "Show only topics with settings of their own."},
			{name: "if-exists", help: "Do nothing, and say nothing, when no such topic exists."},
			{name: "if-not-exists", help: "Say nothing when the topic exists."},
			{name: "exclude-internal", help: "Leave the internal topics out."},
			{name: "partition-size-limit-per-response", kind: integer, value: "maximum number of partitions per response", help: "How many partitions to ask for at a time."},
		},
		failed: func(c *call, err error) {
			var option *optionError
			if errors.As(err, &option) && c.opts == nil || errors.Is(err, errNoServer) {
				fmt.Fprintln(c.Stderr, err)
				return
			}
			fmt.Fprintln(c.out, "Error while executing topic command :", err)
		},
	}
}

var errNoServer = errors.New("--bootstrap-server must be specified")

var topicActions = []string{"create", "list", "alter", "describe", "delete"}

func runTopics(ctx context.Context, c *call) error {
	if err := checkTopics(c); err != nil {
		return err
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		t := &topicsCommand{call: c, client: client}
		for action, do := range map[string]func(context.Context) error{
			"create": t.create, "list": t.list, "alter": t.alter, "describe": t.describe, "delete": t.delete,
		} {
			if c.opts.has(action) {
				return do(ctx)
			}
		}
		return nil
	})
}

// checkTopics refuses combinations of options, in the order in which Kafka does.
func checkTopics(c *call) error {
	o := c.opts
	if o.count(topicActions...) != 1 {
		return usage("Command must include exactly one action: --list, --describe, --create, --alter or --delete")
	}
	if o.has("delete-config") {
		fmt.Fprintln(c.Stderr, "delete-config option is no longer supported and deprecated since version 4.0. The config will be fully removed in future releases.")
	}
	if !o.has("bootstrap-server") {
		return errNoServer
	}
	if o.has("describe") && o.has("if-exists") && o.count("topic", "topic-id") == 0 {
		return usage("--topic or --topic-id is required to describe a topic")
	}
	if !o.has("list") && !o.has("describe") {
		if err := o.require("topic"); err != nil {
			return err
		}
	}
	if o.has("alter") {
		if o.has("config") {
			return usage("Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\"" + alterElsewhere)
		}
		if err := o.require("partitions"); err != nil {
			return err
		}
	}
	return checkTopicOptions(o)
}

func checkTopicOptions(o *options) error {
	except := func(allowed ...string) []string {
		return slices.DeleteFunc([]string{"alter", "create", "describe", "list", "delete"}, func(a string) bool { return slices.Contains(allowed, a) })
	}
	reports := []string{"under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions"}
	errs := []error{
		o.exclude("config", except("alter", "create")...),
		o.exclude("partitions", except("alter", "create")...),
		o.exclude("replication-factor", except("create")...),
		o.exclude("replica-assignment", except("alter", "create")...),
	}
	if o.has("create") {
		errs = append(errs, o.exclude("replica-assignment", "partitions", "replication-factor"))
	}
	for _, report := range reports {
		errs = append(errs, o.exclude(report, append(except("describe"), "topics-with-overrides")...))
	}
	return first(append(errs,
		o.exclude("topics-with-overrides", append(except("describe"), reports...)...),
		o.exclude("if-exists", except("alter", "delete", "describe")...),
		o.exclude("if-not-exists", except("create")...),
		o.exclude("exclude-internal", except("list", "describe")...))...)
}

type topicsCommand struct {
	*call
	client *kgo.Client
}

var splitConfig = regexp.MustCompile(`\s*=\s*`)

// newTopic is the request's topic, from the options.
func (t *topicsCommand) newTopic() (kmsg.CreateTopicsRequestTopic, error) {
	o, topic := t.opts, kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = o.text("topic"), -1, -1
	partitions, factor := o.integer("partitions"), o.integer("replication-factor")
	assignment := o.text("replica-assignment")
	if o.err != nil {
		return topic, o.err
	}
	brokers, err := parseAssignment(assignment)
	if err != nil {
		return topic, err
	}
	for i, replicas := range brokers {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(i), replicas
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, a)
	}
	for _, config := range o.all("config") {
		pair := splitConfig.Split(config, -1)
		if len(pair) != 2 || pair[1] == "" {
			return topic, failf(`requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".`)
		}
		entry := kmsg.NewCreateTopicsRequestTopicConfig()
		entry.Name, entry.Value = strings.TrimSpace(pair[0]), kmsg.StringPtr(strings.TrimSpace(pair[1]))
		topic.Configs = append(topic.Configs, entry)
	}
	if o.has("replication-factor") {
		if factor < 1 || factor > math.MaxInt16 {
			return topic, failf("The replication factor must be between 1 and %d inclusive", math.MaxInt16)
		}
		topic.ReplicationFactor = int16(factor)
	}
	if o.has("partitions") {
		if partitions < 1 {
			return topic, failf("The partitions must be greater than 0")
		}
		topic.NumPartitions = partitions
	}
	return topic, nil
}

// parseAssignment reads broker:broker,broker:broker. "" is none.
func parseAssignment(s string) ([][]int32, error) {
	if s == "" {
		return nil, nil
	}
	var all [][]int32
	for i, list := range strings.Split(s, ",") {
		var replicas []int32
		for _, word := range strings.Split(list, ":") {
			id, err := strconv.ParseInt(strings.TrimSpace(word), 10, 32)
			if err != nil {
				return nil, failf("For input string: %q", strings.TrimSpace(word))
			}
			if slices.Contains(replicas, int32(id)) {
				return nil, failf("Partition replica lists may not contain duplicate entries: %d", id)
			}
			replicas = append(replicas, int32(id))
		}
		if len(all) > 0 && len(replicas) != len(all[0]) {
			return nil, failf("Partition %d has different replication factor: [%s]", i, strings.ReplaceAll(joined(replicas), ",", ", "))
		}
		all = append(all, replicas)
	}
	return all, nil
}

func (t *topicsCommand) create(ctx context.Context) error {
	topic, err := t.newTopic()
	if err != nil {
		return err
	}
	if strings.ContainsAny(topic.Topic, "._") {
		fmt.Fprintln(t.out, "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could "+
			"collide. To avoid issues it is best to use either, but not both.")
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminPatience.Milliseconds())
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
			if isRefusal(err, kerr.TopicAlreadyExists) && t.opts.has("if-not-exists") {
				return nil
			}
			return err
		}
	}
	fmt.Fprintf(t.out, "Created topic %s.\n", topic.Topic)
	return nil
}

// matching returns the topics that --topic and --exclude-internal leave.
func (t *topicsCommand) matching(ctx context.Context) ([]topicInfo, error) {
	pattern := t.opts.text("topic")
	if t.opts.err != nil {
		return nil, t.opts.err
	}
	topics, err := listTopics(ctx, t.client)
	if err != nil {
		return nil, err
	}
	var filter *regexp.Regexp
	if t.opts.has("topic") {
		if filter, err = topicFilter(pattern); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(topics, func(info topicInfo) bool {
		return info.internal && t.opts.has("exclude-internal") || filter != nil && !filter.MatchString(info.name)
	}), nil
}

// existing is matching, and fails when nothing matches what must exist.
func (t *topicsCommand) existing(ctx context.Context) ([]topicInfo, error) {
	topics, err := t.matching(ctx)
	if name := t.opts.text("topic"); err == nil && len(topics) == 0 && name != "" && !t.opts.has("if-exists") {
		return nil, failf("Topic '%s' does not exist as expected", name)
	}
	return topics, err
}

func (t *topicsCommand) list(ctx context.Context) error {
	topics, err := t.matching(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, strings.Join(namesOf(topics), "\n"))
	return nil
}

func namesOf(topics []topicInfo) []string {
	names := make([]string, len(topics))
	for i := range topics {
		names[i] = topics[i].name
	}
	return names
}

func (t *topicsCommand) alter(ctx context.Context) error {
	partitions, assignment := t.opts.integer("partitions"), t.opts.text("replica-assignment")
	topics, err := t.existing(ctx)
	if err = first(t.opts.err, err); err != nil || len(topics) == 0 {
		return err
	}
	brokers, err := parseAssignment(assignment)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(adminPatience.Milliseconds())
	for _, info := range topics {
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = info.name, partitions
		if len(brokers) > len(info.partitions) {
			for _, replicas := range brokers[len(info.partitions):] {
				a := kmsg.NewCreatePartitionsRequestTopicAssignment()
				a.Replicas = replicas
				topic.Assignment = append(topic.Assignment, a)
			}
		}
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

func (t *topicsCommand) delete(ctx context.Context) error {
	topics, err := t.existing(ctx)
	if err != nil || len(topics) == 0 {
		return err
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(adminPatience.Milliseconds())
	for _, info := range topics {
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic = kmsg.StringPtr(info.name)
		req.Topics = append(req.Topics, topic)
		req.TopicNames = append(req.TopicNames, info.name)
	}
	resp, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}
