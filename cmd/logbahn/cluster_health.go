package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type healthObject struct {
	Healthy bool        `json:"healthy" doc:"whether every check is passed"`
	Checks  []healthRow `json:"checks" doc:"each check"`
}

type healthRow struct {
	Check   string `json:"check" doc:"name"`
	Healthy bool   `json:"healthy" doc:"whether it is passed"`
	Detail  string `json:"detail" doc:"what was found, for people"`
}

// namesMax bounds how many partitions a check names.
const namesMax = 5

func clusterHealth() *cobra.Command {
	var exit bool
	c := &cobra.Command{Use: "health", Short: "Tell whether brokers, controller, partitions and disks are well", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn cluster health\n  logbahn cluster health --exit-code -o json      # for probes: 1 when something is wrong"}
	c.Flags().BoolVar(&exit, "exit-code", false, "exit with 1 when something is wrong")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
			health, err := healthOf(ctx, client, admin)
			if err != nil {
				return err
			}
			err = show(c, health, "CHECK STATE DETAIL", func(line func(...any)) {
				for _, r := range health.Checks {
					state := painted{"ok", green}
					if !r.Healthy {
						state = painted{"WRONG", red}
					}
					line(r.Check, state, r.Detail)
				}
			})
			if err == nil && exit && !health.Healthy {
				err = errors.New("the cluster is not healthy")
			}
			return err
		})
	}
	return c
}

func healthOf(ctx context.Context, client *kgo.Client, admin *kadm.Client) (healthObject, error) {
	facts, err := factsOf(ctx, client, admin)
	if err != nil {
		return healthObject{}, err
	}
	served, err := featuresOf(ctx, client)
	if err != nil {
		return healthObject{}, err
	}
	dirs, dirsErr := admin.DescribeAllLogDirs(ctx, nil)
	health := healthObject{Healthy: true}
	check := func(name string, wrong []string, well string) {
		row := healthRow{Check: name, Healthy: len(wrong) == 0, Detail: well}
		if !row.Healthy {
			health.Healthy = false
			row.Detail = strings.Join(wrong, "; ")
		}
		health.Checks = append(health.Checks, row)
	}
	check("brokers", fencedBrokers(facts), counted(len(facts.brokers), "broker")+", none fenced")
	check("controller", controllerWrong(facts), fmt.Sprintf("broker %d", facts.controller))
	if served.serves(kmsg.DescribeQuorum) { // a cluster with ZooKeeper has none
		q, err := quorumOf(ctx, client)
		check("quorum", quorumWrong(q, err, time.Now()), fmt.Sprintf("leader %d, %s", q.Leader, counted(len(q.Nodes), "node")))
	}
	rows, err := clusterPartitionRows(ctx, client, admin, facts, nil)
	if err != nil {
		return healthObject{}, err
	}
	check("leaders", partitionsThat(rows, "have none", func(r clusterPartitionRow) bool { return r.Leader < 0 }), counted(len(rows), "partition")+", each has one")
	check("writable", partitionsThat(rows, "have fewer replicas in sync than min.insync.replicas", func(r clusterPartitionRow) bool { return r.State == stateUnderMinISR }), "acks=all is taken everywhere")
	check("replicas", partitionsThat(rows, "have replicas out of sync", func(r clusterPartitionRow) bool { return len(r.ISR) < len(r.Replicas) }), "all in sync")
	check("offline", partitionsThat(rows, "have replicas that cannot be reached", func(r clusterPartitionRow) bool { return len(r.Offline) > 0 }), "all replicas can be reached")
	check("disks", disksWrong(dirs, dirsErr), "log directories are readable and have room")
	return health, nil
}

func fencedBrokers(facts clusterFacts) []string {
	var wrong []string
	for _, b := range facts.brokers {
		if b.fenced {
			wrong = append(wrong, fmt.Sprintf("broker %d is fenced", b.id))
		}
	}
	return wrong
}

func controllerWrong(facts clusterFacts) []string {
	if facts.controller < 0 {
		return []string{"there is none"}
	}
	return nil
}

// quorumLagMax is how long ago a voter may have had all that the leader had.
const quorumLagMax = 30 * time.Second

func quorumWrong(q quorumObject, err error, now time.Time) []string {
	switch {
	case err != nil:
		return []string{err.Error()}
	case q.Leader < 0:
		return []string{"no leader"}
	}
	var wrong []string
	for _, n := range q.Nodes {
		behind := now.Sub(time.UnixMilli(n.CaughtUp))
		if n.Role == "voter" && n.Lag > 0 && (n.CaughtUp < 0 || behind > quorumLagMax) {
			since := fmt.Sprintf("it has not caught up since node %d leads", q.Leader)
			if n.CaughtUp >= 0 {
				since = "it caught up " + behind.Round(time.Second).String() + " ago"
			}
			wrong = append(wrong, fmt.Sprintf("voter %d is %d entries behind; %s", n.Node, n.Lag, since))
		}
	}
	return wrong
}

// partitionsThat names the partitions of which something is true, namesMax of them.
func partitionsThat(rows []clusterPartitionRow, what string, wrong func(clusterPartitionRow) bool) []string {
	var names []string
	for _, r := range rows {
		if wrong(r) {
			names = append(names, fmt.Sprintf("%s/%d", r.Topic, r.Partition))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d %s: %s", len(names), what, someOf(names))}
}

// someOf lists names, the first namesMax of them.
func someOf(names []string) string {
	some := strings.Join(names[:min(len(names), namesMax)], ", ")
	if len(names) > namesMax {
		some += ", …"
	}
	return some
}

func disksWrong(dirs kadm.DescribedAllLogDirs, err error) []string {
	var wrong []string
	var silent *kadm.ShardErrors
	switch {
	case errors.As(err, &silent):
		for _, e := range silent.Errs {
			wrong = append(wrong, fmt.Sprintf("broker %d tells nothing: %v", e.Broker.NodeID, plainly(e.Err)))
		}
	case err != nil:
		return []string{err.Error()}
	}
	for _, dir := range dirs.Sorted() {
		switch {
		case dir.Err != nil:
			wrong = append(wrong, fmt.Sprintf("broker %d %s: %v", dir.Broker, dir.Dir, dir.Err))
		case nearlyFull(dir.UsableBytes, dir.TotalBytes):
			wrong = append(wrong, fmt.Sprintf("broker %d %s: %s left", dir.Broker, dir.Dir, bytesText(dir.UsableBytes)))
		}
	}
	return wrong
}

// A volume is nearly full below a twentieth or below usableBytesMin, whichever is less; either may be unknown (-1).
const usableBytesMin = 1 << 30

func nearlyFull(usable, total int64) bool {
	if usable < 0 {
		return false
	}
	if total > 0 {
		return usable < max(min(total/20, 10*usableBytesMin), usableBytesMin/4)
	}
	return usable < usableBytesMin
}
