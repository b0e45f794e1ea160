package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func topicList() *cobra.Command {
	var internal bool
	c := &cobra.Command{Use: "list", Short: "List the topics", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn topic list\n  logbahn topic list --internal -o json"}
	c.Flags().BoolVar(&internal, "internal", false, "show the cluster's own topics too")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			topics, err := admin.ListTopicsWithInternal(ctx)
			if err != nil {
				return err
			}
			rows := []topicRow{}
			for _, t := range topics.Sorted() {
				if internal || !t.IsInternal {
					rows = append(rows, rowOf(t))
				}
			}
			return show(c, rows, "TOPIC PARTITIONS REPLICAS | ID INTERNAL", func(line func(...any)) {
				for _, r := range rows {
					line(r.Topic, r.Partitions, r.Replicas, r.ID, r.Internal)
				}
			})
		})
	}
	return c
}
