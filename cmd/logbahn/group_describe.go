package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type groupDescription struct {
	Group       string      `json:"group" doc:"name"`
	State       string      `json:"state" doc:"as in group list"`
	Protocol    string      `json:"protocol_type" doc:"consumer, connect, or empty"`
	Assignor    string      `json:"assignor" doc:"how partitions are shared out; empty without members"`
	Coordinator int32       `json:"coordinator" doc:"broker that leads the group"`
	Lag         int64       `json:"total_lag" doc:"records not yet committed, of all partitions"`
	Members     []memberRow `json:"members" doc:"each member"`
	Detail      []lagRow    `json:"partitions" doc:"each partition, as in group lag; behind_ms is not asked for"`
}

type memberRow struct {
	Member     string              `json:"member" doc:"static name (group.instance.id), else the client's"`
	ID         string              `json:"id" doc:"id that the broker gave"`
	Static     bool                `json:"static" doc:"whether it has a static name"`
	Client     string              `json:"client_id" doc:"client.id"`
	Host       string              `json:"host" doc:"address"`
	Assigned   int                 `json:"assigned" doc:"number of partitions"`
	Partitions []assignedPartition `json:"assignment" doc:"which ones"`
}

type assignedPartition struct {
	Topic      string  `json:"topic" doc:"topic"`
	Partitions []int32 `json:"partitions" doc:"partitions"`
}

func groupDescribe() *cobra.Command {
	c := &cobra.Command{Use: "describe GROUP", Short: "Show a group's members, offsets and lag", Args: exactArgs(1), ValidArgsFunction: first(completeGroups),
		Example: "  logbahn group describe analytics\n  logbahn group describe analytics -o json | jq '.members[].host'"}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			g, err := lagOf(ctx, admin, args[0])
			if err != nil {
				return err
			}
			d := descriptionOf(g)
			if forPeople(c) {
				fmt.Fprintf(c.OutOrStdout(), "group %s  state %s  members %d  assignor %s  coordinator %d  total lag %d\n",
					printable(d.Group), d.State, len(d.Members), orDash(d.Assignor), d.Coordinator, d.Lag)
				if err := printMembers(c, d.Members); err != nil {
					return err
				}
			}
			return show(c, d, "TOPIC PARTITION COMMITTED END LAG MEMBER HOST | START MEMBER-ID", func(line func(...any)) {
				for _, r := range d.Detail {
					line(r.Topic, r.Partition, offsetOrDash(r.Committed), offsetOrDash(r.End), lagCell(r.Lag), orDash(r.Member), orDash(r.Host), offsetOrDash(r.Start), orDash(r.MemberID))
				}
			})
		})
	}
	return c
}

func descriptionOf(g kadm.DescribedGroupLag) groupDescription {
	lag := lagDescriptionOf(g)
	d := groupDescription{Group: g.Group, State: g.State, Protocol: g.ProtocolType, Assignor: g.Protocol,
		Coordinator: g.Coordinator.NodeID, Lag: lag.Lag, Members: []memberRow{}, Detail: lag.Detail}
	for i := range g.Members {
		m := &g.Members[i]
		row := memberRow{Member: memberName(m), ID: m.MemberID, Static: m.InstanceID != nil, Client: m.ClientID, Host: memberHost(m), Partitions: []assignedPartition{}}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				row.Assigned += len(t.Partitions)
				row.Partitions = append(row.Partitions, assignedPartition{t.Topic, someInts(t.Partitions)})
			}
		}
		d.Members = append(d.Members, row)
	}
	return d
}

func printMembers(c *cobra.Command, members []memberRow) error {
	if len(members) > 0 {
		fmt.Fprintln(c.OutOrStdout())
		t := newTable("MEMBER HOST ASSIGNED PARTITIONS")
		for _, m := range members {
			t.line(orDash(m.Member), m.Host, m.Assigned, orDash(assignmentText(m.Partitions)))
		}
		if err := t.write(c.OutOrStdout()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(c.OutOrStdout())
	return err
}

func assignmentText(assigned []assignedPartition) string {
	var parts []string
	for _, a := range assigned {
		parts = append(parts, a.Topic+":"+cellOf(a.Partitions).text)
	}
	return strings.Join(parts, " ")
}
