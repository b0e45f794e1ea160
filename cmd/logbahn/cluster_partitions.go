package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type clusterPartitionRow struct {
	Topic     string  `json:"topic" doc:"topic"`
	Partition int32   `json:"partition" doc:"partition"`
	State     string  `json:"state" doc:"ok, under-replicated, under-min-isr or leaderless: the worst that is true"`
	Leader    int32   `json:"leader" doc:"broker; -1: none"`
	Epoch     int32   `json:"leader_epoch" doc:"epoch of the leader"`
	Preferred int32   `json:"preferred_leader" doc:"the first of the replicas"`
	Replicas  []int32 `json:"replicas" doc:"brokers"`
	ISR       []int32 `json:"isr" doc:"brokers in sync"`
	Offline   []int32 `json:"offline" doc:"replicas that cannot be reached"`
	MinISR    int32   `json:"min_isr" doc:"brokers in sync without which acks=all is refused; -1: not asked for, all are in sync"`
	Moving    bool    `json:"moving" doc:"whether replicas are being added or removed"`
}

// The states of a partition, the worst last.
const (
	stateOK              = "ok"
	stateUnderReplicated = "under-replicated"
	stateUnderMinISR     = "under-min-isr"
	stateLeaderless      = "leaderless"
)

type partitionFilter struct {
	underReplicated, underMinISR, leaderless, notPreferred, moving bool
	leader, broker                                                 int32
}

func clusterPartitions() *cobra.Command {
	var f partitionFilter
	c := &cobra.Command{Use: "partitions [TOPIC...]", Short: "List partitions with their leaders, replicas and what is wrong", ValidArgsFunction: completeTopics,
		Example: "  logbahn cluster partitions --under-replicated\n  logbahn cluster partitions rides --leader 2 -o json"}
	c.Flags().BoolVar(&f.underReplicated, "under-replicated", false, "only those with replicas out of sync")
	c.Flags().BoolVar(&f.underMinISR, "under-min-isr", false, "only those that refuse acks=all")
	c.Flags().BoolVar(&f.leaderless, "leaderless", false, "only those without a leader: they are offline")
	c.Flags().BoolVar(&f.notPreferred, "not-preferred", false, "only those that another broker leads than the first of their replicas")
	c.Flags().BoolVar(&f.moving, "moving", false, "only those whose replicas are being moved")
	c.Flags().Int32Var(&f.leader, "leader", -1, "only those that this broker leads")
	c.Flags().Int32Var(&f.broker, "broker", -1, "only those of which this broker has a replica")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, topics []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
			facts, err := factsOf(ctx, client, admin)
			if err != nil {
				return err
			}
			rows, err := clusterPartitionRows(ctx, client, admin, facts, topics)
			if err != nil {
				return err
			}
			rows = slices.DeleteFunc(rows, func(r clusterPartitionRow) bool { return !f.keeps(r) })
			return show(c, rows, "TOPIC PARTITION STATE LEADER REPLICAS ISR | EPOCH OFFLINE MIN-ISR MOVING", func(line func(...any)) {
				for _, r := range rows {
					line(r.Topic, r.Partition, partitionStateCell(r.State), offsetOrDash(int64(r.Leader)), r.Replicas, r.ISR, r.Epoch, r.Offline,
						offsetOrDash(int64(r.MinISR)), yesOrDash(r.Moving))
				}
			})
		})
	}
	return c
}

func partitionStateCell(state string) painted {
	switch state {
	case stateOK:
		return painted{state, green}
	case stateUnderReplicated:
		return painted{state, yellow}
	}
	return painted{state, red}
}

// keeps tells whether a row is one of those that were asked for. Filters add up.
func (f partitionFilter) keeps(r clusterPartitionRow) bool {
	switch {
	case f.underReplicated && len(r.ISR) >= len(r.Replicas),
		f.underMinISR && (r.MinISR < 0 || int32(len(r.ISR)) >= r.MinISR),
		f.leaderless && r.Leader >= 0,
		f.notPreferred && r.Leader == r.Preferred,
		f.moving && !r.Moving,
		f.leader >= 0 && r.Leader != f.leader,
		f.broker >= 0 && !slices.Contains(r.Replicas, f.broker):
		return false
	}
	return true
}

// clusterPartitionRows returns the partitions of topics, all without any, by topic and number. What is being moved is left
// unsaid where the broker does not tell.
func clusterPartitionRows(ctx context.Context, client *kgo.Client, admin *kadm.Client, facts clusterFacts, topics []string) ([]clusterPartitionRow, error) {
	for _, name := range topics {
		if t, ok := facts.topics[name]; !ok || t.Err != nil {
			if _, err := findTopic(ctx, admin, name); err != nil {
				return nil, err
			}
		}
	}
	minISR, err := minISROf(ctx, admin, facts, topics)
	if err != nil {
		return nil, err
	}
	moving, _ := reassignmentsOf(ctx, client)
	rows := []clusterPartitionRow{}
	facts.topics.EachPartition(func(p kadm.PartitionDetail) {
		if len(topics) > 0 && !slices.Contains(topics, p.Topic) {
			return
		}
		r := clusterPartitionRow{
			Topic: p.Topic, Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Preferred: -1,
			Replicas: someInts(p.Replicas), ISR: someInts(p.ISR), Offline: someInts(p.OfflineReplicas), MinISR: -1,
		}
		if len(p.Replicas) > 0 {
			r.Preferred = p.Replicas[0]
		}
		if least, known := minISR[p.Topic]; known {
			r.MinISR = min(least, int32(len(p.Replicas)))
		}
		_, r.Moving = moving[p.Topic][p.Partition]
		r.State = r.worst()
		rows = append(rows, r)
	})
	slices.SortFunc(rows, func(a, b clusterPartitionRow) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return rows, nil
}

func (r *clusterPartitionRow) worst() string {
	switch {
	case r.Leader < 0:
		return stateLeaderless
	case r.MinISR >= 0 && int32(len(r.ISR)) < r.MinISR:
		return stateUnderMinISR
	case len(r.ISR) < len(r.Replicas):
		return stateUnderReplicated
	}
	return stateOK
}

// minISROf asks for min.insync.replicas of the topics that have replicas out of sync: of others it does not matter.
func minISROf(ctx context.Context, admin *kadm.Client, facts clusterFacts, topics []string) (map[string]int32, error) {
	var ask []string
	for name, t := range facts.topics {
		behind := slices.ContainsFunc(t.Partitions.Sorted(), func(p kadm.PartitionDetail) bool { return len(p.ISR) < len(p.Replicas) })
		if behind && (len(topics) == 0 || slices.Contains(topics, name)) {
			ask = append(ask, name)
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	slices.Sort(ask)
	configs, err := admin.DescribeTopicConfigs(ctx, ask...)
	if err != nil {
		return nil, err
	}
	least := map[string]int32{}
	for _, c := range configs {
		for _, entry := range c.Configs {
			if n, err := strconv.ParseInt(entry.MaybeValue(), 10, 32); err == nil && entry.Key == "min.insync.replicas" {
				least[c.Name] = int32(n)
			}
		}
	}
	return least, nil
}

// reassigning has what is being moved, by topic and partition.
type reassigning map[string]map[int32]kmsg.ListPartitionReassignmentsResponseTopicPartition

// reassignmentsOf lists all that is being moved. The administrative client takes no topic for none of them.
func reassignmentsOf(ctx context.Context, client kmsg.Requestor) (reassigning, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	text := ""
	if resp.ErrorMessage != nil {
		text = *resp.ErrorMessage
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, brokerSays(err, text)
	}
	moving := reassigning{}
	for _, t := range resp.Topics {
		moving[t.Topic] = map[int32]kmsg.ListPartitionReassignmentsResponseTopicPartition{}
		for _, p := range t.Partitions {
			moving[t.Topic][p.Partition] = p
		}
	}
	return moving, nil
}
