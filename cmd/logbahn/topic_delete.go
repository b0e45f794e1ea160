package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func topicDelete() *cobra.Command {
	var yes, internal bool
	c := &cobra.Command{Use: "delete TOPIC...", Short: "Delete topics and all that is in them", Args: minArgs(1), ValidArgsFunction: completeTopics,
		Example: "  logbahn topic delete rides trips\n  logbahn topic delete rides --yes"}
	yesFlag(c, &yes)
	c.Flags().BoolVar(&internal, "internal", false, "delete the cluster's own topics too: without __consumer_offsets every group forgets where it is")
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := checkInternal(names, internal); err != nil {
			return err
		}
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
			done := 0
			for _, d := range deleted.Sorted() {
				switch {
				case d.Err == nil:
					done++
					fmt.Fprintf(c.ErrOrStderr(), "topic %s deleted\n", d.Topic)
				case errors.Is(d.Err, kerr.UnknownTopicOrPartition): // what the broker says of it is no plainer
					failed = append(failed, named("topic", d.Topic, d.Err, ""))
				default:
					failed = append(failed, named("topic", d.Topic, d.Err, d.ErrMessage))
				}
			}
			return outcome(done, failed...)
		})
	}
	return c
}

// checkInternal keeps a slip from taking what all groups have committed.
func checkInternal(names []string, allowed bool) error {
	for _, name := range names {
		if strings.HasPrefix(name, "__") && !allowed {
			return &cliError{code: exitRefused, err: fmt.Errorf("topic %q may be one of the cluster's own", name), hint: "--internal deletes it all the same"}
		}
	}
	return checkNames(names)
}
