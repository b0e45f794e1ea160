package kafkacli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
)

func metadataQuorumTool() *tool {
	return &tool{name: "kafka-metadata-quorum", does: "This tool describes kraft metadata quorum status.", raw: runMetadataQuorum}
}

var quorumConnection = []argument{
	{names: []string{"--bootstrap-server"}, kind: text, group: 1, help: "Where the cluster answers, host:port,..."},
	{names: []string{"--bootstrap-controller"}, kind: text, group: 1, help: "Where a controller answers, host:port,..."},
	{names: []string{"--command-config"}, kind: text, help: "A file with properties for the connection; for add-controller, those of the controller."},
}

var quorumCommands = []subcommand{
	{"describe", "Describe the metadata quorum info", []argument{
		{names: []string{"--status"}, help: "A summary of the quorum."},
		{names: []string{"--replication"}, help: "How far each of its members is."},
		{names: []string{"--human-readable"}, help: "Times as the time since."},
	}},
	{"add-controller", "Add a controller to the KRaft controller cluster", []argument{dryRunArgument}},
	{"remove-controller", "Remove a controller from the KRaft controller cluster", []argument{
		{names: []string{"--controller-directory-id", "-d"}, kind: text, required: true, help: "The directory id of the controller."},
		{names: []string{"--controller-id", "-i"}, kind: integer, required: true, help: "The id of the controller."},
		dryRunArgument,
	}},
}

func runMetadataQuorum(ctx context.Context, c *call, args []string) error {
	i := leading(args)
	command, a, done, err := c.choose(quorumCommands, args[i:], 0)
	if done {
		if code, ok := err.(exitError); ok && code == 0 && i == 0 && len(args) == 1 { // the help of the tool itself
			printUsage(c.out, c.tool.name, c.tool.does, quorumConnection, true)
		}
		return err
	}
	where, err := parseArguments(quorumConnection, args[:i])
	if err != nil {
		return c.fail(c.tool.name, quorumConnection, err)
	}
	file := where.text("--command-config")
	switch command {
	case "describe":
		return c.describeQuorum(ctx, where, a)
	case "add-controller":
		if file == "" {
			return failf("You must supply the configuration file of the controller you are adding when using add-controller.")
		}
		return c.addController(ctx, where, file, a)
	}
	return c.removeController(ctx, where, a)
}

func (c *call) describeQuorum(ctx context.Context, where, a *arguments) error {
	switch {
	case a.has("--status") && a.has("--replication"):
		return failf("Only one of --status or --replication should be specified with describe sub-command")
	case !a.has("--status") && !a.has("--replication"):
		return failf("One of --status or --replication must be specified with describe sub-command")
	case a.has("--status") && a.has("--human-readable"):
		return failf("The option --human-readable is only supported along with --replication")
	}
	return c.reach(ctx, where, where.text("--command-config"), func(ctx context.Context, client *kgo.Client) error {
		resp, p, err := quorumState(ctx, client)
		if err != nil {
			return kafkaWords(err)
		}
		leader := slices.IndexFunc(p.CurrentVoters, func(v quorumReplica) bool { return v.ReplicaID == p.LeaderID })
		if leader < 0 {
			return failf("No value present")
		}
		if a.has("--replication") {
			return c.quorumReplication(p, &p.CurrentVoters[leader], a.has("--human-readable"))
		}
		id, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, client)
		if err != nil {
			return kafkaWords(err)
		}
		c.quorumStatus(id.ClusterID, resp, p, &p.CurrentVoters[leader])
		return nil
	})
}

type quorumReplica = kmsg.DescribeQuorumResponseTopicPartitionReplicaState

// quorumState asks for the metadata partition.
func quorumState(ctx context.Context, client *kgo.Client) (*kmsg.DescribeQuorumResponse, *kmsg.DescribeQuorumResponseTopicPartition, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = "__cluster_metadata"
	t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, nil, failf("DescribeMetadataQuorum received %d topics, expected one with one partition", len(resp.Topics))
	}
	p := &resp.Topics[0].Partitions[0]
	return resp, p, refusal(p.ErrorCode, p.ErrorMessage)
}

func (c *call) quorumStatus(clusterID string, resp *kmsg.DescribeQuorumResponse, p *kmsg.DescribeQuorumResponseTopicPartition, leader *quorumReplica) {
	last := leader
	for i := range p.CurrentVoters {
		if p.CurrentVoters[i].LogEndOffset < last.LogEndOffset {
			last = &p.CurrentVoters[i]
		}
	}
	lagMs := int64(-1)
	switch {
	case last == leader:
		lagMs = 0
	case last.LastCaughtUpTimestamp >= 0 && leader.LastCaughtUpTimestamp >= 0:
		lagMs = leader.LastCaughtUpTimestamp - last.LastCaughtUpTimestamp
	}
	for _, row := range []struct {
		name  string
		value any
	}{
		{"ClusterId:", clusterID}, {"LeaderId:", p.LeaderID}, {"LeaderEpoch:", p.LeaderEpoch}, {"HighWatermark:", p.HighWatermark},
		{"MaxFollowerLag:", leader.LogEndOffset - last.LogEndOffset}, {"MaxFollowerLagTimeMs:", lagMs},
		{"CurrentVoters:", quorumNodes(resp, p.CurrentVoters)}, {"CurrentObservers:", quorumNodes(resp, p.Observers)},
	} {
		fmt.Fprintf(c.out, "%-24s%v\n", row.name, row.value)
	}
}

// quorumNodes writes replicas as Kafka does, which is nearly JSON.
func quorumNodes(resp *kmsg.DescribeQuorumResponse, replicas []quorumReplica) string {
	var list []string
	for i := range replicas {
		r := &replicas[i]
		s := fmt.Sprintf(`{"id": %d`, r.ReplicaID)
		if r.ReplicaDirectoryID != [16]byte{} {
			s += fmt.Sprintf(`, "directoryId": "%s"`, uuid(r.ReplicaDirectoryID))
		}
		var endpoints []string
		for _, n := range resp.Nodes {
			if n.NodeID == r.ReplicaID {
				for _, l := range n.Listeners {
					endpoints = append(endpoints, fmt.Sprintf(`"%s"`, endpoint(l.Name, l.Host, l.Port)))
				}
			}
		}
		if len(endpoints) > 0 {
			s += `, "endpoints": [` + strings.Join(endpoints, ", ") + "]"
		}
		list = append(list, s+"}")
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func endpoint(name, host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s://%s:%d", name, host, port)
}

func (c *call) quorumReplication(p *kmsg.DescribeQuorumResponseTopicPartition, leader *quorumReplica, readable bool) error {
	rows := [][]string{{"NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"}}
	now := time.Now().UnixMilli()
	var failed error
	at := func(ms int64, what string) string {
		switch {
		case ms < 0:
			return "-1"
		case !readable:
			return strconv.FormatInt(ms, 10)
		case ms > now:
			failed = failf("Error while computing relative time, possible drift in system clock.\nCurrent timestamp is %d, %s timestamp is %d", now, what, ms)
		}
		return fmt.Sprintf("%d ms ago", now-ms)
	}
	add := func(r *quorumReplica, status string) {
		rows = append(rows, []string{
			fmt.Sprint(r.ReplicaID), uuid(r.ReplicaDirectoryID), fmt.Sprint(r.LogEndOffset), fmt.Sprint(leader.LogEndOffset - r.LogEndOffset),
			at(r.LastFetchTimestamp, "last fetch"), at(r.LastCaughtUpTimestamp, "last caught up"), status,
		})
	}
	add(leader, "Leader")
	for i := range p.CurrentVoters {
		if r := &p.CurrentVoters[i]; r != leader {
			add(r, "Follower")
		}
	}
	for i := range p.Observers {
		add(&p.Observers[i], "Observer")
	}
	if failed != nil {
		return failed
	}
	c.prettyTable(rows)
	return nil
}

// prettyTable prints rows in columns, each with a tab behind it.
func (c *call) prettyTable(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(c.out, "%-*s\t", widths[i], cell)
		}
		fmt.Fprintln(c.out)
	}
}

func (c *call) removeController(ctx context.Context, where, a *arguments) error {
	id, text := a.long("--controller-id"), a.text("--controller-directory-id")
	if id < 0 {
		return failf("Invalid negative --controller-id: %d", id)
	}
	directory, err := parseUUID(text)
	if err != nil {
		return failf("Failed to parse --controller-directory-id: %v", err)
	}
	if a.has("--dry-run") {
		fmt.Fprintf(c.out, "DRY RUN of removing  KRaft controller %d with directory id %s\n", id, uuid(directory))
		return nil
	}
	return c.reach(ctx, where, where.text("--command-config"), func(ctx context.Context, client *kgo.Client) error {
		req := kmsg.NewPtrRemoveRaftVoterRequest()
		req.VoterID, req.VoterDirectoryID = int32(id), directory
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = refusal(resp.ErrorCode, resp.ErrorMessage)
		}
		if err != nil {
			return kafkaWords(err)
		}
		fmt.Fprintf(c.out, "Removed  KRaft controller %d with directory id %s\n", id, uuid(directory))
		return nil
	})
}

// addController adds the controller whose configuration file --command-config is. Its directory has to be on this machine.
func (c *call) addController(ctx context.Context, where *arguments, file string, a *arguments) error {
	p, err := loadProperties(file)
	if err != nil {
		return err
	}
	req, err := newVoter(p)
	if err != nil {
		return err
	}
	var endpoints []string
	for _, l := range req.Listeners {
		endpoints = append(endpoints, endpoint(l.Name, l.Host, l.Port))
	}
	done := func(how string) {
		fmt.Fprintf(c.out, "%s controller %d with directory id %s and endpoints: %s\n", how, req.VoterID, uuid(req.VoterDirectoryID), strings.Join(endpoints, ", "))
	}
	if a.has("--dry-run") {
		done("DRY RUN of adding")
		return nil
	}
	return c.reach(ctx, where, file, func(ctx context.Context, client *kgo.Client) error {
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = refusal(resp.ErrorCode, resp.ErrorMessage)
		}
		if err == nil {
			done("Added")
			return nil
		}
		return kafkaWords(err)
	})
}

// newVoter reads a controller's configuration and its directory's meta.properties.
func newVoter(p properties) (*kmsg.AddRaftVoterRequest, error) {
	const valid = "Is this a valid controller configuration file?"
	id, err := strconv.ParseInt(p["node.id"], 10, 32)
	switch {
	case p["node.id"] == "":
		return nil, failf("node.id not found in configuration file. %s", valid)
	case err != nil || id < 0:
		return nil, failf("node.id was negative in configuration file. %s", valid)
	case !strings.Contains(p["process.roles"], "controller"):
		return nil, failf("process.roles did not contain 'controller' in configuration file. %s", valid)
	case p["metadata.log.dir"] == "" && p["log.dirs"] == "":
		return nil, failf("Neither metadata.log.dir nor log.dirs were found. %s", valid)
	case p["controller.listener.names"] == "":
		return nil, failf("controller.listener.names was not found. %s", valid)
	}
	dir := p["metadata.log.dir"]
	if dir == "" {
		dir, _, _ = strings.Cut(p["log.dirs"], ",")
	}
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.TimeoutMillis = int32(id), int32(adminPatience.Milliseconds())/2
	if req.VoterDirectoryID, err = directoryID(strings.TrimSpace(dir)); err != nil {
		return nil, err
	}
	listeners := map[string]config.Listener{}
	for _, key := range []string{"listeners", "advertised.listeners"} {
		for _, text := range strings.Split(p[key], ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			l, err := config.ParseListener(text)
			if err != nil {
				return nil, failf("%s: %v", key, err)
			}
			listeners[l.Name] = l
		}
	}
	for _, name := range strings.Split(p["controller.listener.names"], ",") {
		name = strings.ToUpper(strings.TrimSpace(name))
		l, ok := listeners[name]
		if !ok {
			return nil, failf("Cannot find information about controller listener name: %s", name)
		}
		e := kmsg.NewAddRaftVoterRequestListener()
		if e.Name, e.Host, e.Port = name, l.Host, uint16(l.Port); e.Host == "" {
			e.Host = "localhost"
		}
		req.Listeners = append(req.Listeners, e)
	}
	return req, nil
}

// directoryID reads the id of a directory that has been formatted.
func directoryID(dir string) (id [16]byte, err error) {
	meta, err := loadProperties(filepath.Join(dir, "meta.properties"))
	if err != nil {
		return id, failf("Unable to read meta.properties from %s", dir)
	}
	if meta["directory.id"] == "" {
		return id, failf("No directory id found in %s", dir)
	}
	return parseUUID(meta["directory.id"])
}
