package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type trimRow struct {
	Topic     string `json:"topic" doc:"topic"`
	Partition int32  `json:"partition" doc:"partition"`
	From      int64  `json:"from" doc:"first offset so far"`
	To        int64  `json:"to" doc:"first offset then"`
	Records   int64  `json:"records" doc:"offsets between the two"`
}

type trimFlags struct {
	before     string
	partitions []int32
	yes, dry   bool
}

func topicTrim() *cobra.Command {
	var f trimFlags
	c := &cobra.Command{Use: "trim TOPIC --before POSITION", Short: "Delete the oldest records of a topic (DeleteRecords)",
		Long:    "Deletes the records before a position: " + positionHelp + ".",
		Example: "  logbahn topic trim rides --before @2026-01-01 --dry-run\n  logbahn topic trim rides --before 4711 -p 0 --yes",
		Args:    exactArgs(1), ValidArgsFunction: first(completeTopics),
		RunE: func(c *cobra.Command, args []string) error { return trim(c, f, args[0]) }}
	c.Flags().StringVar(&f.before, "before", "", "the first position to keep")
	c.Flags().Int32SliceVarP(&f.partitions, "partition", "p", nil, "these partitions only")
	c.Flags().BoolVar(&f.dry, "dry-run", false, "only show what would be deleted")
	yesFlag(c, &f.yes)
	outputFlag(c)
	return c
}

func trim(c *cobra.Command, f trimFlags, topic string) error {
	if f.before == "" {
		return usageErrorf("--before is missing: the first position to keep")
	}
	before, err := parsePosition("--before", f.before)
	if err != nil {
		return err
	}
	var plan []trimRow
	err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		plan, err = planTrim(ctx, admin, before, topic, f.partitions)
		return err
	})
	if err != nil {
		return err
	}
	total := int64(0)
	for _, r := range plan {
		total += r.Records
	}
	if f.dry || total == 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d records would be deleted\n", total)
		return showTrim(c, plan)
	}
	if !f.yes {
		if err := confirm(c, fmt.Sprintf("delete %d records of %s?", total, topic)); err != nil {
			return err
		}
	}
	// The question may have taken its time: a new deadline, and the plan as it was shown.
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		done, err := runTrim(ctx, admin, plan)
		if len(done) > 0 || !forPeople(c) {
			if shown := showTrim(c, done); shown != nil {
				return shown
			}
		}
		return err
	})
}

func planTrim(ctx context.Context, admin *kadm.Client, before position, topic string, partitions []int32) ([]trimRow, error) {
	t, err := findTopic(ctx, admin, topic)
	if err != nil {
		return nil, err
	}
	b, err := before.bounds(ctx, admin, topic)
	if err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		partitions = t.Partitions.Numbers()
	}
	plan := []trimRow{}
	for _, p := range partitions {
		to, err := b.resolve(before, topic, p)
		if err != nil {
			return nil, err
		}
		start, _ := b.starts.Lookup(topic, p)
		plan = append(plan, trimRow{topic, p, start.Offset, to, to - start.Offset})
	}
	return plan, nil
}

// runTrim returns what was done.
func runTrim(ctx context.Context, admin *kadm.Client, plan []trimRow) ([]trimRow, error) {
	offsets := kadm.Offsets{}
	for _, r := range plan {
		if r.Records > 0 {
			offsets.AddOffset(r.Topic, r.Partition, r.To, -1)
		}
	}
	deleted, err := admin.DeleteRecords(ctx, offsets)
	if err != nil {
		return nil, err
	}
	done := []trimRow{}
	var failed []error
	for _, r := range plan {
		d, asked := deleted.Lookup(r.Topic, r.Partition)
		switch {
		case !asked:
		case d.Err != nil:
			failed = append(failed, named("partition", fmt.Sprintf("%s/%d", r.Topic, r.Partition), d.Err, ""))
		default:
			r.To, r.Records = d.LowWatermark, d.LowWatermark-r.From
			done = append(done, r)
		}
	}
	return done, outcome(len(done), failed...)
}

func showTrim(c *cobra.Command, rows []trimRow) error {
	return show(c, rows, "TOPIC PARTITION FROM TO RECORDS", func(line func(...any)) {
		for _, r := range rows {
			line(r.Topic, r.Partition, r.From, r.To, r.Records)
		}
	})
}
