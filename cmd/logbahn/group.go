package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "List, describe and delete consumer groups"}
	needsSubcommand(c)
	brokersFlag(c)
	outputFlag(c)
	c.AddCommand(groupList(), groupDescribe(), groupDelete())
	return c
}

type groupRow struct {
	Group       string `json:"group"`
	State       string `json:"state"`
	Protocol    string `json:"protocol_type"`
	Coordinator int32  `json:"coordinator"`
}

func groupList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the groups", Args: exactArgs(0), RunE: func(c *cobra.Command, _ []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			groups, err := admin.ListGroups(ctx)
			if err != nil {
				return err
			}
			rows := []groupRow{}
			for _, g := range groups.Sorted() {
				rows = append(rows, groupRow{g.Group, g.State, g.ProtocolType, g.Coordinator})
			}
			return show(c, rows, "GROUP STATE PROTOCOL COORDINATOR", func(line func(...any)) {
				for _, r := range rows {
					line(r.Group, r.State, orDash(r.Protocol), r.Coordinator)
				}
			})
		})
	}}
}

type groupDescription struct {
	Group   string   `json:"group"`
	State   string   `json:"state"`
	Members int      `json:"members"`
	Lag     int64    `json:"total_lag"`
	Detail  []lagRow `json:"partitions"`
}

type lagRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: none
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Member    string `json:"member"`
	Host      string `json:"host"`
}

func groupDescribe() *cobra.Command {
	return &cobra.Command{Use: "describe GROUP", Aliases: []string{"lag"}, Short: "Show a group's members, offsets and lag", Args: exactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			d, err := describeGroup(ctx, admin, args[0])
			if err != nil {
				return err
			}
			err = show(c, d, "TOPIC PARTITION COMMITTED END LAG MEMBER HOST", func(line func(...any)) {
				for _, r := range d.Detail {
					line(r.Topic, r.Partition, offsetOrDash(r.Committed), r.End, r.Lag, orDash(r.Member), orDash(r.Host))
				}
			})
			if err == nil {
				fmt.Fprintf(c.ErrOrStderr(), "group %s: %s, %d members, total lag %d\n", d.Group, d.State, d.Members, d.Lag)
			}
			return err
		})
	}}
}

func describeGroup(ctx context.Context, admin *kadm.Client, name string) (groupDescription, error) {
	lags, err := admin.Lag(ctx, name)
	if err != nil {
		return groupDescription{}, err
	}
	g := lags[name]
	if err := g.Error(); err != nil {
		return groupDescription{}, named("group", name, err, "")
	}
	if g.State == "Dead" {
		return groupDescription{}, named("group", name, kerr.GroupIDNotFound, "")
	}
	d := groupDescription{Group: name, State: g.State, Members: len(g.Members), Lag: g.Lag.Total(), Detail: []lagRow{}}
	for _, l := range g.Lag.Sorted() {
		row := lagRow{Topic: l.Topic, Partition: l.Partition, Committed: l.Commit.At, End: l.End.Offset, Lag: l.Lag}
		if l.Member != nil {
			row.Member, row.Host = l.Member.ClientID, l.Member.ClientHost
		}
		d.Detail = append(d.Detail, row)
	}
	return d, nil
}

func groupDelete() *cobra.Command {
	var yes bool
	c := &cobra.Command{Use: "delete GROUP...", Short: "Delete groups without members and their offsets", Args: minArgs(1)}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, names []string) error {
		if !yes {
			if err := confirm(c, "delete "+strings.Join(names, ", ")+" with all committed offsets?"); err != nil {
				return err
			}
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			deleted, err := admin.DeleteGroups(ctx, names...)
			if err != nil && len(deleted) == 0 {
				return err
			}
			var failed []error
			for _, d := range deleted.Sorted() {
				failed = append(failed, named("group", d.Group, d.Err, ""))
				if d.Err == nil {
					fmt.Fprintf(c.ErrOrStderr(), "group %s deleted\n", d.Group)
				}
			}
			return errors.Join(failed...)
		})
	}
	return c
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func offsetOrDash(offset int64) any {
	if offset < 0 {
		return "-"
	}
	return offset
}
