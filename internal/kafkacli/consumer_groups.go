package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func consumerGroupsTool() *tool {
	return &tool{
		name: "kafka-consumer-groups",
		does: "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.",
		run:  runConsumerGroups,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "REQUIRED but for --validate-regex: where the cluster answers, host:port,..."},
			{name: "command-config", kind: text, value: "command config property file", help: "A file with properties for the connection."},
			{name: "list", help: "List the groups."},
			{name: "describe", help: "Show a group's offsets and lag, or with --members or --state those."},
			{name: "delete", help: "Delete groups that have no members, with their offsets."},
			{name: "delete-offsets", help: "Delete a group's offsets of the topics named by --topic."},
			{name: "reset-offsets", help: resetHelp},
			{name: "group", kind: text, value: "consumer group", help: "The group. Any number of times."},
			{name: "all-groups", help: "All groups."},
			{name: "topic", kind: text, value: "topic", help: "A topic, or some of its partitions as topic:0,1,2. Any number of times."},
			{name: "all-topics", help: "All topics that the group has offsets of."},
			{name: "members", help: "With --describe: the group's members."},
			{name: "offsets", help: "With --describe: offsets and lag, which is what it shows anyway."},
			{name: "state", kind: optionalText, help: "With --describe: the group's state. With --list: the state of each group, of those in the named states only."},
			{name: "type", kind: optionalText, help: "With --list: the type of each group, of those of the named types only."},
			{name: "verbose", help: "With --describe: more columns."},
			{name: "timeout", kind: long, value: "timeout (ms)", fallback: "30000", help: "How long to wait for the cluster once it has been reached; a minute at most."},
			{name: "execute", help: "Reset the offsets."},
			{name: "dry-run", help: "Show only to what the offsets would be reset."},
			{name: "export", help: "Print the offsets as comma-separated values, for --from-file."},
			{name: "to-offset", kind: long, value: "offset", help: "Reset to this offset."},
			{name: "from-file", kind: text, value: "path to CSV file", help: "Reset to what a file of --export says."},
			{name: "to-datetime", kind: text, value: "datetime", help: "Reset to the first record since YYYY-MM-DDThh:mm:ss.sss."},
			{name: "by-duration", kind: text, value: "duration", help: "Reset to the first record since so long ago, as PnDTnHnMnS."},
			{name: "to-earliest", help: "Reset to the oldest record."},
			{name: "to-latest", help: "Reset to the end."},
			{name: "shift-by", kind: long, value: "number-of-offsets", help: "Reset to so many records later, or earlier when negative."},
			{name: "to-current", help: "Reset to the committed offset."},
			{name: "validate-regex", kind: text, value: "regex", help: "Say whether a regular expression is one of RE2."},
		},
	}
}

const resetHelp = "Reset the offsets of groups without members. How: --to-datetime, --by-duration, --to-earliest, --to-latest, " +
	"--shift-by, --from-file, --to-current or --to-offset. Of what: --all-topics or --topic. Nothing happens without --execute."

var (
	groupActions   = []string{"list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"}
	resetScenarios = []string{"to-offset", "to-earliest", "to-current", "to-latest", "by-duration", "to-datetime", "from-file", "shift-by"}
)

func runConsumerGroups(ctx context.Context, c *call) error {
	o := c.opts
	if o.has("validate-regex") && o.count(groupActions...) == 1 {
		return c.validateRegex()
	}
	if err := checkConsumerGroups(c); err != nil {
		return err
	}
	if o.count(groupActions...) != 1 {
		return usage("Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex")
	}
	patience := adminPatience
	if o.has("timeout") {
		patience = min(o.milliseconds("timeout"), adminPatience)
	}
	if o.err != nil {
		return c.commandFailed(o.err, "")
	}
	err := c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		g := &groupsCommand{call: c, client: client}
		switch {
		case o.has("list"):
			return g.list(ctx)
		case o.has("describe"):
			return g.describe(ctx)
		case o.has("delete"):
			return g.delete(ctx)
		case o.has("reset-offsets"):
			return g.reset(ctx)
		}
		return g.deleteOffsets(ctx)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = failf("Call timed out: the cluster did not answer within %d ms", patience.Milliseconds())
	}
	return c.commandFailed(err, "")
}

// commandFailed prints what Kafka prints of an error that ends the command: it is no failure of the tool.
func (c *call) commandFailed(err error, class string) error {
	var wrong *usageError
	var exit exitError
	if err == nil || errors.As(err, &wrong) || errors.As(err, &exit) {
		return err
	}
	var caused *causedError
	if errors.As(err, &caused) {
		class = caused.class + ": "
	}
	c.groupError("Executing consumer group command failed due to %s%v", class, err)
	_ = c.out.Flush()
	fmt.Fprintln(c.Stderr, err)
	return nil
}

// causedError is an error that Kafka shows with its class.
type causedError struct {
	class string
	err   error
}

func (e *causedError) Error() string { return e.err.Error() }
func (e *causedError) Unwrap() error { return e.err }

// withClass is an error that Kafka shows with the class of its cause.
func withClass(err error) error {
	if err == nil {
		return nil
	}
	return &causedError{class(err), err}
}

func (c *call) groupError(format string, args ...any) {
	fmt.Fprintf(c.out, "\nError: "+format+"\n", args...)
}

func (c *call) validateRegex() error {
	pattern := c.opts.text("validate-regex")
	if _, err := regexp.Compile(pattern); err != nil {
		var wrong *syntax.Error
		reason := err.Error()
		if errors.As(err, &wrong) {
			if reason = string(wrong.Code); wrong.Expr != pattern {
				reason += ": `" + wrong.Expr + "`"
			}
		}
		fmt.Fprintf(c.out, "The regular expression `%s` is invalid: %s.\n", pattern, reason)
		return nil
	}
	fmt.Fprintf(c.out, "The regular expression `%s` is valid.\n", pattern)
	return nil
}

// checkConsumerGroups refuses combinations of options, in the order in which Kafka does.
func checkConsumerGroups(c *call) error {
	o := c.opts
	if err := o.require("bootstrap-server"); err != nil {
		return err
	}
	scope := func(action string) error {
		if o.has(action) && o.count("group", "all-groups") == 0 {
			return usage("Option [%s] takes one of these options: [all-groups], [group]", action)
		}
		return nil
	}
	if err := scope("describe"); err != nil {
		return err
	}
	if o.has("describe") {
		if o.count("members", "offsets", "state") > 1 {
			return usage("Option [describe] takes at most one of these options: [members], [offsets], [state]")
		}
		if o.has("state") && o.text("state") != "" {
			return usage("Option [describe] does not take a value for [state]")
		}
	}
	if err := scope("delete"); err != nil {
		return err
	}
	if o.has("delete") && o.has("topic") {
		return usage("The consumer does not support topic-specific offset deletion from a consumer group.")
	}
	if o.has("delete-offsets") && o.count("group", "topic") < 2 {
		return usage("Option [delete-offsets] takes the following options: [topic], [group]")
	}
	if o.has("reset-offsets") {
		if err := checkReset(c, scope); err != nil {
			return err
		}
	}
	return first(
		o.exclude("group", "all-groups"),
		o.exclude("group", "list"),
		o.exclude("topic", "list", "describe"))
}

func checkReset(c *call, scope func(string) error) error {
	o := c.opts
	if o.count("dry-run", "execute") == 2 {
		return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	}
	if o.count("dry-run", "execute") == 0 {
		fmt.Fprintln(c.Stderr, "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command "+
			"will require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are "+
			"scripting this command and want to keep the current default behavior without prompting.")
	}
	if err := scope("reset-offsets"); err != nil {
		return err
	}
	for _, s := range []string{"to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"} {
		if err := o.exclude(s, resetScenarios...); err != nil {
			return err
		}
	}
	return nil
}

type groupsCommand struct {
	*call
	client *kgo.Client
}

// groupListing is one group as the cluster lists it.
type groupListing struct {
	id, protocol, state, kind string
}

// listGroups asks every broker for its groups, and sorts them by id.
func listGroups(ctx context.Context, client *kgo.Client, states, kinds []string) ([]groupListing, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, kinds
	var groups []groupListing
	for _, shard := range client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := refusal(resp.ErrorCode, nil); err != nil {
			return nil, err
		}
		for _, g := range resp.Groups {
			groups = append(groups, groupListing{g.Group, g.ProtocolType, g.GroupState, g.GroupType})
		}
	}
	slices.SortFunc(groups, func(a, b groupListing) int { return strings.Compare(a.id, b.id) })
	return groups, nil
}

// consumers leaves the groups that are consumer groups: of the consumer protocol, or without any.
func consumers(groups []groupListing) []groupListing {
	return slices.DeleteFunc(groups, func(g groupListing) bool {
		return g.protocol != "" && g.protocol != "consumer" || strings.EqualFold(g.kind, "share") || strings.EqualFold(g.kind, "streams")
	})
}

var (
	groupStates = []string{"Stable", "Reconciling", "PreparingRebalance", "Assigning", "CompletingRebalance", "Empty", "Dead"}
	groupKinds  = []string{"Consumer", "Classic"}
)

func (g *groupsCommand) list(ctx context.Context) error {
	states, err := oneOf(g.opts.text("state"), groupStates, "Invalid state list '%s'. Valid states are: %s")
	if err != nil {
		return err
	}
	kinds, err := oneOf(g.opts.text("type"), groupKinds, "Invalid types list '%s'. Valid types are: %s")
	if err = first(err, g.opts.err); err != nil {
		return err
	}
	groups, err := listGroups(ctx, g.client, states, kinds)
	if err != nil {
		return err
	}
	groups = consumers(groups)
	withKind, withState := g.opts.has("type"), g.opts.has("state")
	if !withKind && !withState {
		for _, group := range groups {
			fmt.Fprintln(g.out, group.id)
		}
		return nil
	}
	width := 15
	for _, group := range groups {
		width = max(width, len(group.id))
	}
	row := func(id, kind, state string) {
		fmt.Fprintf(g.out, "%-*s", width+10, id)
		if withKind {
			fmt.Fprintf(g.out, " %-20s", kind)
		}
		if withState {
			fmt.Fprintf(g.out, " %-20s", state)
		}
		fmt.Fprintln(g.out)
	}
	row("GROUP", "TYPE", "STATE")
	for _, group := range groups {
		row(group.id, title(group.kind), group.state)
	}
	return nil
}

// oneOf reads a list of words, whatever their case, that must all be in known.
func oneOf(written string, known []string, complaint string) ([]string, error) {
	if written == "" {
		return nil, nil
	}
	var found []string
	for _, word := range strings.Split(written, ",") {
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(word)) })
		if i < 0 {
			return nil, usage(complaint, written, strings.Join(known, ", "))
		}
		found = append(found, known[i])
	}
	return found, nil
}

// title is a group's type as the tools write it.
func title(kind string) string {
	switch strings.ToLower(kind) {
	case "", "classic":
		return "Classic"
	case "consumer":
		return "Consumer"
	}
	return kind
}

// selected returns the groups that the options name.
func (g *groupsCommand) selected(ctx context.Context) ([]string, error) {
	if !g.opts.has("all-groups") {
		var ids []string
		for _, id := range g.opts.all("group") {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
	groups, err := listGroups(ctx, g.client, nil, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, group := range consumers(groups) {
		ids = append(ids, group.id)
	}
	return ids, nil
}

func (g *groupsCommand) delete(ctx context.Context) error {
	ids, err := g.selected(ctx)
	if err != nil {
		return err
	}
	var done []string
	refused := map[string]error{}
	if len(ids) > 0 {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = ids
		for _, shard := range g.client.RequestSharded(ctx, req) {
			if shard.Err != nil {
				return shard.Err
			}
			for _, r := range shard.Resp.(*kmsg.DeleteGroupsResponse).Groups {
				if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
					refused[r.Group] = err
				} else {
					done = append(done, r.Group)
				}
			}
		}
	}
	slices.Sort(done)
	if len(refused) == 0 {
		fmt.Fprintf(g.out, "Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(done, "', '"))
		return nil
	}
	g.groupError("Deletion of some consumer groups failed:")
	for _, id := range ids {
		if err := refused[id]; err != nil {
			fmt.Fprintf(g.out, "* Group '%s' could not be deleted due to: %s: %v\n", id, class(err), err)
		}
	}
	if len(done) > 0 {
		fmt.Fprintf(g.out, "\nThese consumer groups were deleted successfully: '%s'\n", strings.Join(done, "', '"))
	}
	return nil
}
