package kafkacli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func leaderElectionTool() *tool {
	return &tool{
		name: "kafka-leader-election",
		does: "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas.",
		run:  runLeaderElection,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "host:port", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "admin.config", kind: text, value: "config file", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
			{name: "command-config", kind: text, value: "Config file", help: "A file with properties for the connection."},
			{name: "path-to-json-file", kind: text, value: "Path to JSON file", help: `A file such as {"partitions": [{"topic": "foo", "partition": 1}]}.`},
			{name: "topic", kind: text, value: "topic name", help: "A topic; --partition says which partition of it."},
			{name: "partition", kind: integer, value: "partition id", help: "The partition of --topic."},
			{name: "all-topic-partitions", help: "All partitions that an election would change."},
			{name: "election-type", kind: text, value: "election type", help: "REQUIRED: preferred, for the first of the replicas, or unclean, for any where there is no leader and records may be lost."},
		},
	}
}

var electionTypes = map[string]int8{"PREFERRED": 0, "UNCLEAN": 1}

func runLeaderElection(ctx context.Context, c *call) error {
	kind, partitions, err := c.election()
	if err != nil {
		return err
	}
	file := c.opts.text("command-config")
	if c.opts.has("admin.config") {
		c.deprecated("Option --%s has been deprecated and will be removed in a future version. Use --%s instead.", "admin.config", "command-config")
		file = c.opts.text("admin.config")
	}
	p, err := loadProperties(file)
	if err = first(c.opts.err, err); err != nil {
		return err
	}
	client, err := c.connect(ctx, c.opts.text("bootstrap-server"), p)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	return c.elect(ctx, client, kind, partitions)
}

// election reads what to elect; no partitions are all.
func (c *call) election() (kind string, partitions []topicPartition, err error) {
	var missing []string
	for _, name := range []string{"bootstrap-server", "election-type"} {
		if !c.opts.has(name) {
			missing = append(missing, name)
		}
	}
	ways := []string{"topic", "all-topic-partitions", "path-to-json-file"}
	switch {
	case len(missing) > 0:
		return "", nil, failf("Missing required option(s): %s", strings.Join(missing, ", "))
	case c.opts.has("admin.config") && c.opts.has("command-config"):
		return "", nil, usage("Option \"[admin.config]\" can't be used with option \"[command-config]\"")
	case c.opts.count(ways...) != 1:
		return "", nil, failf("One and only one of the following options is required: %s", strings.Join(ways, ", "))
	case c.opts.has("topic") && !c.opts.has("partition"):
		return "", nil, failf("Missing required option(s): partition")
	case !c.opts.has("topic") && c.opts.has("partition"):
		return "", nil, failf("Option partition is only allowed if topic is used")
	}
	kind = strings.ToUpper(c.opts.text("election-type"))
	if _, known := electionTypes[kind]; !known {
		return "", nil, optionErrorf("Cannot parse argument '%s' of option election-type", c.opts.text("election-type"))
	}
	switch {
	case c.opts.has("topic"):
		partitions = []topicPartition{{c.opts.text("topic"), c.opts.integer("partition")}}
	case c.opts.has("path-to-json-file"):
		name := c.opts.text("path-to-json-file")
		data, err := readBounded(name, planBytesMax)
		if err != nil {
			return "", nil, failf("Unable to read file %s", name)
		}
		if partitions, err = parseElections(data); err != nil {
			return "", nil, err
		}
	}
	return kind, partitions, c.opts.err
}

// parseElections reads the file.
func parseElections(data []byte) ([]topicPartition, error) {
	var file struct {
		Partitions *[]struct {
			Topic     *string
			Partition *int32
		}
	}
	if json.Unmarshal(data, &file) != nil {
		return nil, failf("Replica election data is empty")
	}
	if file.Partitions == nil {
		return nil, failf(`Replica election data is missing "partitions" field`)
	}
	var partitions []topicPartition
	var twice []string
	for _, p := range *file.Partitions {
		switch {
		case p.Topic == nil:
			return nil, failf("No such field exists: `topic`")
		case p.Partition == nil:
			return nil, failf("No such field exists: `partition`")
		}
		tp := topicPartition{*p.Topic, *p.Partition}
		if slices.Contains(partitions, tp) {
			twice = append(twice, tp.String())
		}
		partitions = append(partitions, tp)
	}
	if len(twice) > 0 {
		return nil, failf("Replica election data contains duplicate partitions: [%s]", strings.Join(uniq(twice), ", "))
	}
	return partitions, nil
}

func (c *call) elect(ctx context.Context, client *kgo.Client, kind string, partitions []topicPartition) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = electionTypes[kind], int32(adminPatience.Milliseconds())/2
	if partitions != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{} // else null, which is all
	}
	for _, topic := range topicsOf(partitions) {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic = topic
		for _, tp := range partitions {
			if tp.topic == topic {
				t.Partitions = append(t.Partitions, tp.partition)
			}
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = refusal(resp.ErrorCode, nil)
	}
	if err != nil {
		return kafkaWords(err)
	}
	var done, needless []string
	failures := map[topicPartition]error{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			tp := topicPartition{t.Topic, p.Partition}
			switch err := refusal(p.ErrorCode, p.ErrorMessage); {
			case err == nil:
				done = append(done, tp.String())
			case isRefusal(err, kerr.ElectionNotNeeded):
				needless = append(needless, tp.String())
			default:
				failures[tp] = err
			}
		}
	}
	if len(done) > 0 {
		fmt.Fprintf(c.out, "Successfully completed leader election (%s) for partitions %s\n", kind, strings.Join(done, ", "))
	}
	if len(needless) > 0 {
		fmt.Fprintf(c.out, "Valid replica already elected for partitions %s\n", strings.Join(needless, ", "))
	}
	for _, tp := range sortedPartitions(failures) {
		fmt.Fprintf(c.out, "Error completing leader election (%s) for partition: %s: %s: %v\n", kind, tp, class(failures[tp]), failures[tp])
	}
	if len(failures) > 0 {
		return failf("%d replica(s) could not be elected", len(failures))
	}
	return nil
}

// topicsOf returns the topics of partitions, each once, by name.
func topicsOf(partitions []topicPartition) []string {
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
