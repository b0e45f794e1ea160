package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func topicCommand() *cobra.Command {
	c := &cobra.Command{Use: "topic", Short: "List, create, describe, alter and delete topics"}
	needsSubcommand(c)
	brokersFlag(c)
	outputFlag(c)
	c.AddCommand(topicList(), topicCreate(), topicDescribe(), topicAlter(), topicDelete())
	return c
}

type topicRow struct {
	Topic      string `json:"topic"`
	ID         string `json:"id"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Internal   bool   `json:"internal"`
}

// topicID writes an id as Kafka's tools do.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func topicList() *cobra.Command {
	var internal bool
	c := &cobra.Command{Use: "list", Short: "List the topics", Args: exactArgs(0)}
	c.Flags().BoolVar(&internal, "internal", false, "show the cluster's own topics too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			topics, err := admin.ListTopicsWithInternal(ctx)
			if err != nil {
				return err
			}
			rows := []topicRow{}
			for _, t := range topics.Sorted() {
				if internal || !t.IsInternal {
					rows = append(rows, topicRow{t.Topic, topicID(t.ID), len(t.Partitions), t.Partitions.NumReplicas(), t.IsInternal})
				}
			}
			return show(c, rows, "TOPIC PARTITIONS REPLICAS", func(line func(...any)) {
				for _, r := range rows {
					line(r.Topic, r.Partitions, r.Replicas)
				}
			})
		})
	}
	return c
}

func topicCreate() *cobra.Command {
	var partitions int32
	var replicas int16
	var configs []string
	c := &cobra.Command{Use: "create TOPIC...", Short: "Create topics", Args: minArgs(1)}
	c.Flags().Int32VarP(&partitions, "partitions", "p", -1, "partitions of each (-1: the broker's default)")
	c.Flags().Int16VarP(&replicas, "replicas", "r", -1, "replicas of each (-1: the broker's default)")
	c.Flags().StringArrayVarP(&configs, "config", "c", nil, "a setting of the topics, key=value (repeatable)")
	c.RunE = func(c *cobra.Command, names []string) error {
		settings, err := keyValues(configs)
		if err != nil {
			return err
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			created, err := admin.CreateTopics(ctx, partitions, replicas, settings, names...)
			if err != nil {
				return err
			}
			rows := []topicRow{}
			var failed []error
			for _, t := range created.Sorted() {
				failed = append(failed, named("topic", t.Topic, t.Err, t.ErrMessage))
				if t.Err == nil {
					rows = append(rows, topicRow{t.Topic, topicID(t.ID), int(t.NumPartitions), int(t.ReplicationFactor), false})
				}
			}
			if len(rows) > 0 {
				err = show(c, rows, "TOPIC PARTITIONS REPLICAS STATUS", func(line func(...any)) {
					for _, r := range rows {
						line(r.Topic, r.Partitions, r.Replicas, "created")
					}
				})
			}
			return errors.Join(append(failed, err)...)
		})
	}
	return c
}

// keyValues parses key=value pairs.
func keyValues(pairs []string) (map[string]*string, error) {
	settings := map[string]*string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usageErrorf("%q is not of the form key=value", pair)
		}
		settings[key] = &value
	}
	return settings, nil
}

type topicDescription struct {
	topicRow
	Detail []partitionRow    `json:"detail"`
	Config map[string]string `json:"config"`
}

type partitionRow struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"leader_epoch"`
	Replicas  []int32 `json:"replicas"`
	ISR       []int32 `json:"isr"`
	Start     int64   `json:"log_start_offset"`
	End       int64   `json:"end_offset"`
}

func topicDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe TOPIC", Short: "Show a topic's partitions and settings", Args: exactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			d, err := describeTopic(ctx, admin, args[0])
			if err != nil {
				return err
			}
			if format, _ := c.Flags().GetString("output"); format == "table" {
				fmt.Fprintf(c.OutOrStdout(), "topic %s  id %s\n", d.Topic, d.ID)
				for _, key := range slices.Sorted(maps.Keys(d.Config)) {
					fmt.Fprintf(c.OutOrStdout(), "  %s=%s\n", key, d.Config[key])
				}
			}
			return show(c, d, "PARTITION LEADER EPOCH REPLICAS ISR START END", func(line func(...any)) {
				for _, p := range d.Detail {
					line(p.Partition, p.Leader, p.Epoch, p.Replicas, p.ISR, p.Start, p.End)
				}
			})
		})
	}}
}

func describeTopic(ctx context.Context, admin *kadm.Client, name string) (topicDescription, error) {
	var d topicDescription
	topics, err := admin.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return d, err
	}
	t := topics[name]
	if t.Err != nil {
		return d, named("topic", name, t.Err, "")
	}
	starts, err := admin.ListStartOffsets(ctx, name)
	if err != nil {
		return d, err
	}
	ends, err := admin.ListEndOffsets(ctx, name)
	if err != nil {
		return d, err
	}
	d = topicDescription{topicRow: topicRow{t.Topic, topicID(t.ID), len(t.Partitions), t.Partitions.NumReplicas(), t.IsInternal}, Config: map[string]string{}}
	for _, p := range t.Partitions.Sorted() {
		start, _ := starts.Lookup(name, p.Partition)
		end, _ := ends.Lookup(name, p.Partition)
		d.Detail = append(d.Detail, partitionRow{p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, start.Offset, end.Offset})
	}
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return d, err
	}
	for _, resource := range configs {
		for _, entry := range resource.Configs {
			if entry.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				d.Config[entry.Key] = entry.MaybeValue()
			}
		}
	}
	return d, nil
}

func topicAlter() *cobra.Command {
	var partitions int
	var set, unset []string
	c := &cobra.Command{Use: "alter TOPIC", Short: "Change a topic's settings or add partitions", Args: exactArgs(1)}
	c.Flags().IntVarP(&partitions, "partitions", "p", 0, "the new number of partitions, more than now")
	c.Flags().StringArrayVarP(&set, "config", "c", nil, "set key=value (repeatable)")
	c.Flags().StringArrayVar(&unset, "unset", nil, "put a key back to its default (repeatable)")
	c.RunE = func(c *cobra.Command, args []string) error {
		settings, err := keyValues(set)
		if err != nil {
			return err
		}
		if partitions == 0 && len(settings) == 0 && len(unset) == 0 {
			return usageErrorf("nothing to change: give --partitions, --config or --unset")
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			if err := alterTopic(ctx, admin, args[0], partitions, settings, unset); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "topic %s altered\n", args[0])
			return nil
		})
	}
	return c
}

func alterTopic(ctx context.Context, admin *kadm.Client, name string, partitions int, set map[string]*string, unset []string) error {
	var changes []kadm.AlterConfig
	for _, key := range slices.Sorted(maps.Keys(set)) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: set[key]})
	}
	for _, key := range unset {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	if len(changes) > 0 {
		altered, err := admin.AlterTopicConfigs(ctx, changes, name)
		if err != nil {
			return err
		}
		for _, a := range altered {
			if a.Err != nil {
				return named("topic", name, a.Err, a.ErrMessage)
			}
		}
	}
	if partitions == 0 {
		return nil
	}
	created, err := admin.UpdatePartitions(ctx, partitions, name)
	if err != nil {
		return err
	}
	return named("topic", name, created[name].Err, created[name].ErrMessage)
}

func topicDelete() *cobra.Command {
	var yes bool
	c := &cobra.Command{Use: "delete TOPIC...", Short: "Delete topics and all that is in them", Args: minArgs(1)}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, names []string) error {
		if !yes {
			if err := confirm(c, "delete "+strings.Join(names, ", ")+" with all records?"); err != nil {
				return err
			}
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			deleted, err := admin.DeleteTopics(ctx, names...)
			if err != nil {
				return err
			}
			var failed []error
			for _, d := range deleted.Sorted() {
				if errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
					failed = append(failed, named("topic", d.Topic, d.Err, ""))
					continue
				}
				failed = append(failed, named("topic", d.Topic, d.Err, d.ErrMessage))
				if d.Err == nil {
					fmt.Fprintf(c.ErrOrStderr(), "topic %s deleted\n", d.Topic)
				}
			}
			return errors.Join(failed...)
		})
	}
	return c
}

// confirm asks on standard error; only "y" and "yes" are a yes, and no answer is none.
func confirm(c *cobra.Command, question string) error {
	fmt.Fprintf(c.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := bufio.NewReader(interruptible{c.Context(), c.InOrStdin()}).ReadString('\n')
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(c.ErrOrStderr())
		return err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	if answer == "y" || answer == "yes" {
		return nil
	}
	return &cliError{code: exitRefused, err: errors.New("not confirmed: nothing was deleted"), hint: "--yes deletes without asking"}
}
