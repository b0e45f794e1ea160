package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupPlan is to which offsets a group is reset.
type groupPlan struct {
	group   string
	offsets map[topicPartition]int64
}

func (g *groupsCommand) reset(ctx context.Context) error {
	ids, err := g.selected(ctx)
	if err != nil {
		return err
	}
	plans := make([]groupPlan, 0, len(ids))
	for _, id := range ids {
		offsets, err := g.resetGroup(ctx, id)
		if err != nil {
			return err
		}
		plans = append(plans, groupPlan{id, offsets})
	}
	if g.opts.has("export") {
		g.export(plans)
		return nil
	}
	widths := [2]int{15, 15}
	for _, plan := range plans {
		widths[0] = max(widths[0], len(plan.group))
		for tp := range plan.offsets {
			widths[1] = max(widths[1], len(tp.topic))
		}
	}
	row := func(group, topic, partition, offset string) {
		fmt.Fprintf(g.out, "\n%-*s %-*s %-10s %s", widths[0], group, widths[1], topic, partition, offset)
	}
	if len(plans) > 0 {
		row("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	}
	for _, plan := range plans {
		for _, tp := range sortedPartitions(plan.offsets) {
			row(plan.group, tp.topic, fmt.Sprint(tp.partition), fmt.Sprint(plan.offsets[tp]))
		}
	}
	fmt.Fprintln(g.out)
	return nil
}

// resetGroup plans for one group, and with --execute does it. A group with members is left alone.
func (g *groupsCommand) resetGroup(ctx context.Context, id string) (map[topicPartition]int64, error) {
	state := "Dead"
	groups, err := describeGroups(ctx, g.client, []string{id})
	switch {
	case err == nil:
		state = groups[0].state
	case !isRefusal(err, kerr.GroupIDNotFound):
		return nil, err
	}
	if state != "Empty" && state != "Dead" {
		g.groupError("Assignments can only be reset if the group '%s' is inactive, but the current state is %s.", id, state)
		return nil, nil
	}
	scope, err := g.scope(ctx, id)
	if err != nil {
		return nil, err
	}
	offsets, err := g.plan(ctx, id, scope)
	if err != nil || !g.opts.has("execute") || len(offsets) == 0 {
		return offsets, err
	}
	var commit kadm.Offsets
	for tp, offset := range offsets {
		commit.AddOffset(tp.topic, tp.partition, offset, -1)
	}
	done, err := kadm.NewClient(g.client).CommitOffsets(ctx, id, commit)
	if err == nil {
		err = done.Error()
	}
	var known *kerr.Error
	if errors.As(err, &known) {
		err = withClass(refusal(known.Code, nil))
	}
	return offsets, err
}

// scope returns the partitions that the options name.
func (g *groupsCommand) scope(ctx context.Context, group string) (map[topicPartition]bool, error) {
	partitions := map[topicPartition]bool{}
	switch {
	case g.opts.has("all-topics"):
		committed, err := committedOffsets(ctx, g.client, group)
		for tp := range committed {
			partitions[tp] = true
		}
		return partitions, err
	case g.opts.has("topic"):
		return g.topicPartitions(ctx, g.opts.all("topic"))
	case g.opts.has("from-file"):
		return partitions, nil
	}
	return nil, usage("One of the reset scopes should be defined: --all-topics, --topic.")
}

// topicPartitions reads topic and topic:0,1 arguments. Topics and partitions must exist.
func (g *groupsCommand) topicPartitions(ctx context.Context, args []string) (map[topicPartition]bool, error) {
	partitions := map[topicPartition]bool{}
	var whole, named []string
	for _, arg := range args {
		topic, list, some := strings.Cut(arg, ":")
		if !some {
			whole = append(whole, arg)
			continue
		}
		tps, err := parseTopicPartitions(arg, topic, list)
		if err != nil {
			return nil, err
		}
		named = append(named, topic)
		for _, tp := range tps {
			partitions[tp] = true
		}
	}
	topics, err := describeTopics(ctx, g.client, uniq(append(named, whole...)))
	if err != nil {
		return nil, err
	}
	exists := map[topicPartition]bool{}
	for _, info := range topics {
		for _, p := range info.partitions {
			tp := topicPartition{info.name, p.number}
			exists[tp] = true
			if slices.Contains(whole, info.name) {
				partitions[tp] = true
			}
		}
	}
	var unknown []string
	for _, tp := range sortedPartitions(partitions) {
		if !exists[tp] {
			unknown = append(unknown, tp.String())
		}
	}
	if len(unknown) > 0 {
		return nil, failf("The partitions \"%s\" do not exist", strings.Join(unknown, ","))
	}
	return partitions, nil
}

func uniq(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func parseTopicPartitions(arg, topic, list string) ([]topicPartition, error) {
	if strings.Contains(list, ":") || list == "" || topic == "" {
		return nil, usage("Invalid topic arg '%s', expected topic name and partitions", arg)
	}
	var tps []topicPartition
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, usage("Invalid partition '%s' specified in topic arg '%s''", word, arg)
		}
		tps = append(tps, topicPartition{topic, int32(n)})
	}
	return tps, nil
}

// plan returns the offsets that the scenario gives.
func (g *groupsCommand) plan(ctx context.Context, group string, scope map[topicPartition]bool) (map[topicPartition]int64, error) {
	o := g.opts
	switch {
	case o.has("to-offset"):
		wanted := map[topicPartition]int64{}
		for tp := range scope {
			wanted[tp] = o.long("to-offset")
		}
		return g.withinRange(ctx, wanted)
	case o.has("to-earliest"):
		return listOffsets(ctx, g.client, scope, earliestOffset, false)
	case o.has("to-latest"):
		return listOffsets(ctx, g.client, scope, latestOffset, false)
	case o.has("shift-by"):
		return g.shift(ctx, group, scope)
	case o.has("to-datetime"):
		at, err := parseDateTime(o.text("to-datetime"))
		if err != nil {
			return nil, err
		}
		return g.since(ctx, scope, at)
	case o.has("by-duration"):
		back, err := parseDuration(o.text("by-duration"))
		if err != nil {
			return nil, err
		}
		return g.since(ctx, scope, time.Now().Add(-back))
	case o.has("from-file"):
		return g.fromFile(ctx, group)
	case o.has("to-current"):
		return g.current(ctx, group, scope)
	}
	return nil, usage("Option '[reset-offsets]' requires one of the following scenarios: [[%s]]", strings.Join(resetScenarios, "], ["))
}

func (g *groupsCommand) shift(ctx context.Context, group string, scope map[topicPartition]bool) (map[topicPartition]int64, error) {
	by := g.opts.long("shift-by")
	committed, err := committedOffsets(ctx, g.client, group)
	if err = first(g.opts.err, err); err != nil {
		return nil, err
	}
	wanted := map[topicPartition]int64{}
	for _, tp := range sortedPartitions(scope) {
		c, ok := committed[tp]
		if !ok {
			return nil, usage("Cannot shift offset for partition %s since there is no current committed offset", tp)
		}
		wanted[tp] = c.offset + by
		if by > 0 && wanted[tp] < 0 { // an overflow
			wanted[tp] = math.MaxInt64
		}
	}
	return g.withinRange(ctx, wanted)
}

// since gives the offset of the first record at a time or later, the end where there is none.
func (g *groupsCommand) since(ctx context.Context, scope map[topicPartition]bool, at time.Time) (map[topicPartition]int64, error) {
	offsets, err := listOffsets(ctx, g.client, scope, at.UnixMilli(), false)
	if err != nil {
		return nil, err
	}
	none := map[topicPartition]bool{}
	for _, tp := range sortedPartitions(offsets) {
		if offsets[tp] < 0 {
			none[tp] = true
			fmt.Fprintf(g.out, "\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", tp.partition, tp.topic)
		}
	}
	ends, err := listOffsets(ctx, g.client, none, latestOffset, false)
	for tp, end := range ends {
		offsets[tp] = end
	}
	return offsets, err
}

func (g *groupsCommand) current(ctx context.Context, group string, scope map[topicPartition]bool) (map[topicPartition]int64, error) {
	committed, err := committedOffsets(ctx, g.client, group)
	if err != nil {
		return nil, err
	}
	offsets, without := map[topicPartition]int64{}, map[topicPartition]bool{}
	for tp := range scope {
		if c, ok := committed[tp]; ok {
			offsets[tp] = c.offset
		} else {
			without[tp] = true
		}
	}
	ends, err := listOffsets(ctx, g.client, without, latestOffset, false)
	for tp, end := range ends {
		offsets[tp] = end
	}
	return offsets, err
}

// withinRange moves offsets that lie outside of the log to its nearer end, and says so.
func (g *groupsCommand) withinRange(ctx context.Context, wanted map[topicPartition]int64) (map[topicPartition]int64, error) {
	scope := map[topicPartition]bool{}
	for tp := range wanted {
		scope[tp] = true
	}
	starts, err := listOffsets(ctx, g.client, scope, earliestOffset, false)
	if err != nil {
		return nil, err
	}
	ends, err := listOffsets(ctx, g.client, scope, latestOffset, false)
	if err != nil {
		return nil, err
	}
	for _, tp := range sortedPartitions(wanted) {
		switch offset := wanted[tp]; {
		case offset > ends[tp]:
			g.logf("WARN", "New offset (%d) is higher than latest offset for topic partition %s. Value will be set to %d", offset, tp, ends[tp])
			wanted[tp] = ends[tp]
		case offset < starts[tp]:
			g.logf("WARN", "New offset (%d) is lower than earliest offset for topic partition %s. Value will be set to %d", offset, tp, starts[tp])
			wanted[tp] = starts[tp]
		}
	}
	return wanted, g.opts.err
}

// planBytesMax bounds a file of --export.
const planBytesMax = 64 << 20

// fromFile reads the group's part of a file of --export: topic,partition,offset when one group is named, or
// group,topic,partition,offset.
func (g *groupsCommand) fromFile(ctx context.Context, group string) (map[topicPartition]int64, error) {
	name := g.opts.text("from-file")
	data, err := readBounded(name, planBytesMax)
	if err != nil {
		return nil, &causedError{"java.io.IOException", failf("Unable to read file %s", name)}
	}
	plans, err := parsePlan(string(data), group, len(g.opts.all("group")) == 1)
	if err != nil {
		return nil, err
	}
	plan, ok := plans[group]
	if !ok {
		g.groupError("No reset plan for group %s found", group)
		return nil, nil
	}
	topics := map[topicPartition]bool{}
	for tp := range plan {
		topics[tp] = true
	}
	if err := g.mustExist(ctx, topics); err != nil {
		return nil, err
	}
	return g.withinRange(ctx, plan)
}

// readBounded reads a file, which may be a pipe or a device without an end. It fails for more than bytesMax bytes.
func readBounded(name string, bytesMax int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err == nil && int64(len(data)) > bytesMax {
		return nil, failf("%s: more than %d bytes, no more are read", name, bytesMax)
	}
	return data, err
}

func parsePlan(text, group string, single bool) (map[string]map[topicPartition]int64, error) {
	plans := map[string]map[topicPartition]int64{}
	for i, line := range strings.Split(strings.TrimRight(text, "\r\n"), "\n") {
		fields := strings.Split(strings.TrimRight(line, "\r"), ",")
		owner := group
		if len(fields) == 4 {
			owner, fields = fields[0], fields[1:]
		} else if !single {
			fields = nil
		}
		if len(fields) != 3 {
			return nil, failf("line %d of the reset plan, %q, is not topic,partition,offset, nor has it a group in front", i+1, line)
		}
		partition, err1 := strconv.ParseInt(strings.TrimSpace(fields[1]), 10, 32)
		offset, err2 := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err1 != nil || err2 != nil || partition < 0 || offset < 0 {
			return nil, failf("line %d of the reset plan, %q: partition and offset must be numbers from 0 on", i+1, line)
		}
		if plans[owner] == nil {
			plans[owner] = map[topicPartition]int64{}
		}
		plans[owner][topicPartition{fields[0], int32(partition)}] = offset
	}
	return plans, nil
}

// mustExist fails for a partition that the cluster does not have.
func (g *groupsCommand) mustExist(ctx context.Context, partitions map[topicPartition]bool) error {
	topics, err := listTopics(ctx, g.client)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for i := range topics {
		count[topics[i].name] = len(topics[i].partitions)
	}
	for _, tp := range sortedPartitions(partitions) {
		if int(tp.partition) >= count[tp.topic] {
			err := failf("Failed to fetch metadata for partition %s because metadata for topic `%s` could not be found", tp, tp.topic)
			return &causedError{"java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException", err}
		}
	}
	return nil
}

// export prints plans as --from-file reads them.
func (g *groupsCommand) export(plans []groupPlan) {
	single := len(g.opts.all("group")) == 1
	for _, plan := range plans {
		for _, tp := range sortedPartitions(plan.offsets) {
			if !single {
				fmt.Fprintf(g.out, "%s,", plan.group)
			}
			fmt.Fprintf(g.out, "%s,%d,%d\n", tp.topic, tp.partition, plan.offsets[tp])
		}
	}
	fmt.Fprintln(g.out)
}

// parseDateTime reads YYYY-MM-DDThh:mm:ss.sss with an optional zone, UTC without.
func parseDateTime(s string) (time.Time, error) {
	_, clock, ok := strings.Cut(s, "T")
	if !ok {
		return time.Time{}, &causedError{"java.text.ParseException", failf("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format")}
	}
	if !strings.ContainsAny(clock, "+-Z") {
		s += "Z"
	}
	for _, layout := range []string{"2006-01-02T15:04:05.000Z07:00", "2006-01-02T15:04:05.000Z0700", "2006-01-02T15:04:05.000Z07"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &causedError{"java.text.ParseException", failf("Unparseable date: \"%s\"", s)}
}

var isoDuration = regexp.MustCompile(`(?i)^([-+]?)P(?:([-+]?\d+)D)?(?:T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?$`)

// parseDuration reads PnDTnHnMn.nS.
func parseDuration(s string) (time.Duration, error) {
	wrong := failf("Text cannot be parsed to a Duration")
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(strings.ToUpper(s), "T") || m[2]+m[3]+m[4]+m[5] == "" {
		return 0, wrong
	}
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+2] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i+2], 10, 64)
		if err != nil || n > int64(1<<62/unit) || n < -int64(1<<62/unit) {
			return 0, wrong
		}
		total += time.Duration(n) * unit
	}
	if m[6] != "" {
		n, _ := strconv.ParseInt((m[6] + "000000000")[:9], 10, 64)
		if strings.HasPrefix(m[5], "-") {
			n = -n
		}
		total += time.Duration(n)
	}
	if m[1] == "-" {
		total = -total
	}
	return total, nil
}

// deleteOffsets deletes a group's offsets of topics or partitions, and shows each.
func (g *groupsCommand) deleteOffsets(ctx context.Context) error {
	group := g.opts.text("group")
	if g.opts.err != nil {
		return g.opts.err
	}
	results, partitions, err := g.partitionsToForget(ctx)
	if err != nil {
		return err
	}
	top, err := g.forget(ctx, group, partitions, results)
	if err != nil {
		return err
	}
	switch {
	case top != nil:
		g.groupError("%v", top)
	case slices.ContainsFunc(sortedPartitions(results), func(tp topicPartition) bool { return results[tp] != nil }):
		g.groupError("Encountered some partition-level error, see the follow-up details.")
	default:
		fmt.Fprintf(g.out, "Request succeeded for deleting offsets from group %s.\n", group)
	}
	width := 15
	for tp := range results {
		width = max(width, len(tp.topic))
	}
	row := func(topic, partition, status string) {
		fmt.Fprintf(g.out, "\n%-*s %-10s %-15s", width, topic, partition, status)
	}
	row("TOPIC", "PARTITION", "STATUS")
	for _, tp := range sortedPartitions(results) {
		partition, status := fmt.Sprint(tp.partition), "Successful"
		if tp.partition < 0 {
			partition = missing
		}
		if err := results[tp]; err != nil {
			status = fmt.Sprintf("Error: %s: %v", class(err), err)
		}
		row(tp.topic, partition, status)
	}
	fmt.Fprintln(g.out)
	return nil
}

// partitionsToForget reads --topic. What does not exist is a result already.
func (g *groupsCommand) partitionsToForget(ctx context.Context) (map[topicPartition]error, map[topicPartition]bool, error) {
	results, partitions := map[topicPartition]error{}, map[topicPartition]bool{}
	for _, arg := range uniq(slices.Clone(g.opts.all("topic"))) {
		topic, list, some := strings.Cut(arg, ":")
		if some {
			tps, err := parseTopicPartitions(arg, topic, list)
			if err != nil {
				return nil, nil, err
			}
			for _, tp := range tps {
				partitions[tp] = true
			}
			continue
		}
		topics, err := describeTopics(ctx, g.client, []string{topic})
		if err != nil {
			results[topicPartition{topic, -1}] = err
			continue
		}
		for _, p := range topics[0].partitions {
			partitions[topicPartition{topic, p.number}] = true
		}
	}
	return results, partitions, nil
}

// forget sends OffsetDelete and adds its results; top is a refusal of the whole.
func (g *groupsCommand) forget(ctx context.Context, group string, partitions map[topicPartition]bool, results map[topicPartition]error) (top, err error) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	for _, tp := range sortedPartitions(partitions) {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.topic {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = tp.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewOffsetDeleteRequestTopicPartition()
		p.Partition = tp.partition
		req.Topics[len(req.Topics)-1].Partitions = append(req.Topics[len(req.Topics)-1].Partitions, p)
	}
	resp, err := req.RequestWith(ctx, g.client)
	if err != nil {
		return nil, err
	}
	if top = refusal(resp.ErrorCode, nil); top != nil {
		for tp := range partitions {
			results[tp] = top
		}
		return top, nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			results[topicPartition{t.Topic, p.Partition}] = refusal(p.ErrorCode, nil)
		}
	}
	return nil, nil
}
