package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type topicDescription struct {
	topicRow
	Detail []partitionRow `json:"detail" doc:"each partition"`
	Config []configRow    `json:"config" doc:"settings of the topic's own; with --all every setting that counts for it"`
}

type partitionRow struct {
	Partition int32   `json:"partition" doc:"partition"`
	Leader    int32   `json:"leader" doc:"broker; -1: none"`
	Epoch     int32   `json:"leader_epoch" doc:"epoch of the leader"`
	Replicas  []int32 `json:"replicas" doc:"brokers"`
	ISR       []int32 `json:"isr" doc:"brokers in sync"`
	Offline   []int32 `json:"offline" doc:"replicas that cannot be reached"`
	Start     int64   `json:"log_start_offset" doc:"first offset"`
	End       int64   `json:"end_offset" doc:"offset of the next record"`
}

func topicDescribe() *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "describe TOPIC", Short: "Show a topic's partitions and settings", Args: exactArgs(1), ValidArgsFunction: first(completeTopics),
		Example: "  logbahn topic describe rides\n  logbahn topic describe rides --all -o yaml"}
	c.Flags().BoolVar(&all, "all", false, "show all settings, not only the topic's own")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			d, err := describeTopic(ctx, admin, args[0], all)
			if err != nil {
				return err
			}
			if forPeople(c) {
				if err := printHead(c, d); err != nil {
					return err
				}
			}
			return show(c, d, "PARTITION LEADER EPOCH REPLICAS ISR START END | OFFLINE RECORDS", func(line func(...any)) {
				for _, p := range d.Detail {
					line(p.Partition, offsetOrDash(int64(p.Leader)), p.Epoch, p.Replicas, p.ISR, p.Start, p.End, p.Offline, p.End-p.Start)
				}
			})
		})
	}
	return c
}

// printHead prints what stands above the partitions.
func printHead(c *cobra.Command, d topicDescription) error {
	fmt.Fprintf(c.OutOrStdout(), "topic %s  id %s  partitions %d  replicas %d\n\n", d.Topic, d.ID, d.Partitions, d.Replicas)
	if len(d.Config) == 0 {
		return nil
	}
	if err := configTable(c, d.Config); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.OutOrStdout())
	return err
}

func describeTopic(ctx context.Context, admin *kadm.Client, name string, all bool) (topicDescription, error) {
	var d topicDescription
	t, err := findTopic(ctx, admin, name)
	if err != nil {
		return d, err
	}
	starts, err := admin.ListStartOffsets(ctx, name)
	if err != nil {
		return d, err
	}
	ends, err := admin.ListEndOffsets(ctx, name)
	if err != nil {
		return d, err
	}
	d = topicDescription{topicRow: rowOf(t), Detail: []partitionRow{}, Config: []configRow{}}
	for _, p := range t.Partitions.Sorted() {
		start, _ := starts.Lookup(name, p.Partition)
		end, _ := ends.Lookup(name, p.Partition)
		d.Detail = append(d.Detail, partitionRow{p.Partition, p.Leader, p.LeaderEpoch, someInts(p.Replicas), someInts(p.ISR), someInts(p.OfflineReplicas), start.Offset, end.Offset})
	}
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return d, err
	}
	for _, resource := range configs {
		if resource.Err != nil {
			return d, named("topic", name, resource.Err, resource.ErrMessage)
		}
		for _, entry := range resource.Configs {
			if all || entry.Source == kmsg.ConfigSourceDynamicTopicConfig {
				d.Config = append(d.Config, configRowOf(entry))
			}
		}
	}
	return d, nil
}

// someInts is never null in JSON.
func someInts(list []int32) []int32 {
	if list == nil {
		return []int32{}
	}
	return list
}

// configRow is a setting and where it comes from.
type configRow struct {
	Key       string  `json:"key" doc:"key"`
	Value     *string `json:"value" doc:"null: none, or not to be shown"`
	Source    string  `json:"source" doc:"dynamic_topic, dynamic_broker, dynamic_default_broker, static_broker or default"`
	Sensitive bool    `json:"sensitive" doc:"whether the value is not shown"`
}

func configRowOf(c kadm.Config) configRow {
	return configRow{c.Key, c.Value, sourceName(c.Source), c.Sensitive}
}

// sourceName is Kafka's name of a source, without its last word.
func sourceName(s kmsg.ConfigSource) string {
	return strings.ToLower(strings.TrimSuffix(s.String(), "_CONFIG"))
}

func (r configRow) shown() string {
	switch {
	case r.Sensitive:
		return "(not shown)"
	case r.Value == nil:
		return "-"
	case *r.Value == "":
		return `""`
	}
	return *r.Value
}

func configTable(c *cobra.Command, rows []configRow) error {
	t := newTable("SETTING VALUE SOURCE")
	for _, r := range rows {
		t.line(r.Key, r.shown(), r.Source)
	}
	return t.write(c.OutOrStdout())
}
