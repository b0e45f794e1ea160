package kafkacli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupInfo is a group as its coordinator describes it.
type groupInfo struct {
	id, state, assignor string
	members             []memberInfo
	coordinator         kgo.BrokerMetadata
}

type memberInfo struct {
	id, instance, client, host string
	assigned                   []topicPartition
}

// describeGroups returns the groups, in the order of their ids. One that does not exist is an error.
func describeGroups(ctx context.Context, client *kgo.Client, ids []string) ([]groupInfo, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = ids
	var groups []groupInfo
	for _, shard := range client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, g := range shard.Resp.(*kmsg.DescribeGroupsResponse).Groups {
			if g.ErrorCode == 0 && g.State == "Dead" {
				g.ErrorCode = kerr.GroupIDNotFound.Code
				g.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Group %s not found.", g.Group))
			}
			if err := refusal(g.ErrorCode, g.ErrorMessage); err != nil {
				return nil, withClass(err)
			}
			groups = append(groups, groupOf(&g, shard.Meta))
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(groups, func(g groupInfo) bool { return g.id == id }) {
			return nil, failf("The broker did not answer for group %s", id)
		}
	}
	slices.SortFunc(groups, func(a, b groupInfo) int { return strings.Compare(a.id, b.id) })
	return groups, nil
}

func groupOf(g *kmsg.DescribeGroupsResponseGroup, coordinator kgo.BrokerMetadata) groupInfo {
	info := groupInfo{id: g.Group, state: g.State, assignor: g.Protocol, coordinator: coordinator}
	for _, m := range g.Members {
		member := memberInfo{id: m.MemberID, client: m.ClientID, host: m.ClientHost}
		if m.InstanceID != nil {
			member.instance = *m.InstanceID
		}
		var assignment kmsg.ConsumerMemberAssignment
		if g.ProtocolType == "consumer" && assignment.ReadFrom(m.MemberAssignment) == nil {
			for _, t := range assignment.Topics {
				for _, p := range t.Partitions {
					member.assigned = append(member.assigned, topicPartition{t.Topic, p})
				}
			}
		}
		slices.SortFunc(member.assigned, compareTopicPartitions)
		info.members = append(info.members, member)
	}
	return info
}

func (g *groupsCommand) describe(ctx context.Context) error {
	ids, err := g.selected(ctx)
	if err != nil {
		return err
	}
	groups, err := describeGroups(ctx, g.client, ids)
	if err != nil {
		return err
	}
	for i := range groups {
		switch {
		case g.opts.has("members"):
			g.printMembers(&groups[i])
		case g.opts.has("state"):
			g.printState(&groups[i])
		default:
			if err := g.printOffsets(ctx, &groups[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// introduce says on standard error what is special about a group, and tells whether there is something to show.
func (g *groupsCommand) introduce(group *groupInfo, rows int) bool {
	_ = g.out.Flush()
	switch group.state {
	case "Empty":
		fmt.Fprintf(g.Stderr, "\nConsumer group '%s' has no active members.\n", group.id)
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		fmt.Fprintf(g.Stderr, "\nWarning: Consumer group '%s' is rebalancing.\n", group.id)
	}
	return rows > 0
}

// offsetRow is a line of --describe --offsets.
type offsetRow struct {
	topic, partition, epoch, current, end, lag, member, host, client string
}

func (g *groupsCommand) printOffsets(ctx context.Context, group *groupInfo) error {
	rows, err := g.offsetRows(ctx, group)
	if err != nil {
		return err
	}
	if !g.introduce(group, len(rows)) {
		return nil
	}
	widths := [4]int{15, 15, 15, 15}
	for _, r := range rows {
		for i, s := range []string{group.id, r.topic, r.member, r.host} {
			widths[i] = max(widths[i], len(s))
		}
	}
	print := func(id string, r offsetRow) {
		fmt.Fprintf(g.out, "\n%-*s %-*s %-10s", widths[0], id, widths[1], r.topic, r.partition)
		if g.opts.has("verbose") {
			fmt.Fprintf(g.out, " %-15s", r.epoch)
		}
		fmt.Fprintf(g.out, " %-15s %-15s %-15s %-*s %-*s %s", r.current, r.end, r.lag, widths[2], r.member, widths[3], r.host, r.client)
	}
	print("GROUP", offsetRow{"TOPIC", "PARTITION", "LEADER-EPOCH", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"})
	for _, r := range rows {
		print(group.id, r)
	}
	fmt.Fprintln(g.out)
	return nil
}

// offsetRows are the partitions of the members, those with most of them first, then what else has offsets.
func (g *groupsCommand) offsetRows(ctx context.Context, group *groupInfo) ([]offsetRow, error) {
	committed, err := committedOffsets(ctx, g.client, group.id)
	if err != nil {
		return nil, err
	}
	wanted := map[topicPartition]bool{}
	for tp := range committed {
		wanted[tp] = true
	}
	for _, m := range group.members {
		for _, tp := range m.assigned {
			wanted[tp] = true
		}
	}
	ends, err := listOffsets(ctx, g.client, wanted, latestOffset, true)
	if err != nil {
		return nil, err
	}
	members := slices.Clone(group.members)
	slices.SortStableFunc(members, func(a, b memberInfo) int { return cmp.Compare(len(b.assigned), len(a.assigned)) })
	var rows []offsetRow
	for _, m := range members {
		for _, tp := range m.assigned {
			delete(wanted, tp)
			rows = append(rows, row(tp, committed, ends, m.id, m.host, m.client))
		}
	}
	var rest []topicPartition
	for tp := range wanted {
		rest = append(rest, tp)
	}
	slices.SortFunc(rest, compareTopicPartitions)
	for _, tp := range rest {
		rows = append(rows, row(tp, committed, ends, missing, missing, missing))
	}
	return rows, nil
}

// missing stands for a value that there is not.
const missing = "-"

func row(tp topicPartition, committed map[topicPartition]committedOffset, ends map[topicPartition]int64, member, host, client string) offsetRow {
	r := offsetRow{topic: tp.topic, partition: fmt.Sprint(tp.partition), epoch: missing, current: missing, end: missing, lag: missing, member: member, host: host, client: client}
	end, hasEnd := ends[tp]
	if hasEnd {
		r.end = fmt.Sprint(end)
	}
	if c, ok := committed[tp]; ok {
		r.current = fmt.Sprint(c.offset)
		if c.epoch >= 0 {
			r.epoch = fmt.Sprint(c.epoch)
		}
		if hasEnd {
			r.lag = fmt.Sprint(end - c.offset)
		}
	}
	return r
}

func (g *groupsCommand) printMembers(group *groupInfo) {
	widths := [5]int{15, 15, 17, 15, 15} // group, member, instance, host, client
	instances := false
	if g.introduce(group, len(group.members)) {
		for _, m := range group.members {
			for i, s := range []string{group.id, m.id, m.instance, m.host, m.client} {
				widths[i] = max(widths[i], len(s))
			}
			instances = instances || m.instance != ""
		}
	}
	print := func(id string, m memberInfo, count string, more [4]string) {
		fmt.Fprintf(g.out, "%-*s %-*s ", widths[0], id, widths[1], m.id)
		if instances {
			fmt.Fprintf(g.out, "%-*s ", widths[2], m.instance)
		}
		fmt.Fprintf(g.out, "%-*s %-*s %-15s ", widths[3], m.host, widths[4], m.client, count)
		if g.opts.has("verbose") {
			fmt.Fprintf(g.out, "%-15s %-20s %-15s %-20s", more[0], more[1], more[2], more[3])
		}
		fmt.Fprintln(g.out)
	}
	fmt.Fprintln(g.out)
	print("GROUP", memberInfo{id: "CONSUMER-ID", instance: "GROUP-INSTANCE-ID", host: "HOST", client: "CLIENT-ID"}, "#PARTITIONS",
		[4]string{"CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"})
	for _, m := range group.members {
		print(group.id, m, fmt.Sprint(len(m.assigned)), [4]string{missing, assignmentText(m.assigned), missing, missing})
	}
}

// assignmentText is an assignment as topic:partitions, the topics separated by semicolons.
func assignmentText(assigned []topicPartition) string {
	if len(assigned) == 0 {
		return missing
	}
	var text strings.Builder
	for i, tp := range assigned {
		switch {
		case i == 0:
			fmt.Fprintf(&text, "%s:%d", tp.topic, tp.partition)
		case assigned[i-1].topic == tp.topic:
			fmt.Fprintf(&text, ",%d", tp.partition)
		default:
			fmt.Fprintf(&text, ";%s:%d", tp.topic, tp.partition)
		}
	}
	return text.String()
}

func (g *groupsCommand) printState(group *groupInfo) {
	g.introduce(group, 1)
	coordinator := fmt.Sprintf("%s:%d  (%d)", group.coordinator.Host, group.coordinator.Port, group.coordinator.NodeID)
	assignor := group.assignor
	if assignor == "" {
		assignor = missing
	}
	widths := [2]int{max(15, len(group.id)), max(25, len(coordinator))}
	print := func(id, coordinator, assignor, state, epoch, target, members string) {
		fmt.Fprintf(g.out, "\n%-*s %-*s %-20s %-20s", widths[0], id, widths[1], coordinator, assignor, state)
		if g.opts.has("verbose") {
			fmt.Fprintf(g.out, " %-15s %-25s", epoch, target)
		}
		fmt.Fprintf(g.out, " %s", members)
	}
	print("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS")
	print(group.id, coordinator, assignor, group.state, missing, missing, fmt.Sprint(len(group.members)))
	fmt.Fprintln(g.out)
}
