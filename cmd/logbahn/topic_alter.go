package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func topicAlter() *cobra.Command {
	var partitions int
	var set, unset []string
	c := &cobra.Command{Use: "alter TOPIC", Short: "Change a topic's settings or add partitions", Args: exactArgs(1), ValidArgsFunction: first(completeTopics),
		Example: "  logbahn topic alter rides -c retention.ms=604800000\n  logbahn topic alter rides --unset retention.ms -p 24"}
	c.Flags().IntVarP(&partitions, "partitions", "p", 0, "the new number of partitions, more than now")
	c.Flags().StringArrayVarP(&set, "config", "c", nil, "set key=value (repeatable)")
	c.Flags().StringArrayVar(&unset, "unset", nil, "put a key back to its default (repeatable)")
	_ = c.RegisterFlagCompletionFunc("config", completeTopicKeys)
	_ = c.RegisterFlagCompletionFunc("unset", completeTopicKeys)
	c.RunE = func(c *cobra.Command, args []string) error {
		changes, err := configChanges(set, unset)
		if err != nil {
			return err
		}
		if !c.Flags().Changed("partitions") && len(changes) == 0 {
			return usageErrorf("nothing to change: give --partitions, --config or --unset")
		}
		if c.Flags().Changed("partitions") && partitions < 1 {
			return usageErrorf("--partitions %d: a topic has one at least", partitions)
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			if err := alterTopic(ctx, admin, args[0], partitions, changes); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "topic %s altered\n", args[0])
			return nil
		})
	}
	return c
}

// configChanges are what --config and --unset ask for, in the order of their keys.
func configChanges(set, unset []string) ([]kadm.AlterConfig, error) {
	settings, err := keyValues(set)
	if err != nil {
		return nil, err
	}
	var changes []kadm.AlterConfig
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: settings[key]})
	}
	for _, key := range unset {
		if settings[key] != nil {
			return nil, usageErrorf("%s is both set and unset", key)
		}
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	return changes, nil
}

// alterTopic adds partitions last: they cannot be taken away again.
func alterTopic(ctx context.Context, admin *kadm.Client, name string, partitions int, changes []kadm.AlterConfig) error {
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
	if err == nil {
		err = named("topic", name, created[name].Err, created[name].ErrMessage)
	}
	if len(changes) > 0 {
		return outcome(1, err)
	}
	return err
}
