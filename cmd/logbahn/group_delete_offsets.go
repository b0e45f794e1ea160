package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func groupDeleteOffsets() *cobra.Command {
	var yes bool
	var topics []string
	c := &cobra.Command{Use: "delete-offsets GROUP --topic TOPIC", Short: "Delete committed offsets of topics that a group no longer reads",
		Example: "  logbahn group delete-offsets analytics --topic rides --topic trips:0,1",
		Args:    exactArgs(1), ValidArgsFunction: first(completeGroups)}
	c.Flags().StringArrayVar(&topics, "topic", nil, "TOPIC or TOPIC:0,2 (repeatable)")
	yesFlag(c, &yes)
	_ = c.RegisterFlagCompletionFunc("topic", completeTopics)
	c.RunE = func(c *cobra.Command, args []string) error {
		named, err := parseChosen(topics)
		if err != nil {
			return err
		}
		if len(named) == 0 {
			return usageErrorf("--topic is missing: whose offsets to delete")
		}
		if !yes {
			if err := confirm(c, fmt.Sprintf("delete the offsets of %s in %s?", args[0], strings.Join(topics, ", "))); err != nil {
				return err
			}
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			return deleteOffsets(ctx, c, admin, args[0], named)
		})
	}
	return c
}

func deleteOffsets(ctx context.Context, c *cobra.Command, admin *kadm.Client, group string, topics chosen) error {
	g, err := lagOf(ctx, admin, group)
	if err != nil {
		return err
	}
	set := kadm.TopicsSet{}
	for topic, partitions := range topics {
		if partitions == nil { // all that are committed
			for p, l := range g.Lag[topic] {
				if l.Commit.At >= 0 {
					partitions = append(partitions, p)
				}
			}
		}
		if len(partitions) == 0 {
			return &cliError{code: exitNotFound, err: fmt.Errorf("group %q has committed nothing of topic %q", group, topic), hint: "`logbahn group lag " + group + "` shows what it has"}
		}
		set.Add(topic, partitions...)
	}
	deleted, err := admin.DeleteOffsets(ctx, group, set)
	if err != nil {
		return named("group", group, err, "")
	}
	var failed []error
	done := 0
	for _, t := range set.Sorted() {
		for _, p := range slices.Sorted(slices.Values(t.Partitions)) {
			switch err, _ := deleted.Lookup(t.Topic, p); {
			case errors.Is(err, kerr.GroupSubscribedToTopic):
				failed = append(failed, &cliError{code: exitRefused, err: fmt.Errorf("topic %q partition %d: members of the group read this topic", t.Topic, p), hint: "stop the group's members first"})
			case err != nil:
				failed = append(failed, fmt.Errorf("topic %q partition %d: %w", t.Topic, p, err))
			default:
				done++
				fmt.Fprintf(c.ErrOrStderr(), "offset of %s partition %d deleted\n", t.Topic, p)
			}
		}
	}
	return outcome(done, failed...)
}
