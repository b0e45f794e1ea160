package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func reassignPartitionsTool() *tool {
	return &tool{
		name: "kafka-reassign-partitions",
		does: "This tool helps to move topic partitions between replicas.",
		run:  runReassignPartitions,
		failed: func(c *call, err error) {
			prefix := "Error: "
			if _, terse := err.(*terseError); terse {
				prefix = ""
			}
			fmt.Fprintf(c.out, "%s%v\n", prefix, err)
		},
		options: []option{
			{name: "verify", help: "Tell whether the reassignment of --reassignment-json-file is completed, and if so remove the throttles."},
			{name: "generate", help: "Make a proposal for a reassignment of the topics in --topics-to-move-json-file."},
			{name: "execute", help: "Begin the reassignment of --reassignment-json-file."},
			{name: "cancel", help: "Cancel the reassignments of --reassignment-json-file."},
			{name: "list", help: "List the reassignments under way."},
			{name: "bootstrap-server", kind: text, value: "Server(s) to use for bootstrapping", help: "REQUIRED unless --bootstrap-controller is given: where the cluster answers, host:port,..."},
			{name: "bootstrap-controller", kind: text, value: "Controller(s) to use for bootstrapping", help: "Where a controller answers, host:port,..., for --list and --cancel."},
			{name: "command-config", kind: text, value: "Admin client property file", help: "A file with properties for the connection."},
			{name: "reassignment-json-file", kind: text, value: "manual assignment json file path", help: `A file such as {"partitions": [{"topic": "foo", "partition": 1, "replicas": [1,2,3], "log_dirs": ["any","any","any"]}], "version":1}.`},
			{name: "topics-to-move-json-file", kind: text, value: "topics to reassign json file path", help: `A file such as {"topics": [{"topic": "foo"}], "version":1}.`},
			{name: "broker-list", kind: text, value: "brokerlist", help: "Ids of the brokers to move to, separated by commas."},
			{name: "disable-rack-aware", help: "Do not look at racks."},
			{name: "throttle", kind: long, value: "throttle", fallback: "-1", help: "Bytes a second that are copied between brokers at most."},
			{name: "replica-alter-log-dirs-throttle", kind: long, value: "replicaAlterLogDirsThrottle", fallback: "-1", help: "Bytes a second that are copied between directories of a broker at most. Logbahn's brokers store it and do not keep to it."},
			{name: "timeout", kind: long, value: "timeout", fallback: "10000", help: "Milliseconds to wait until moves between directories have begun."},
			{name: "disallow-replication-factor-change", help: "Refuse a reassignment that gives a partition more replicas or fewer."},
			{name: "additional", help: "Although other reassignments are under way."},
			{name: "preserve-throttles", help: "Leave throttles as they are."},
		},
	}
}

// terseError is an error that the tool prints as it is.
type terseError struct{ text string }

func (e *terseError) Error() string { return e.text }

// What each action needs and may have besides.
var reassignActions = []struct {
	name            string
	needs, may      []string
	withControllers bool
}{
	{"generate", []string{"topics-to-move-json-file", "broker-list"}, []string{"command-config", "disable-rack-aware"}, false},
	{"execute", []string{"reassignment-json-file"}, []string{"additional", "command-config", "throttle", "replica-alter-log-dirs-throttle", "timeout", "disallow-replication-factor-change"}, false},
	{"verify", []string{"reassignment-json-file"}, []string{"command-config", "preserve-throttles"}, false},
	{"cancel", []string{"reassignment-json-file"}, []string{"command-config", "preserve-throttles", "timeout"}, true},
	{"list", nil, []string{"command-config"}, true},
}

func runReassignPartitions(ctx context.Context, c *call) error {
	action, err := c.reassignAction()
	if err != nil {
		return err
	}
	p, err := loadProperties(c.opts.text("command-config"))
	if err = first(c.opts.err, err); err != nil {
		return err
	}
	servers := c.opts.text("bootstrap-server")
	if servers == "" {
		servers = c.opts.text("bootstrap-controller")
	}
	client, err := c.connect(ctx, servers, p)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	r := &reassignment{call: c, client: client}
	switch action {
	case "generate":
		return r.generate(ctx)
	case "list":
		return r.list(ctx)
	}
	name := c.opts.text("reassignment-json-file")
	data, err := readBounded(name, planBytesMax)
	if err != nil {
		return failf("%s", name)
	}
	if r.target, r.dirs, err = parseReassignment(data); err != nil {
		return err
	}
	switch action {
	case "execute":
		return r.execute(ctx)
	case "verify":
		return r.verify(ctx)
	}
	return r.cancel(ctx)
}

// reassignAction returns the action, if all that goes with it is there and nothing else.
func (c *call) reassignAction() (string, error) {
	var names []string
	chosen := -1
	given := 0
	for i, a := range reassignActions {
		names = append(names, "--"+a.name)
		if c.opts.has(a.name) {
			chosen = i
			given++
		}
	}
	switch {
	case given != 1:
		return "", usage("Command must include exactly one action: %s", strings.Join(names, ", "))
	case c.opts.has("bootstrap-server") && c.opts.has("bootstrap-controller"):
		return "", usage("Please don't specify both --bootstrap-server and --bootstrap-controller")
	case !c.opts.has("bootstrap-server") && !c.opts.has("bootstrap-controller"):
		return "", usage("Please specify either --bootstrap-server or --bootstrap-controller")
	}
	a := reassignActions[chosen]
	if err := c.opts.require(a.needs...); err != nil {
		return "", err
	}
	allowed := append(slices.Concat(a.needs, a.may), a.name, "bootstrap-server")
	if a.withControllers {
		allowed = append(allowed, "bootstrap-controller")
	}
	for i := range c.opts.table {
		if name := c.opts.table[i].name; c.opts.has(name) && !slices.Contains(allowed, name) {
			return "", usage("Option \"[%s]\" can't be used with action \"[%s]\"", name, a.name)
		}
	}
	return a.name, nil
}

// reassignment is one run of the tool.
type reassignment struct {
	*call
	client *kgo.Client
	target []partitionTarget // of the file
	dirs   []directoryTarget
}

// partitionTarget is where a partition is to be.
type partitionTarget struct {
	topicPartition
	replicas []int32
}

// directoryTarget is the directory in which a replica is to be.
type directoryTarget struct {
	topicPartition
	broker int32
	dir    string
}

func (d directoryTarget) String() string { return fmt.Sprintf("%s-%d", d.topicPartition, d.broker) }

// moving has what is under way, by partition.
type moving map[topicPartition]kmsg.ListPartitionReassignmentsResponseTopicPartition

func (r *reassignment) underWay(ctx context.Context) (moving, error) { return underWay(ctx, r.client) }

func underWay(ctx context.Context, client *kgo.Client) (moving, error) {
	resp, err := kmsg.NewPtrListPartitionReassignmentsRequest().RequestWith(ctx, client)
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, kafkaWords(err)
	}
	m := moving{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			m[topicPartition{t.Topic, p.Partition}] = p
		}
	}
	return m, nil
}

func (r *reassignment) list(ctx context.Context) error {
	now, err := r.underWay(ctx)
	if err != nil {
		return err
	}
	if len(now) == 0 {
		fmt.Fprintln(r.out, "No partition reassignments found.")
		return nil
	}
	fmt.Fprintln(r.out, "Current partition reassignments:")
	for _, tp := range sortedPartitions(now) {
		p := now[tp]
		line := fmt.Sprintf("%s: replicas: %s.", tp, joined(p.Replicas))
		if len(p.AddingReplicas) > 0 {
			line += fmt.Sprintf(" adding: %s.", joined(p.AddingReplicas))
		}
		if len(p.RemovingReplicas) > 0 {
			line += fmt.Sprintf(" removing: %s.", joined(p.RemovingReplicas))
		}
		fmt.Fprintln(r.out, line)
	}
	return nil
}

// assigned returns the replicas of partitions, of all that the topics have when none are named.
func (r *reassignment) assigned(ctx context.Context, topics []string, partitions []topicPartition) (map[topicPartition][]int32, error) {
	found := map[topicPartition][]int32{}
	for _, name := range topics {
		infos, err := describeTopics(ctx, r.client, []string{name})
		if err != nil {
			return nil, failf("org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic %s not found.", name)
		}
		for _, p := range infos[0].partitions {
			if tp := (topicPartition{name, p.number}); partitions == nil || slices.Contains(partitions, tp) {
				found[tp] = p.replicas
			}
		}
	}
	var missing []string
	for _, tp := range partitions {
		if _, ok := found[tp]; !ok {
			missing = append(missing, tp.String())
		}
	}
	if len(missing) > 0 {
		return nil, failf("org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Unable to find partition: %s", strings.Join(missing, ", "))
	}
	return found, nil
}

func (r *reassignment) partitions() []topicPartition {
	var list []topicPartition
	for _, t := range r.target {
		list = append(list, t.topicPartition)
	}
	return list
}

// execute begins the reassignment.
func (r *reassignment) execute(ctx context.Context) error {
	if err := r.checkTarget(); err != nil {
		return err
	}
	now, err := r.underWay(ctx)
	if err != nil {
		return err
	}
	if len(now) > 0 && !r.opts.has("additional") {
		return &terseError{"Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment."}
	}
	brokers, err := r.brokers(ctx)
	if err != nil {
		return err
	}
	for _, t := range r.target {
		for _, id := range t.replicas {
			if _, ok := brokers[id]; !ok {
				return failf("Unknown broker id %d", id)
			}
		}
	}
	current, err := r.assigned(ctx, topicsOf(r.partitions()), r.partitions())
	if err != nil {
		return err
	}
	dirs, err := r.directories(ctx, current)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "Current partition replica assignment\n\n%s\n\nSave this to use as the --reassignment-json-file option during rollback\n", reassignmentJSON(current, dirs))
	if err := r.throttle(ctx, now, current); err != nil {
		return err
	}
	if err := r.alter(ctx, r.target, "Error reassigning partition(s):"); err != nil {
		return err
	}
	plural := ""
	if len(r.target) != 1 {
		plural = "s"
	}
	fmt.Fprintf(r.out, "Successfully started partition reassignment%s for %s\n", plural, partitionList(r.partitions()))
	if len(r.dirs) > 0 {
		return r.moveDirectories(ctx)
	}
	return nil
}

func partitionList(list []topicPartition) string {
	list = slices.Clone(list)
	slices.SortFunc(list, compareTopicPartitions)
	var names []string
	for _, tp := range list {
		names = append(names, tp.String())
	}
	return strings.Join(names, ",")
}

// brokers returns the racks of the brokers that are there.
func (r *reassignment) brokers(ctx context.Context) (map[int32]string, error) {
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, r.client)
	if err != nil {
		return nil, kafkaWords(err)
	}
	racks := map[int32]string{}
	for _, b := range resp.Brokers {
		racks[b.NodeID] = ""
		if b.Rack != nil {
			racks[b.NodeID] = *b.Rack
		}
	}
	return racks, nil
}

// alter asks for the targets; no replicas cancel. The first line stands above what was refused.
func (r *reassignment) alter(ctx context.Context, targets []partitionTarget, refused string) error {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = int32(adminPatience.Milliseconds()) / 2
	req.AllowReplicationFactorChange = !r.opts.has("disallow-replication-factor-change")
	var partitions []topicPartition
	for _, t := range targets {
		partitions = append(partitions, t.topicPartition)
	}
	for _, topic := range topicsOf(partitions) {
		rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		rt.Topic = topic
		for _, t := range targets {
			if t.topic == topic {
				rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
				rp.Partition, rp.Replicas = t.partition, t.replicas
				rt.Partitions = append(rt.Partitions, rp)
			}
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, r.client)
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return kafkaWords(err)
	}
	failures := map[topicPartition]error{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := refusal(p.ErrorCode, p.ErrorMessage); err != nil {
				failures[topicPartition{t.Topic, p.Partition}] = err
			}
		}
	}
	if len(failures) == 0 {
		return nil
	}
	lines := []string{refused}
	for _, tp := range sortedPartitions(failures) {
		lines = append(lines, fmt.Sprintf("%s: %v", tp, failures[tp]))
	}
	return &terseError{strings.Join(lines, "\n")}
}

// cancel ends the reassignments that are under way.
func (r *reassignment) cancel(ctx context.Context) error {
	now, err := r.underWay(ctx)
	if err != nil {
		return err
	}
	var active []partitionTarget
	for _, t := range r.target {
		if _, ok := now[t.topicPartition]; ok {
			active = append(active, partitionTarget{topicPartition: t.topicPartition})
		}
	}
	plural := ""
	if len(active) != 1 {
		plural = "s"
	}
	if len(active) == 0 {
		fmt.Fprintln(r.out, "None of the specified partition reassignments are active.")
	} else {
		if err := r.alter(ctx, active, fmt.Sprintf("Error cancelling partition reassignment%s for:", plural)); err != nil {
			return err
		}
		var cancelled []topicPartition
		for _, t := range active {
			cancelled = append(cancelled, t.topicPartition)
		}
		fmt.Fprintf(r.out, "Successfully cancelled partition reassignment%s for: %s\n", plural, partitionList(cancelled))
	}
	fmt.Fprint(r.out, "None of the specified partition moves are active.") // a broker has one directory
	if r.opts.has("preserve-throttles") {
		return nil
	}
	return r.clearThrottles(ctx)
}

// verify tells how far the reassignment is.
func (r *reassignment) verify(ctx context.Context) error {
	now, err := r.underWay(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(r.out, "Status of partition reassignment:")
	list := slices.Clone(r.target)
	slices.SortFunc(list, func(a, b partitionTarget) int { return compareTopicPartitions(a.topicPartition, b.topicPartition) })
	for _, t := range list {
		if _, ok := now[t.topicPartition]; ok {
			fmt.Fprintf(r.out, "Reassignment of partition %s is still in progress.\n", t)
			continue
		}
		current, err := r.assigned(ctx, []string{t.topic}, []topicPartition{t.topicPartition})
		if replicas := current[t.topicPartition]; err == nil && slices.Equal(replicas, t.replicas) {
			fmt.Fprintf(r.out, "Reassignment of partition %s is completed.\n", t)
		} else {
			fmt.Fprintf(r.out, "There is no active reassignment of partition %s, but replica set is %s rather than %s.\n", t, joined(replicas), joined(t.replicas))
		}
	}
	settled, err := r.verifyDirectories(ctx)
	if err != nil {
		return err
	}
	if len(now) > 0 || !settled || r.opts.has("preserve-throttles") {
		return nil
	}
	return r.clearThrottles(ctx)
}
