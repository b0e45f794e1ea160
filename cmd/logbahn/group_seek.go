package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type seekRow struct {
	Topic     string `json:"topic" doc:"topic"`
	Partition int32  `json:"partition" doc:"partition"`
	From      int64  `json:"from" doc:"committed offset so far; -1: none"`
	To        int64  `json:"to" doc:"committed offset then"`
}

type seekFlags struct {
	to      string
	topics  []string
	execute bool
}

func groupSeek() *cobra.Command {
	var f seekFlags
	c := &cobra.Command{Use: "seek GROUP --to POSITION", Short: "Move a group's committed offsets (previews unless --execute)",
		Long: "Moves the committed offsets of a group without members, and shows them without --execute. Positions: " + positionHelp + ";\n" +
			"+N and -N move by N records from what is committed. What lies outside of a partition is taken to its nearest end.\n" +
			"Without --topic the partitions that the group has committed are moved.",
		Example: "  logbahn group seek analytics --to start\n" +
			"  logbahn group seek analytics --to @2026-01-31T06:00:00Z --topic rides --execute\n" +
			"  logbahn group seek analytics --to +1 --topic rides:3 --execute      # skip one record",
		Args: exactArgs(1), ValidArgsFunction: first(completeGroups),
		RunE: func(c *cobra.Command, args []string) error { return seek(c, f, args[0]) }}
	c.Flags().StringVar(&f.to, "to", "", "where to")
	c.Flags().StringArrayVar(&f.topics, "topic", nil, "TOPIC or TOPIC:0,2 (repeatable)")
	c.Flags().BoolVar(&f.execute, "execute", false, "do it")
	_ = c.RegisterFlagCompletionFunc("topic", completeTopics)
	outputFlag(c)
	return c
}

func seek(c *cobra.Command, f seekFlags, group string) error {
	if f.to == "" {
		return usageErrorf("--to is missing: where to move the offsets")
	}
	to, err := parsePosition("--to", f.to)
	if err != nil {
		return err
	}
	topics, err := parseChosen(f.topics)
	if err != nil {
		return err
	}
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		g, err := lagOf(ctx, admin, group)
		if isNotFound(err) && len(topics) > 0 && group != "" { // offsets can be laid down for a group to come
			err = nil
		}
		if err != nil {
			return err
		}
		active := activeMembers(g)
		if active != nil && f.execute {
			return active
		}
		plan, err := planSeek(ctx, admin, g, to, topics)
		if err != nil {
			return err
		}
		if f.execute {
			if plan, err = runSeek(ctx, admin, group, plan); len(plan) == 0 && err != nil {
				return err
			}
		}
		shown := show(c, plan, "TOPIC PARTITION FROM TO", func(line func(...any)) {
			for _, r := range plan {
				line(r.Topic, r.Partition, offsetOrDash(r.From), r.To)
			}
		})
		sayWhatNext(c, f, active)
		return cmp.Or(err, shown)
	})
}

// activeMembers is why offsets cannot be moved, nil when nobody is in the group: members go on from where they are and
// would overwrite what was set.
func activeMembers(g kadm.DescribedGroupLag) error {
	if len(g.Members) == 0 {
		return nil
	}
	var names []string
	for i := range g.Members {
		m := &g.Members[i]
		names = append(names, printable(fmt.Sprintf("%s (%s)", memberName(m), memberHost(m))))
	}
	slices.Sort(names)
	return &cliError{code: exitRefused,
		err:  fmt.Errorf("group %q is %s with %s: offsets would be overwritten", g.Group, g.State, counted(len(names), "member")),
		hint: "stop " + strings.Join(names, ", ") + " first; without --execute this only previews"}
}

func sayWhatNext(c *cobra.Command, f seekFlags, active error) {
	switch {
	case f.execute:
	case active != nil:
		fmt.Fprintf(c.ErrOrStderr(), "preview only; %v\n", active)
	default:
		fmt.Fprintln(c.ErrOrStderr(), "preview only; --execute moves the offsets")
	}
}

// planSeek finds where each partition's offset goes: of the topics named, else of all that the group has committed.
func planSeek(ctx context.Context, admin *kadm.Client, g kadm.DescribedGroupLag, to position, topics chosen) ([]seekRow, error) {
	plan := []seekRow{}
	committed := func(topic string, p int32) int64 {
		if l, ok := g.Lag.Lookup(topic, p); ok {
			return l.Commit.At
		}
		return -1
	}
	if len(topics) == 0 {
		for _, l := range g.Lag.Sorted() {
			if l.Commit.At >= 0 {
				plan = append(plan, seekRow{Topic: l.Topic, Partition: l.Partition, From: l.Commit.At})
			}
		}
	}
	for topic, partitions := range topics {
		t, err := findTopic(ctx, admin, topic)
		if err != nil {
			return nil, err
		}
		if partitions == nil {
			partitions = t.Partitions.Numbers()
		}
		for _, p := range partitions {
			plan = append(plan, seekRow{Topic: topic, Partition: p, From: committed(topic, p)})
		}
	}
	slices.SortFunc(plan, func(a, b seekRow) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	plan = slices.Compact(plan)
	if len(plan) == 0 {
		return plan, nil
	}
	return plan, resolveSeek(ctx, admin, to, plan)
}

func resolveSeek(ctx context.Context, admin *kadm.Client, to position, plan []seekRow) error {
	names := map[string]bool{}
	var topics []string
	for _, r := range plan {
		if !names[r.Topic] {
			names[r.Topic] = true
			topics = append(topics, r.Topic)
		}
	}
	b, err := to.bounds(ctx, admin, topics...)
	if err != nil {
		return err
	}
	for i := range plan {
		r := &plan[i]
		there := to
		if to.kind == plus || to.kind == minus {
			if r.From < 0 {
				return &cliError{code: exitRefused, err: fmt.Errorf("topic %q partition %d: nothing is committed that --to %s could move", r.Topic, r.Partition, to.text), hint: "--topic names the partitions to move"}
			}
			there = position{kind: atOffset, value: moved(r.From, to)}
		}
		if r.To, err = b.resolve(there, r.Topic, r.Partition); err != nil {
			return named("topic", r.Topic, err, "")
		}
	}
	return nil
}

// moved goes from an offset by n records, without running over.
func moved(from int64, to position) int64 {
	if to.kind == minus {
		return from - min(to.value, from)
	}
	return from + min(to.value, 1<<63-1-from)
}

// runSeek returns what was done.
func runSeek(ctx context.Context, admin *kadm.Client, group string, plan []seekRow) ([]seekRow, error) {
	offsets := kadm.Offsets{}
	for _, r := range plan {
		offsets.AddOffset(r.Topic, r.Partition, r.To, -1)
	}
	if len(plan) == 0 {
		return plan, nil
	}
	committed, err := admin.CommitOffsets(ctx, group, offsets)
	if err != nil {
		return nil, err
	}
	done := []seekRow{}
	var failed []error
	for _, r := range plan {
		if answer, _ := committed.Lookup(r.Topic, r.Partition); answer.Err != nil {
			failed = append(failed, fmt.Errorf("topic %q partition %d: %w", r.Topic, r.Partition, answer.Err))
			continue
		}
		done = append(done, r)
	}
	return done, outcome(len(done), failed...)
}
