package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func groupsTool() *tool {
	return &tool{
		name:      "kafka-groups",
		does:      "This tool helps to list groups of all types.",
		run:       runGroups,
		badOption: messageAndHelp,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server to connect to", required: true, help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "command-config", kind: text, value: "command config property file", help: "A file with properties for the connection."},
			{name: "list", help: "List the groups."},
			{name: "group-type", kind: text, value: "type", help: "Only groups of this type: classic, consumer, share or streams."},
			{name: "protocol", kind: text, value: "protocol", help: "Only groups of this protocol type."},
			{name: "consumer", help: "Only consumer groups of any kind."},
			{name: "share", help: "Only share groups."},
			{name: "streams", help: "Only streams groups."},
		},
	}
}

var allGroupTypes = []string{"classic", "consumer", "share", "streams"}

func runGroups(ctx context.Context, c *call) error {
	o := c.opts
	if !o.has("list") {
		return usage("Command must include exactly one action: --list.")
	}
	err := first(
		o.exclude("consumer", "share", "streams", "group-type", "protocol"),
		o.exclude("share", "consumer", "streams", "group-type", "protocol"),
		o.exclude("streams", "consumer", "share", "group-type", "protocol"))
	if err != nil {
		return err
	}
	kind := strings.ToLower(o.text("group-type"))
	if o.has("group-type") && !slices.Contains(allGroupTypes, kind) {
		return failf("--group-type must be a valid group type.")
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		groups, err := listGroups(ctx, client, nil, nil)
		if err != nil {
			return err
		}
		groups = slices.DeleteFunc(groups, func(g groupListing) bool {
			is := strings.ToLower(title(g.kind))
			switch {
			case o.has("consumer"):
				return is != "consumer" && (is != "classic" || g.protocol != "" && g.protocol != "consumer")
			case o.has("share"):
				return is != "share"
			case o.has("streams"):
				return is != "streams"
			}
			return kind != "" && is != kind || o.has("protocol") && g.protocol != o.text("protocol")
		})
		c.printGroups(groups)
		return nil
	})
}

func (c *call) printGroups(groups []groupListing) {
	width := 20
	for _, g := range groups {
		width = max(width, len(g.id), len(g.protocol))
	}
	row := func(id, kind, protocol, end string) {
		fmt.Fprintf(c.out, "%-*s %-*s %-*s%s\n", width, id, width, kind, width, protocol, end)
	}
	row("GROUP", "TYPE", "PROTOCOL", "")
	for _, g := range groups {
		row(g.id, title(g.kind), g.protocol, " ") // Kafka has a blank there
	}
}
