package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type clusterInfoObject struct {
	Cluster    string `json:"cluster_id" doc:"id, drawn when the cluster was made"`
	Controller int32  `json:"controller" doc:"broker; -1: none"`
	Brokers    int    `json:"brokers" doc:"number of brokers"`
	Topics     int    `json:"topics" doc:"number of topics, internal ones left out"`
	Partitions int    `json:"partitions" doc:"their partitions"`
}

func clusterInfo() *cobra.Command {
	c := &cobra.Command{Use: "info", Short: "Show id, controller and size of the cluster", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn cluster info\n  logbahn cluster info -o json | jq -r .cluster_id"}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
			facts, err := factsOf(ctx, client, admin)
			if err != nil {
				return err
			}
			info := clusterInfoObject{Cluster: facts.id, Controller: facts.controller, Brokers: len(facts.brokers)}
			for _, t := range facts.topics {
				if !t.IsInternal {
					info.Topics++
					info.Partitions += len(t.Partitions)
				}
			}
			return show(c, info, "CLUSTER CONTROLLER BROKERS TOPICS PARTITIONS", func(line func(...any)) {
				line(orDash(info.Cluster), offsetOrDash(int64(info.Controller)), info.Brokers, info.Topics, info.Partitions)
			})
		})
	}
	return c
}
