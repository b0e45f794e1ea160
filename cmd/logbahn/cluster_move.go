package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type moveFlags struct {
	to, replicas            []int32
	throttle                string
	execute, noWait, cancel bool
	status                  bool
}

func clusterMove() *cobra.Command {
	var f moveFlags
	c := &cobra.Command{Use: "move TOPIC[:PARTITIONS]...", Short: "Move replicas to other brokers (previews unless --execute)",
		Long: "Moves the replicas of topics, or of some of their partitions, to the brokers in --to: replicas that are on one of them\n" +
			"stay, the others go to those that have the fewest, in other racks where there are some. --replicas says exactly which\n" +
			"brokers every partition gets, the preferred leader first. Records are copied while the topic stays in use, at most as\n" +
			"fast as --throttle says.\n" +
			"The command waits, and shows how it goes; it can be interrupted: the move goes on, and a throttle stays.",
		Example: "  logbahn cluster move rides --to 2,3,4\n" +
			"  logbahn cluster move rides:0,1 --replicas 3,1 --execute\n" +
			"  logbahn cluster move --status\n" +
			"  logbahn cluster move rides --cancel --execute",
		ValidArgsFunction: completeTopics}
	c.Flags().Int32SliceVar(&f.to, "to", nil, "the brokers that may have the replicas")
	c.Flags().Int32SliceVar(&f.replicas, "replicas", nil, "the brokers that have the replicas of every partition named, leader first")
	c.Flags().StringVar(&f.throttle, "throttle", "", throttleHelp)
	c.Flags().BoolVar(&f.execute, "execute", false, "do it")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait until everything has been moved; a throttle then stays")
	c.Flags().BoolVar(&f.cancel, "cancel", false, "call off the moves under way, of the topics named or all")
	c.Flags().BoolVar(&f.status, "status", false, "show the moves under way")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		topics, err := parseChosen(args)
		if err != nil {
			return err
		}
		if err := f.check(topics); err != nil {
			return err
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		return f.run(c, client, kadm.NewClient(client), topics)
	}
	return c
}

func (f *moveFlags) check(topics chosen) error {
	switch {
	case f.status && (f.cancel || f.execute) || (f.status || f.cancel) && (len(f.to) > 0 || len(f.replicas) > 0 || f.throttle != ""):
		return usageErrorf("--status and --cancel stand alone")
	case f.status || f.cancel:
		return nil
	case len(topics) == 0:
		return usageErrorf("no topic is named: TOPIC, or TOPIC:0,2 for some of its partitions")
	case (len(f.to) == 0) == (len(f.replicas) == 0):
		return usageErrorf("where to? --to names the brokers that may have the replicas, --replicas those that have them")
	}
	for _, list := range [][]int32{f.to, f.replicas} {
		if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) < len(list) {
			return usageErrorf("a broker is named twice")
		}
	}
	_, err := parseRate(f.throttle)
	return err
}

const throttleHelp = "bytes a second that each broker copies at most, such as 50MiB"

// rateMax bounds --throttle: 1 TiB.
const rateMax = 1 << 40

// parseRate reads a number of bytes with a unit or without; "" is 0.
func parseRate(text string) (int64, error) {
	number, factor := text, int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if before, found := strings.CutSuffix(text, unit); found {
			number, factor = strings.TrimSpace(before), 1<<(10*(i+1))
		}
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > rateMax/factor {
		return 0, usageErrorf("--throttle %q is no number of bytes; it is of the form 1000000, 500KiB, 50MiB or 1GiB, 1024GiB at most", text)
	}
	return n * factor, nil
}

func (f *moveFlags) run(c *cobra.Command, client *kgo.Client, admin *kadm.Client, topics chosen) error {
	ctx, cancel := within(c.Context())
	defer cancel()
	switch {
	case f.status:
		plan, err := movesUnderWay(ctx, client, topics)
		if err != nil {
			return err
		}
		err = showPlan(c, plan)
		if err == nil && len(plan) == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "nothing is being moved")
		}
		return err
	case f.cancel:
		return f.callOff(ctx, c, client, topics)
	}
	plan, err := f.plan(ctx, client, admin, topics)
	if err != nil {
		return err
	}
	return carryOut(&moveRun{c: c, client: client, admin: admin, plan: plan, throttle: throttleOf(f.throttle), wait: !f.noWait}, f.execute)
}

// throttleOf is parseRate of what was checked before.
func throttleOf(text string) int64 {
	rate, _ := parseRate(text)
	return rate
}

// carryOut shows a plan and, told so, does it.
func carryOut(run *moveRun, execute bool) error {
	stderr := run.c.ErrOrStderr()
	if err := showPlan(run.c, run.plan); err != nil {
		return err
	}
	if stuck := withoutSource(run.plan); len(stuck) > 0 {
		fmt.Fprintf(stderr, "nobody leads %s: what is there is copied when one of the replicas is back, not before\n", someOf(stuck))
	}
	switch {
	case len(run.plan) == 0:
		fmt.Fprintln(stderr, "nothing has to be moved")
		return nil
	case !execute:
		fmt.Fprintln(stderr, "preview only; --execute does it")
		return nil
	}
	if err := run.run(run.c.Context()); err != nil {
		return err
	}
	if run.wait {
		fmt.Fprintf(stderr, "%s moved\n", counted(len(run.plan), "partition"))
	} else {
		fmt.Fprintf(stderr, "%s being moved; `logbahn cluster move --status` shows how it goes\n", counted(len(run.plan), "partition"))
	}
	return nil
}

func showPlan(c *cobra.Command, plan []moveRow) error {
	return show(c, plan, "TOPIC PARTITION FROM TO COPY | LEADER", func(line func(...any)) {
		for _, r := range plan {
			line(r.Topic, r.Partition, r.From, r.To, bytesText(r.Bytes), offsetOrDash(int64(r.Leader)))
		}
	})
}

// plan finds what to move where.
func (f *moveFlags) plan(ctx context.Context, client *kgo.Client, admin *kadm.Client, topics chosen) ([]moveRow, error) {
	facts, err := factsOf(ctx, client, admin)
	if err != nil {
		return nil, err
	}
	all, err := clusterPartitionRows(ctx, client, admin, facts, nil)
	if err != nil {
		return nil, err
	}
	rows, err := topics.of(ctx, admin, all)
	if err != nil {
		return nil, err
	}
	racks, err := racksOf(facts, append(slices.Clone(f.to), f.replicas...))
	if err != nil {
		return nil, err
	}
	var plan []moveRow
	if len(f.replicas) > 0 {
		plan = planExactly(rows, f.replicas)
	} else if plan, err = planMoves(rows, newPlacement(racks, all)); err != nil {
		return nil, err
	}
	return plan, weigh(ctx, admin, plan)
}

// of returns the rows of the partitions that were named.
func (c chosen) of(ctx context.Context, admin *kadm.Client, all []clusterPartitionRow) ([]clusterPartitionRow, error) {
	var rows []clusterPartitionRow
	found := map[string]int{}
	for _, r := range all {
		if partitions, named := c[r.Topic]; named {
			found[r.Topic]++
			if partitions == nil || slices.Contains(partitions, r.Partition) {
				rows = append(rows, r)
			}
		}
	}
	for topic, partitions := range c {
		if found[topic] == 0 {
			_, err := findTopic(ctx, admin, topic)
			return nil, err
		}
		for _, p := range partitions {
			if int(p) >= found[topic] {
				return nil, &missingPartition{topic, p}
			}
		}
	}
	return rows, nil
}

// racksOf returns the racks of brokers, all of which must be alive.
func racksOf(facts clusterFacts, ids []int32) (map[int32]string, error) {
	racks := map[int32]string{}
	for _, id := range ids {
		at := slices.IndexFunc(facts.brokers, func(b clusterBroker) bool { return b.id == id })
		if at < 0 || facts.brokers[at].fenced {
			return nil, &cliError{code: exitNotFound, err: fmt.Errorf("broker %d is not there", id), hint: "`logbahn cluster brokers` shows the brokers"}
		}
		racks[id] = facts.brokers[at].rack
	}
	return racks, nil
}

// weigh says how much has to be copied, where the brokers tell sizes.
func weigh(ctx context.Context, admin *kadm.Client, plan []moveRow) error {
	sizes, err := replicaSizes(ctx, admin)
	if err != nil {
		return nil // the plan is as good without
	}
	for i := range plan {
		r := &plan[i]
		r.Bytes = -1
		if r.Leader >= 0 || len(r.adds()) == 0 {
			r.Bytes = sizes.largest(r.Topic, r.Partition) * int64(len(r.adds()))
		}
	}
	return nil
}

// movesUnderWay lists what is being moved: all, or of the topics named.
func movesUnderWay(ctx context.Context, client *kgo.Client, topics chosen) ([]moveRow, error) {
	moving, err := reassignmentsOf(ctx, client)
	if err != nil {
		return nil, err
	}
	plan := []moveRow{}
	for topic, of := range moving {
		partitions, named := topics[topic]
		if len(topics) > 0 && !named {
			continue
		}
		for _, m := range of {
			if partitions != nil && !slices.Contains(partitions, m.Partition) {
				continue
			}
			r := moveRow{Topic: topic, Partition: m.Partition, Leader: -1, Bytes: -1}
			r.From = slices.DeleteFunc(slices.Clone(m.Replicas), func(id int32) bool { return slices.Contains(m.AddingReplicas, id) })
			r.To = slices.DeleteFunc(slices.Clone(m.Replicas), func(id int32) bool { return slices.Contains(m.RemovingReplicas, id) })
			plan = append(plan, r)
		}
	}
	sortMoves(plan)
	return plan, nil
}

// callOff ends moves that are under way.
func (f *moveFlags) callOff(ctx context.Context, c *cobra.Command, client *kgo.Client, topics chosen) error {
	plan, err := movesUnderWay(ctx, client, topics)
	if err != nil {
		return err
	}
	if err := showPlan(c, plan); err != nil {
		return err
	}
	switch {
	case len(plan) == 0:
		fmt.Fprintln(c.ErrOrStderr(), "nothing is being moved")
		return nil
	case !f.execute:
		fmt.Fprintln(c.ErrOrStderr(), "preview only; --execute calls these moves off")
		return nil
	}
	var req kadm.AlterPartitionAssignmentsReq
	for _, r := range plan {
		req.CancelAssign(r.Topic, r.Partition)
	}
	answers, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, req)
	if err != nil {
		return err
	}
	done := 0
	var failed []error
	for _, a := range answers.Sorted() {
		if a.Err != nil && !errors.Is(a.Err, kerr.NoReassignmentInProgress) { // it is over meanwhile
			failed = append(failed, fmt.Errorf("topic %q partition %d: %w", a.Topic, a.Partition, brokerSays(a.Err, a.ErrMessage)))
			continue
		}
		done++
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s called off\n", counted(done, "move"))
	return outcome(done, failed...)
}
