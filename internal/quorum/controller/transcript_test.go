package controller

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

var update = flag.Bool("update", false, "write what the machine answers into testdata")

// TestTranscripts plays the scripts of testdata: a request per line, then what the machine answers, each line of it
// behind "> ". Every change is applied to the image before the next request.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("the machine answers otherwise; compare with go test -update and git diff:\n%s", got)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	t.Helper()
	w := newWorld(t, Config{})
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, answer := range w.run(strings.Fields(line)) {
			fmt.Fprintln(&out, "> "+answer)
		}
	}
	return out.String()
}

// world is a machine with the image that it works on.
type world struct {
	t     *testing.T
	m     *Machine
	img   *cluster.Image
	nowMs int64
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	var n uint64
	cfg.Rand = func() uint64 { n++; return n }
	cfg.NumPartitions = max(cfg.NumPartitions, 1)
	return &world{t: t, m: New(cfg), img: cluster.NewImage("c"), nowMs: 1_000_000}
}

// do handles a request and applies its changes.
func (w *world) do(req kmsg.Request) (kmsg.Response, []cluster.Change) {
	w.t.Helper()
	resp, changes := w.m.Handle(w.nowMs, w.img, req)
	w.apply(changes)
	if resp.GetVersion() != req.GetVersion() {
		w.t.Fatalf("version %d of the reply to version %d", resp.GetVersion(), req.GetVersion())
	}
	return resp, changes
}

func (w *world) apply(changes []cluster.Change) {
	w.t.Helper()
	if len(changes) == 0 {
		return
	}
	encoded := cluster.AppendChanges(nil, changes)
	parsed, err := cluster.ParseChanges(encoded)
	if err != nil {
		w.t.Fatal(err)
	}
	img, _, err := w.img.Apply(parsed, w.img.Offset()+1, 1)
	if err != nil {
		w.t.Fatalf("the machine's own changes do not fit: %v", err)
	}
	w.img = img
}

// arguments are key=value pairs; a key alone is "true".
type arguments map[string]string

func (a arguments) number(key string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(a[key], 10, 64); err == nil {
		return n
	}
	return otherwise
}

func (a arguments) list(key string) []string {
	if a[key] == "" {
		return nil
	}
	return strings.Split(a[key], ",")
}

func (w *world) run(words []string) []string {
	args := make(arguments)
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			value = "true"
		}
		args[key] = value
	}
	switch words[0] {
	case "clock":
		w.nowMs += args.number("ms", 0)
		return nil
	case "machine": // a new one, as after the controller has changed
		cfg := w.m.cfg
		cfg.FlushOS, cfg.RebalanceMs = args["flushos"] != "", args.number("rebalance", 300_000)
		cfg.Rebalance = args["rebalance"] != ""
		w.m = New(cfg)
		return nil
	case "tick":
		return w.tick()
	case "lost":
		w.m.Lost(w.nowMs, w.img, cluster.NodeID(args.number("id", 0)), args.number("epoch", 0), args.number("silent", 0))
		return nil
	case "elected":
		w.m.Elected()
		return nil
	case "image":
		return w.describeImage()
	case "register":
		return w.register(args)
	case "heartbeat":
		return w.heartbeat(args)
	case "unregister":
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = int32(args.number("id", 0))
		resp, changes := w.do(req)
		r := resp.(*kmsg.UnregisterBrokerResponse)
		return append([]string{outcome(r.ErrorCode, r.ErrorMessage)}, describeChanges(w.img, changes)...)
	case "producer-ids":
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID, req.BrokerEpoch = int32(args.number("id", 0)), args.number("epoch", 0)
		resp, _ := w.do(req)
		r := resp.(*kmsg.AllocateProducerIDsResponse)
		return []string{fmt.Sprintf("%s %d+%d", outcome(r.ErrorCode, nil), r.ProducerIDStart, r.ProducerIDLen)}
	case "isr":
		return w.isr(args)
	case "reassign":
		return w.reassign(words[1], args["keep"] != "")
	case "list":
		return w.list()
	case "elect":
		return w.elect(args)
	case "fence":
		b, _ := w.img.Broker(cluster.NodeID(args.number("id", 0)))
		changes := w.m.fence(w.img, b)
		w.apply(changes)
		return describeChanges(w.img, changes)
	case "create":
		return w.create(args)
	case "delete":
		return w.delete(args)
	case "partitions":
		return w.partitions(args)
	case "alter":
		return w.alter(args)
	case "replace":
		return w.replace(args)
	}
	w.t.Fatalf("unknown command %q", words[0])
	return nil
}

func outcome(code int16, message *string) string {
	s := "OK"
	if code != 0 {
		s = wire.Error(code).Name()
	}
	if message != nil {
		s += ": " + *message
	}
	return s
}

func (w *world) tick() []string {
	var answers []string
	for {
		changes, more := w.m.Tick(w.nowMs, w.img)
		answers = append(answers, describeChanges(w.img, changes)...)
		w.apply(changes)
		if !more {
			return answers
		}
	}
}

func (w *world) register(args arguments) []string {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID = int32(args.number("id", 0))
	req.ClusterID = "c"
	if args["cluster"] != "" {
		req.ClusterID = args["cluster"]
	}
	req.IncarnationID = [16]byte{byte(args.number("run", 1))}
	if rack, ok := args["rack"]; ok {
		req.Rack = &rack
	}
	for _, dir := range nodes(args["dirs"]) {
		req.LogDirs = append(req.LogDirs, [16]byte{byte(dir)})
	}
	req.PreviousBrokerEpoch = args.number("previous", -1)
	if _, ok := args["last"]; ok {
		SetLastEpoch(req, args.number("last", -1))
	}
	if mode, ok := args["flush"]; ok {
		SetFlushOS(req, mode == "os")
	}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "localhost", 9092
	if args["listeners"] != "none" {
		req.Listeners = append(req.Listeners, l)
	}
	resp, changes := w.do(req)
	r := resp.(*kmsg.BrokerRegistrationResponse)
	head := fmt.Sprintf("%s epoch %d", outcome(r.ErrorCode, nil), r.BrokerEpoch)
	return append([]string{head}, describeChanges(w.img, changes)...)
}

func (w *world) heartbeat(args arguments) []string {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch = int32(args.number("id", 0)), args.number("epoch", 0)
	req.CurrentMetadataOffset = args.number("offset", w.img.Offset())
	if dirs, ok := args["cordoned"]; ok {
		req.Version, req.CordonedLogDirs = 2, [][16]byte{}
		for _, dir := range nodes(dirs) {
			req.CordonedLogDirs = append(req.CordonedLogDirs, [16]byte{byte(dir)})
		}
	}
	req.WantFence, req.WantShutdown = args["fence"] != "", args["shutdown"] != ""
	resp, changes := w.do(req)
	r := resp.(*kmsg.BrokerHeartbeatResponse)
	head := outcome(r.ErrorCode, nil)
	if r.IsFenced {
		head += " fenced"
	}
	if r.ShouldShutdown {
		head += " may stop"
	}
	return append([]string{head}, describeChanges(w.img, changes)...)
}

// reassign takes partitions as topic-index=replicas, "none" to call it off.
func (w *world) reassign(moves string, keep bool) []string {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version, req.AllowReplicationFactorChange = 1, !keep
	for _, move := range strings.Split(moves, ",") {
		where, replicas, _ := strings.Cut(move, "=")
		topic, index, _ := strings.Cut(where, "-")
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		n, _ := strconv.Atoi(index)
		p.Partition = int32(n)
		if replicas != "none" {
			p.Replicas = append([]int32{}, nodes(replicas)...)
		}
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, t := range resp.(*kmsg.AlterPartitionAssignmentsResponse).Topics {
		for _, p := range t.Partitions {
			answers = append(answers, fmt.Sprintf("%s-%d %s", t.Topic, p.Partition, outcome(p.ErrorCode, p.ErrorMessage)))
		}
	}
	return append(answers, describeChanges(w.img, changes)...)
}

func (w *world) list() []string {
	resp, _ := w.do(kmsg.NewPtrListPartitionReassignmentsRequest())
	var lines []string
	for _, t := range resp.(*kmsg.ListPartitionReassignmentsResponse).Topics {
		for _, p := range t.Partitions {
			lines = append(lines, fmt.Sprintf("%s-%d replicas=%v adding=%v removing=%v", t.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas))
		}
	}
	return lines
}

// elect asks for an election: of all partitions, or of one.
func (w *world) elect(args arguments) []string {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.ElectionType = 2, int8(args.number("type", 0))
	if args["unclean"] != "" {
		req.ElectionType = uncleanElection
	}
	if name := args["topic"]; name != "" {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = name, nodes(args["p"])
		req.Topics = append(req.Topics, t)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, t := range resp.(*kmsg.ElectLeadersResponse).Topics {
		for _, p := range t.Partitions {
			answers = append(answers, fmt.Sprintf("%s-%d %s", t.Topic, p.Partition, outcome(p.ErrorCode, p.ErrorMessage)))
		}
	}
	return append(answers, describeChanges(w.img, changes)...)
}

// isr asks for another in-sync set: p is the partition, le and pe are its epochs.
func (w *world) isr(args arguments) []string {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = int16(args.number("version", 3))
	req.BrokerID, req.BrokerEpoch = int32(args.number("id", 0)), args.number("epoch", 0)
	p := kmsg.NewAlterPartitionRequestTopicPartition()
	p.Partition, p.LeaderEpoch, p.PartitionEpoch = int32(args.number("p", 0)), int32(args.number("le", 0)), int32(args.number("pe", 0))
	p.NewISR = nodes(args["isr"])
	epochs := nodes(args["epochs"])
	for i, id := range p.NewISR {
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID = id
		if epochs != nil {
			m.BrokerEpoch = int64(epochs[i])
		}
		p.NewEpochISR = append(p.NewEpochISR, m)
	}
	if args["recovering"] != "" {
		p.LeaderRecoveryState = 1
	}
	t := kmsg.NewAlterPartitionRequestTopic()
	t.TopicID = cluster.UUID{99}
	if topic, ok := w.img.Topic(args["topic"]); ok {
		t.TopicID = topic.ID
	}
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, changes := w.do(req)
	r := resp.(*kmsg.AlterPartitionResponse)
	if r.ErrorCode != 0 {
		return []string{outcome(r.ErrorCode, nil)}
	}
	rp := r.Topics[0].Partitions[0]
	line := outcome(rp.ErrorCode, nil)
	if rp.ErrorCode == 0 {
		line += fmt.Sprintf(" leader=%d isr=%v epochs=%d,%d", rp.LeaderID, rp.ISR, rp.LeaderEpoch, rp.PartitionEpoch)
	}
	return append([]string{line}, describeChanges(w.img, changes)...)
}

func (w *world) create(args arguments) []string {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = int16(args.number("version", 7))
	req.ValidateOnly = args["validate"] != ""
	for _, name := range strings.Split(args["name"], ",") {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic = strings.ReplaceAll(name, "x249", strings.Repeat("x", 249))
		t.NumPartitions = int32(args.number("n", -1))
		t.ReplicationFactor = int16(args.number("rf", -1))
		for i, replicas := range args.list("assign") {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition = int32(i)
			if args["gap"] != "" {
				a.Partition += 1
			}
			if args["twice"] != "" {
				a.Partition = 0
			}
			a.Replicas = nodes(replicas)
			t.ReplicaAssignment = append(t.ReplicaAssignment, a)
		}
		for _, pair := range args.list("config") {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			key, value, ok := strings.Cut(pair, ":")
			c.Name = key
			if ok {
				c.Value = &value
			}
			t.Configs = append(t.Configs, c)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, r := range resp.(*kmsg.CreateTopicsResponse).Topics {
		line := short(r.Topic) + " " + outcome(r.ErrorCode, r.ErrorMessage)
		if r.ErrorCode == 0 {
			line += fmt.Sprintf(" n=%d rf=%d", r.NumPartitions, r.ReplicationFactor)
			for _, c := range r.Configs {
				if _, asked := args["config"]; asked && c.Source == 1 {
					line += fmt.Sprintf(" %s=%s", c.Name, *c.Value)
				}
			}
		}
		answers = append(answers, short(line))
	}
	return append(answers, describeChanges(w.img, changes)...)
}

// short keeps long names out of the scripts.
func short(s string) string { return strings.ReplaceAll(s, strings.Repeat("x", 249), "x249") }

func nodes(s string) []int32 {
	var list []int32
	for _, id := range strings.FieldsFunc(s, func(r rune) bool { return r == '-' }) {
		n, _ := strconv.Atoi(id)
		list = append(list, int32(n))
	}
	return list
}

func (w *world) delete(args arguments) []string {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = int16(args.number("version", 6))
	for _, name := range args.list("name") {
		req.TopicNames = append(req.TopicNames, name)
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	for _, name := range args.list("id") {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.TopicID = [16]byte{9}
		if topic, ok := w.img.Topic(name); ok {
			t.TopicID = topic.ID
		} else if name == "both" {
			t.Topic = &name
		} else if name == "neither" {
			t.TopicID = [16]byte{}
		}
		req.Topics = append(req.Topics, t)
	}
	before := w.img
	resp, changes := w.do(req)
	var answers []string
	for _, r := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		name := "(no name)"
		if r.Topic != nil {
			name = *r.Topic
		}
		answers = append(answers, name+" "+outcome(r.ErrorCode, r.ErrorMessage))
	}
	return append(answers, describeChanges(before, changes)...)
}

func (w *world) partitions(args arguments) []string {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.ValidateOnly = args["validate"] != ""
	for _, name := range args.list("name") {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = name, int32(args.number("count", 0))
		for _, replicas := range args.list("assign") {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			a.Replicas = nodes(replicas)
			t.Assignment = append(t.Assignment, a)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, r := range resp.(*kmsg.CreatePartitionsResponse).Topics {
		answers = append(answers, r.Topic+" "+outcome(r.ErrorCode, r.ErrorMessage))
	}
	return append(answers, describeChanges(w.img, changes)...)
}

var resourceKinds = map[string]kmsg.ConfigResourceType{
	"topic": kmsg.ConfigResourceTypeTopic, "broker": kmsg.ConfigResourceTypeBroker,
	"logger": kmsg.ConfigResourceTypeBrokerLogger,
}

var operations = map[byte]kmsg.IncrementalAlterConfigOp{'=': 0, '!': 1, '+': 2, '-': 3}

// alter takes resources as kind/name and operations as key, ':', operator, value.
func (w *world) alter(args arguments) []string {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = args["validate"] != ""
	for _, resource := range args.list("of") {
		kind, name, _ := strings.Cut(resource, "/")
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = resourceKinds[kind], name
		for _, op := range args.list("ops") {
			key, value, _ := strings.Cut(op, ":")
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op = key, operations[value[0]]
			if len(value) > 1 {
				c.Value = new(strings.ReplaceAll(value[1:], ";", ","))
			}
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, r := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		answers = append(answers, r.ResourceName+" "+outcome(r.ErrorCode, r.ErrorMessage))
	}
	return append(answers, describeChanges(w.img, changes)...)
}

func (w *world) replace(args arguments) []string {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.ValidateOnly = args["validate"] != ""
	for _, resource := range args.list("of") {
		kind, name, _ := strings.Cut(resource, "/")
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = resourceKinds[kind], name
		for _, pair := range args.list("config") {
			key, value, ok := strings.Cut(pair, ":")
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name = key
			if ok {
				c.Value = &value
			}
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	resp, changes := w.do(req)
	var answers []string
	for _, r := range resp.(*kmsg.AlterConfigsResponse).Resources {
		answers = append(answers, r.ResourceName+" "+outcome(r.ErrorCode, r.ErrorMessage))
	}
	return append(answers, describeChanges(w.img, changes)...)
}

func (w *world) describeImage() []string {
	var lines []string
	for _, b := range w.img.Brokers() {
		lines = append(lines, fmt.Sprintf("broker %d epoch %d fenced=%v draining=%v", b.ID, b.Epoch, b.Fenced, b.Draining))
	}
	for t := range w.img.Topics() {
		lines = append(lines, fmt.Sprintf("topic %s internal=%v %v", t.Name, t.Internal, t.Config))
		for i, p := range t.Partitions {
			lines = append(lines, fmt.Sprintf("  %d %s", i, describePartition(p)))
		}
	}
	for _, r := range w.img.ConfiguredResources() {
		lines = append(lines, fmt.Sprintf("config %d/%s %v", r.Type, r.Name, w.img.Config(r)))
	}
	return lines
}

func describePartition(p cluster.Partition) string {
	text := fmt.Sprintf("replicas=%v isr=%v leader=%d epochs=%d,%d", p.Replicas, p.ISR, p.Leader, p.LeaderEpoch, p.PartitionEpoch)
	for _, more := range []struct {
		name string
		list []cluster.NodeID
	}{{"adding", p.Adding}, {"removing", p.Removing}, {"elr", p.ELR}, {"lastknown", p.LastKnownELR}} {
		if len(more.list) > 0 {
			text += fmt.Sprintf(" %s=%v", more.name, more.list)
		}
	}
	if p.UncleanEpoch > 0 {
		text += fmt.Sprintf(" unclean=%d", p.UncleanEpoch)
	}
	if p.Recovering {
		text += " recovering"
	}
	return text
}

// describeChanges prints changes with the names that img has for ids.
func describeChanges(img *cluster.Image, changes []cluster.Change) []string {
	var lines []string
	for _, c := range changes {
		switch c := c.(type) {
		case cluster.RegisterBroker:
			lost := [...]string{"", " lost what was not flushed", " lost all"}[c.Lost]
			lines = append(lines, fmt.Sprintf("+ register %d rack=%q fenced=%v%s", c.Broker.ID, c.Broker.Rack, c.Broker.Fenced, lost))
		case cluster.SetBrokerState:
			line := fmt.Sprintf("+ broker %d fenced=%v draining=%v", c.ID, c.Fenced, c.Draining)
			if c.Cordoned {
				line += " cordoned"
			}
			lines = append(lines, line)
		case cluster.UnregisterBroker:
			lines = append(lines, fmt.Sprintf("+ unregister %d", c.ID))
		case cluster.CreateTopic:
			lines = append(lines, fmt.Sprintf("+ create %s internal=%v", short(c.Topic.Name), c.Topic.Internal))
			for i, p := range c.Topic.Partitions[:min(len(c.Topic.Partitions), 8)] {
				lines = append(lines, fmt.Sprintf("+   %d %s", i, describePartition(p)))
			}
			for _, key := range slices.Sorted(maps.Keys(c.Topic.Config)) {
				lines = append(lines, fmt.Sprintf("+   %s=%s", key, c.Topic.Config[key]))
			}
		case cluster.ClearELR:
			name := "all topics"
			if t, ok := img.TopicByID(c.TopicID); ok {
				name = t.Name
			}
			lines = append(lines, "+ nobody is eligible of "+name)
		case cluster.DeleteTopic:
			t, _ := img.TopicByID(c.ID)
			lines = append(lines, "+ delete "+t.Name)
		case cluster.CreatePartitions:
			t, _ := img.TopicByID(c.TopicID)
			for i, p := range c.Partitions {
				lines = append(lines, fmt.Sprintf("+ partition %s-%d %s", t.Name, int(c.First)+i, describePartition(p)))
			}
		case cluster.ChangePartition:
			t, _ := img.TopicByID(c.TopicID)
			lines = append(lines, fmt.Sprintf("+ change %s-%d %s", t.Name, c.Index, describePartition(c.Partition)))
		case cluster.SetConfig:
			value := "removed"
			if c.Value != nil {
				value = *c.Value
			}
			lines = append(lines, fmt.Sprintf("+ config %d/%s %s=%s", c.Resource.Type, c.Resource.Name, c.Key, value))
		}
	}
	return lines
}
