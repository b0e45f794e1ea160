package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type groupRow struct {
	Group       string `json:"group" doc:"name"`
	State       string `json:"state" doc:"Stable, Empty, PreparingRebalance, CompletingRebalance or Dead"`
	Protocol    string `json:"protocol_type" doc:"consumer, connect, or empty"`
	Coordinator int32  `json:"coordinator" doc:"broker that leads the group"`
}

var groupStates = []string{"Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Dead"}

func groupList() *cobra.Command {
	var states []string
	c := &cobra.Command{Use: "list", Short: "List the groups", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn group list\n  logbahn group list --state Empty -o json"}
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(groupStates, cobra.ShellCompDirectiveNoFileComp))
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		for i, state := range states {
			at := slices.IndexFunc(groupStates, func(known string) bool { return strings.EqualFold(known, state) })
			if at < 0 {
				return usageErrorf("--state %s: there are %s", state, strings.Join(groupStates, ", "))
			}
			states[i] = groupStates[at]
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			groups, err := admin.ListGroups(ctx, states...)
			if err != nil {
				return err
			}
			rows := []groupRow{}
			for _, g := range groups.Sorted() {
				rows = append(rows, groupRow{g.Group, g.State, g.ProtocolType, g.Coordinator})
			}
			return show(c, rows, "GROUP STATE PROTOCOL COORDINATOR", func(line func(...any)) {
				for _, r := range rows {
					line(groupCell(r.Group), stateCell(r.State), orDash(r.Protocol), r.Coordinator)
				}
			})
		})
	}
	return c
}
