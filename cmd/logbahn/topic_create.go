package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type createFlags struct {
	partitions int32
	replicas   int16
	configs    []string
	dry        bool
}

func topicCreate() *cobra.Command {
	var f createFlags
	c := &cobra.Command{Use: "create TOPIC...", Short: "Create topics", Args: minArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn topic create rides trips -p 12\n  logbahn topic create state -c cleanup.policy=compact",
		RunE:    func(c *cobra.Command, names []string) error { return createTopics(c, f, names) }}
	c.Flags().Int32VarP(&f.partitions, "partitions", "p", -1, "partitions of each (-1: the broker's default)")
	c.Flags().Int16VarP(&f.replicas, "replicas", "r", -1, "replicas of each (-1: the broker's default)")
	c.Flags().StringArrayVarP(&f.configs, "config", "c", nil, "a setting of the topics, key=value (repeatable)")
	c.Flags().BoolVar(&f.dry, "dry-run", false, "only ask the broker whether it would do it")
	_ = c.RegisterFlagCompletionFunc("config", completeTopicKeys)
	outputFlag(c)
	return c
}

func createTopics(c *cobra.Command, f createFlags, names []string) error {
	settings, err := keyValues(f.configs)
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		create, status := admin.CreateTopics, painted{"created", green}
		if f.dry {
			create, status = admin.ValidateCreateTopics, painted{"possible", green}
		}
		created, err := create(ctx, f.partitions, f.replicas, settings, names...)
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
		if len(rows) > 0 || !forPeople(c) {
			failed = append(failed, show(c, rows, "TOPIC PARTITIONS REPLICAS STATUS | ID", func(line func(...any)) {
				for _, r := range rows {
					line(r.Topic, r.Partitions, r.Replicas, status, r.ID)
				}
			}))
		}
		return outcome(len(rows), failed...)
	})
}
