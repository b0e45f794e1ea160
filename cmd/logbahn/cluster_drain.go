package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func clusterDrain() *cobra.Command {
	var replicas, execute, noWait bool
	var throttle string
	c := &cobra.Command{Use: "drain BROKER", Short: "Take leaderships, and with --replicas all data, from a broker (previews unless --execute)",
		Long: "Moves the leaderships of a broker to other replicas that are in sync, and keeps them there: the broker becomes the last\n" +
			"choice of every partition it has. With --replicas its data move to the other brokers too, so that it can be taken away.\n" +
			"Stopping a broker needs none of this: it hands its leaderships over by itself, and gets them back.",
		Example: "  logbahn cluster drain 2\n  logbahn cluster drain 2 --replicas --execute",
		Args:    exactArgs(1), ValidArgsFunction: cobra.NoFileCompletions}
	c.Flags().BoolVar(&replicas, "replicas", false, "move the replicas too, not only the leaderships")
	c.Flags().BoolVar(&execute, "execute", false, "do it")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until everything has been moved; a throttle then stays")
	c.Flags().StringVar(&throttle, "throttle", "", throttleHelp)
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		broker, err := strconv.ParseInt(args[0], 10, 32)
		if err != nil {
			return usageErrorf("%q is no broker: brokers are numbers", args[0])
		}
		rate, err := parseRate(throttle)
		if err != nil {
			return err
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		admin := kadm.NewClient(client)
		plan, err := drainPlan(c, client, admin, int32(broker), replicas)
		if err != nil {
			return err
		}
		return carryOut(&moveRun{c: c, client: client, admin: admin, plan: plan, throttle: rate, wait: !noWait}, execute)
	}
	return c
}

// drainPlan takes a broker's leaderships away, or all its replicas.
func drainPlan(c *cobra.Command, client *kgo.Client, admin *kadm.Client, broker int32, replicas bool) ([]moveRow, error) {
	ctx, cancel := context.WithTimeout(c.Context(), requestTimeout)
	defer cancel()
	facts, err := factsOf(ctx, client, admin)
	if err != nil {
		return nil, err
	}
	rows, err := clusterPartitionRows(ctx, client, admin, facts, nil)
	if err != nil {
		return nil, err
	}
	racks, known := map[int32]string{}, false
	for _, b := range facts.brokers {
		known = known || b.id == broker
		if !b.fenced && b.id != broker {
			racks[b.id] = b.rack
		}
	}
	mine := slices.DeleteFunc(slices.Clone(rows), func(r clusterPartitionRow) bool { return !slices.Contains(r.Replicas, broker) })
	if !known && len(mine) == 0 {
		return nil, &cliError{code: exitNotFound, err: fmt.Errorf("broker %d is not there", broker), hint: "`logbahn cluster brokers` shows the brokers"}
	}
	p := newPlacement(racks, rows)
	if !replicas {
		plan, stuck := planLeaderships(rows, broker, p)
		if len(stuck) > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "nobody else can lead %s: no other replica is in sync\n", someOf(stuck))
		}
		return plan, nil
	}
	plan := []moveRow{}
	for _, r := range mine {
		to, err := p.replace(r.Replicas, func(id int32) bool { return id != broker })
		if err != nil {
			return nil, named("topic", r.Topic, err, "")
		}
		plan = append(plan, moveRow{Topic: r.Topic, Partition: r.Partition, From: r.Replicas, To: to, Leader: r.Leader, Bytes: -1})
	}
	return plan, weigh(ctx, admin, plan)
}
