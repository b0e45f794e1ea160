package kafkacli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func logDirsTool() *tool {
	return &tool{
		name: "kafka-log-dirs",
		does: "This tool helps to query log directory usage on the specified brokers.",
		run:  runLogDirs,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "The server(s) to use for bootstrapping", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "command-config", kind: text, value: "Admin client property file", help: "A file with properties for the connection."},
			{name: "describe", help: "REQUIRED: describe the log directories."},
			{name: "topic-list", kind: text, value: "Topic list", help: "Topics, separated by commas; all otherwise."},
			{name: "broker-list", kind: text, value: "Broker list", help: "Ids of brokers, separated by commas; all otherwise."},
		},
	}
}

// The fields are in the order in which Kafka prints them.
type (
	logDirsReport struct {
		Brokers []logDirsBroker `json:"brokers"`
		Version int             `json:"version"`
	}
	logDirsBroker struct {
		Broker  int32    `json:"broker"`
		LogDirs []logDir `json:"logDirs"`
	}
	logDir struct {
		Partitions []logDirPartition `json:"partitions"`
		Error      *string           `json:"error"`
		LogDir     string            `json:"logDir"`
	}
	logDirPartition struct {
		Partition string `json:"partition"`
		Size      int64  `json:"size"`
		OffsetLag int64  `json:"offsetLag"`
		IsFuture  bool   `json:"isFuture"`
	}
)

func runLogDirs(ctx context.Context, c *call) error {
	if err := c.opts.require("bootstrap-server", "describe"); err != nil {
		return err
	}
	words := func(option string) []string {
		return slices.DeleteFunc(strings.Split(c.opts.text(option), ","), func(s string) bool { return s == "" })
	}
	var wanted []int32
	for _, word := range words("broker-list") {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return failf("For input string: \"%s\"", word)
		}
		wanted = append(wanted, int32(id))
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		return c.describeLogDirs(ctx, client, wanted, words("topic-list"))
	})
}

func (c *call) describeLogDirs(ctx context.Context, client *kgo.Client, wanted []int32, topics []string) error {
	live, err := liveBrokers(ctx, client)
	if err != nil {
		return err
	}
	var existing, unknown []int32
	for id := range live {
		existing = append(existing, id)
	}
	slices.Sort(existing)
	for _, id := range wanted {
		if !live[id] {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return failf("ERROR: The given brokers do not exist from --broker-list: %s. Current existent brokers: %s", joined(unknown), joined(existing))
	}
	if len(wanted) > 0 {
		slices.Sort(wanted)
		existing = slices.Compact(wanted)
	}
	fmt.Fprintln(c.out, "Querying brokers for log directories information")
	report := logDirsReport{Version: 1}
	for _, id := range existing {
		resp, err := kmsg.NewPtrDescribeLogDirsRequest().RequestWith(ctx, client.Broker(int(id)))
		if err != nil {
			return err
		}
		if err := refusal(resp.ErrorCode, nil); err != nil {
			return err
		}
		report.Brokers = append(report.Brokers, logDirsBroker{id, logDirsOf(resp, topics)})
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Received log directory information from brokers %s\n%s\n", joined(existing), text)
	return nil
}

func logDirsOf(resp *kmsg.DescribeLogDirsResponse, topics []string) []logDir {
	dirs := []logDir{}
	for _, d := range resp.Dirs {
		dir := logDir{LogDir: d.Dir, Partitions: []logDirPartition{}}
		if err := refusal(d.ErrorCode, nil); err != nil {
			name := class(err)
			dir.Error = &name
		}
		for _, t := range d.Topics {
			if len(topics) > 0 && !slices.Contains(topics, t.Topic) {
				continue
			}
			for _, p := range t.Partitions {
				dir.Partitions = append(dir.Partitions, logDirPartition{fmt.Sprintf("%s-%d", t.Topic, p.Partition), p.Size, p.OffsetLag, p.IsFuture})
			}
		}
		slices.SortFunc(dir.Partitions, func(a, b logDirPartition) int { return strings.Compare(a.Partition, b.Partition) })
		dirs = append(dirs, dir)
	}
	return dirs
}
