package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Consumer groups: list, describe, lag, seek, delete"}
	needsSubcommand(c)
	brokersFlag(c)
	c.AddCommand(groupList(), groupDescribe(), groupLag(), groupSeek(), groupDelete(), groupDeleteOffsets())
	return c
}

// lagOf returns what the broker knows of a group and of the partitions that it reads.
func lagOf(ctx context.Context, admin *kadm.Client, name string) (kadm.DescribedGroupLag, error) {
	lags, err := admin.Lag(ctx, name)
	if err != nil {
		return kadm.DescribedGroupLag{}, err
	}
	g := lags[name]
	if err := g.Error(); err != nil {
		return g, named("group", name, err, "")
	}
	if g.State == "Dead" { // Kafka's word for a group that is not there
		return g, named("group", name, kerr.GroupIDNotFound, "")
	}
	return g, nil
}

// memberName is what people call a member: its static name, else its client's.
func memberName(m *kadm.DescribedGroupMember) string {
	if m.InstanceID != nil {
		return *m.InstanceID
	}
	return m.ClientID
}

// memberHost is where a member is. The broker writes it as Java does, with a name of nothing before the slash.
func memberHost(m *kadm.DescribedGroupMember) string { return strings.TrimPrefix(m.ClientHost, "/") }

// groupCell shows that a group has no name: consumers of old could commit without one.
func groupCell(name string) string {
	if name == "" {
		return `""`
	}
	return name
}

// stateCell shows at a glance which groups are at work.
func stateCell(state string) painted {
	switch state {
	case "Stable":
		return painted{state, green}
	case "Empty", "Dead":
		return painted{state, 0}
	}
	return painted{state, yellow}
}
