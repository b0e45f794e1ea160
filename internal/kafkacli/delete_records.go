package kafkacli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func deleteRecordsTool() *tool {
	return &tool{
		name: "kafka-delete-records",
		does: "This tool helps to delete records of the given partitions down to the specified offset.",
		run:  runDeleteRecords,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server(s) to use for bootstrapping", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "offset-json-file", kind: text, value: "Offset json file path", help: `REQUIRED: a file such as {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version":1}. Records before the offset are deleted; -1 is the end.`},
			{name: "command-config", kind: text, value: "command config property file path", help: "A file with properties for the connection."},
		},
	}
}

func runDeleteRecords(ctx context.Context, c *call) error {
	if err := c.opts.require("bootstrap-server", "offset-json-file"); err != nil {
		return err
	}
	name := c.opts.text("offset-json-file")
	data, err := readBounded(name, planBytesMax)
	if err != nil {
		return failf("Unable to read file %s", name)
	}
	offsets, err := parseRecordOffsets(data)
	if err != nil {
		return err
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		fmt.Fprintln(c.out, "Executing records delete operation")
		low, failures := deleteRecords(ctx, client, offsets)
		fmt.Fprintln(c.out, "Records delete operation completed:")
		for _, tp := range sortedPartitions(offsets) {
			if err := failures[tp]; err != nil {
				fmt.Fprintf(c.out, "partition: %s\terror: %s: %v\n", tp, class(err), err)
			} else {
				fmt.Fprintf(c.out, "partition: %s\tlow_watermark: %d\n", tp, low[tp])
			}
		}
		return nil
	})
}

// parseRecordOffsets reads the file.
func parseRecordOffsets(data []byte) (map[topicPartition]int64, error) {
	var file map[string]json.RawMessage
	if json.Unmarshal(data, &file) != nil {
		return nil, failf("The input string is not a valid JSON")
	}
	if raw, ok := file["version"]; ok {
		var version int
		if json.Unmarshal(raw, &version) != nil || version != 1 {
			return nil, failf("Not supported version field value %s", raw)
		}
	}
	if _, ok := file["partitions"]; !ok {
		return nil, failf("Missing partitions field")
	}
	var partitions []struct {
		Topic     *string
		Partition *int32
		Offset    *int64
	}
	if err := json.Unmarshal(file["partitions"], &partitions); err != nil {
		return nil, failf("The field partitions is not a list of topic, partition and offset: %v", err)
	}
	offsets := map[topicPartition]int64{}
	var twice []string
	for _, p := range partitions {
		for _, field := range []struct {
			name    string
			missing bool
		}{{"topic", p.Topic == nil}, {"partition", p.Partition == nil}, {"offset", p.Offset == nil}} {
			if field.missing {
				return nil, failf("No such field exists: `%s`", field.name)
			}
		}
		tp := topicPartition{*p.Topic, *p.Partition}
		if _, ok := offsets[tp]; ok {
			twice = append(twice, tp.String())
		}
		offsets[tp] = *p.Offset
	}
	if len(twice) > 0 {
		return nil, failf("Offset json file contains duplicate topic partitions: %s", strings.Join(uniq(twice), ","))
	}
	return offsets, nil
}

func deleteRecords(ctx context.Context, client *kgo.Client, offsets map[topicPartition]int64) (low map[topicPartition]int64, failures map[topicPartition]error) {
	low, failures = map[topicPartition]int64{}, map[topicPartition]error{}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(adminPatience.Milliseconds()) / 2
	for _, tp := range sortedPartitions(offsets) {
		failures[tp] = refusal(kerr.UnknownTopicOrPartition.Code, nil)
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.topic {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = tp.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = tp.partition, offsets[tp]
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	if len(req.Topics) == 0 {
		return low, failures
	}
	for _, shard := range client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.DeleteRecordsRequest).Topics {
				for _, p := range t.Partitions {
					failures[topicPartition{t.Topic, p.Partition}] = kafkaWords(shard.Err)
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				tp := topicPartition{t.Topic, p.Partition}
				low[tp], failures[tp] = p.LowWatermark, refusal(p.ErrorCode, nil)
			}
		}
	}
	return low, failures
}
