package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type brokerRow struct {
	Broker     int32  `json:"broker" doc:"node.id"`
	Address    string `json:"address" doc:"what clients are told to connect to"`
	Rack       string `json:"rack" doc:"empty: none"`
	Controller bool   `json:"controller" doc:"whether it leads the metadata quorum"`
	Fenced     bool   `json:"fenced" doc:"whether the controller takes it for dead"`
	Partitions int    `json:"partitions" doc:"replicas that it has"`
	Leads      int    `json:"leads" doc:"partitions that it leads"`
	Bytes      int64  `json:"bytes" doc:"size of its logs; -1: not known"`
	Usable     int64  `json:"usable_bytes" doc:"what its volumes can still take; -1: not known"`
	Total      int64  `json:"total_bytes" doc:"size of its volumes; -1: not known"`
}

func clusterBrokers() *cobra.Command {
	c := &cobra.Command{Use: "brokers", Short: "List the brokers", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn cluster brokers -o wide"}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
			facts, err := factsOf(ctx, client, admin)
			if err != nil {
				return err
			}
			rows := brokerRows(ctx, admin, facts)
			return show(c, rows, "BROKER ADDRESS CONTROLLER STATE LEADS SIZE | RACK REPLICAS USABLE TOTAL", func(line func(...any)) {
				for _, r := range rows {
					state := painted{"active", green}
					if r.Fenced {
						state = painted{"fenced", red}
					}
					line(r.Broker, r.Address, yesOrDash(r.Controller), state, r.Leads, bytesText(r.Bytes), orDash(r.Rack), r.Partitions, bytesText(r.Usable), bytesText(r.Total))
				}
			})
		})
	}
	return c
}

func yesOrDash(yes bool) string {
	if yes {
		return "yes"
	}
	return "-"
}

// brokerRows leaves sizes unknown where the directories are not told.
func brokerRows(ctx context.Context, admin *kadm.Client, facts clusterFacts) []brokerRow {
	dirs, _ := admin.DescribeAllLogDirs(ctx, nil)
	rows := []brokerRow{}
	for _, b := range facts.brokers {
		row := brokerRow{Broker: b.id, Address: b.address(), Rack: b.rack, Controller: b.isController, Fenced: b.fenced, Bytes: -1, Usable: -1, Total: -1}
		for _, dir := range dirs[b.id] {
			if dir.Err == nil {
				row.Bytes = max(row.Bytes, 0) + dir.Size()
				row.Usable, row.Total = sumKnown(row.Usable, dir.UsableBytes), sumKnown(row.Total, dir.TotalBytes)
			}
		}
		facts.topics.EachPartition(func(p kadm.PartitionDetail) {
			for _, replica := range p.Replicas {
				if replica == b.id {
					row.Partitions++
				}
			}
			if p.Leader == b.id {
				row.Leads++
			}
		})
		rows = append(rows, row)
	}
	return rows
}

func sumKnown(sum, more int64) int64 {
	if more < 0 {
		return sum
	}
	return max(sum, 0) + more
}
