package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		check("quorum", quorumWrong(q, err), fmt.Sprintf("leader %d, %s", q.Leader, counted(len(q.Nodes), "node")))
	}
	total, leaderless, behind := partitionsWrong(facts)
	check("leaders", leaderless, counted(total, "partition")+", each has one")
	check("replicas", behind, "all in sync")
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

func quorumWrong(q quorumObject, err error) []string {
	switch {
	case err != nil:
		return []string{err.Error()}
	case q.Leader < 0:
		return []string{"no leader"}
	}
	return nil
}

// partitionsWrong counts the partitions, and names those without a leader and those with replicas out of sync.
func partitionsWrong(facts clusterFacts) (total int, leaderless, behind []string) {
	facts.topics.EachPartition(func(p kadm.PartitionDetail) {
		total++
		name := fmt.Sprintf("%s/%d", p.Topic, p.Partition)
		if p.Leader < 0 {
			leaderless = append(leaderless, name)
		}
		if len(p.ISR) < len(p.Replicas) {
			behind = append(behind, name)
		}
	})
	return total, shortened(leaderless, "have none"), shortened(behind, "have replicas out of sync")
}

func shortened(names []string, what string) []string {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	some := strings.Join(names[:min(len(names), namesMax)], ", ")
	if len(names) > namesMax {
		some += ", …"
	}
	return []string{fmt.Sprintf("%d %s: %s", len(names), what, some)}
}

func disksWrong(dirs kadm.DescribedAllLogDirs, err error) []string {
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
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
