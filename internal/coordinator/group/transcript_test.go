package group

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var rewrite = flag.Bool("rewrite", false, "write what the transcripts in testdata give now into them")

// TestTranscripts runs testdata/*.txt. A step is one line, followed by a line "----" and what the machine answered:
//
//	a1: join g client=a protocols=range[t]     a request, named a1; repeated replies carry the name
//	wait 3s                                     time passes, deadlines are handled one by one
//	restart                                     a new machine loads the log
//
// Replies read "a1 <- ...", records "log: ...". Each script begins with a fresh machine at time 0.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript()
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		var want string
		block, want, _ = strings.Cut(block, "\n----")
		out.WriteString(block + "\n----\n")
		lines := strings.Split(block, "\n")
		got := s.run(t, lines[len(lines)-1])
		if got != strings.TrimPrefix(want, "\n") && !*rewrite {
			t.Errorf("%s\ngot:\n%s\nwant:%s", block, got, want)
		}
		out.WriteString(got)
		if got != "" {
			out.WriteString("\n")
		}
		out.WriteString("\n")
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(out.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type script struct {
	machine *Machine
	cfg     Config
	now     time.Time
	log     []Record
	names   map[uint64]string
	out     []string
}

func newScript() *script {
	s := &script{now: time.UnixMilli(0), names: make(map[uint64]string)}
	ids := 0
	s.cfg = Config{NewID: func() string { ids++; return strconv.Itoa(ids) }}
	s.restart(nil)
	return s
}

func (s *script) restart(t *testing.T) {
	s.machine = New(s.cfg)
	for _, r := range s.log {
		if err := s.machine.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	s.machine.Loaded(s.now)
}

func (s *script) run(t *testing.T, line string) string {
	s.out = nil
	name, rest, isRequest := strings.Cut(line, ": ")
	words := strings.Fields(line)
	switch {
	case isRequest:
		s.request(t, name, strings.Fields(rest))
	case words[0] == "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.wait(t, s.now.Add(d))
	case words[0] == "restart":
		s.restart(t)
	case words[0] == "config":
		s.configure(t, fields(words[1:]))
	case words[0] == "drop-topic":
		s.apply(t, s.machine.DropTopics(func(topic string, id [16]byte) bool {
			return topic == words[1] && (len(words) < 3 || id == topicID(words[2]))
		}))
	default:
		t.Fatalf("what is %q?", line)
	}
	return strings.Join(s.out, "\n")
}

func (s *script) configure(t *testing.T, f map[string]string) {
	s.cfg.SizeMax, _ = strconv.Atoi(f["size"])
	s.cfg.RecordBytesMax, _ = strconv.Atoi(f["record"])
	s.cfg.SessionTimeoutMin, s.cfg.SessionTimeoutMax = milliseconds(f["session-min"]), milliseconds(f["session-max"])
	if f["delay"] == "none" {
		s.cfg.InitialRebalanceDelay = -1
	}
	s.restart(t)
}

func milliseconds(text string) time.Duration {
	n, _ := strconv.Atoi(text)
	return time.Duration(n) * time.Millisecond
}

func (s *script) wait(t *testing.T, until time.Time) {
	for {
		at, ok := s.machine.Deadline()
		if !ok || at.After(until) {
			break
		}
		s.now = at
		before := len(s.out)
		s.apply(t, s.machine.Expire(at))
		for i := before; i < len(s.out); i++ {
			s.out[i] = fmt.Sprintf("%v: %s", time.Duration(at.UnixMilli())*time.Millisecond, s.out[i])
		}
	}
	s.now = until
}

func (s *script) apply(t *testing.T, r Result) {
	for _, rec := range r.Records {
		if err := s.machine.Replay(rec.Key, rec.Value); err != nil {
			t.Fatal(err)
		}
		s.log = append(s.log, rec)
		s.out = append(s.out, "log: "+describeRecord(t, rec))
	}
	for _, reply := range r.Replies {
		s.out = append(s.out, s.names[reply.ID]+" <- "+describeReply(reply.Response))
		delete(s.names, reply.ID)
	}
}

func (s *script) request(t *testing.T, name string, words []string) {
	for _, running := range s.names {
		if running == name {
			t.Fatalf("%s has not been answered yet", name)
		}
	}
	id := uint64(1)
	for s.names[id] != "" {
		id++
	}
	s.names[id] = name
	f := fields(words[1:])
	c := Call{ID: id, Client: Client{ID: f["client"], Host: "127.0.0.1"}, Request: request(t, words[0], words[1], f)}
	s.apply(t, s.machine.Handle(s.now, c))
	if s.names[id] != "" {
		s.out = append(s.out, "parked")
	}
}

// fields splits key=value words.
func fields(words []string) map[string]string {
	f := make(map[string]string)
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		f[k] = v
	}
	return f
}

func number(f map[string]string, key string, def int64) int64 {
	if v, err := strconv.ParseInt(f[key], 10, 64); err == nil {
		return v
	}
	return def
}

func request(t *testing.T, kind, groupID string, f map[string]string) kmsg.Request {
	if groupID == `""` {
		groupID = ""
	}
	var instance *string
	if v, ok := f["instance"]; ok {
		instance = &v
	}
	generation := int32(number(f, "gen", -1))
	switch kind {
	case "join":
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version = int16(number(f, "v", 3))
		req.Group, req.MemberID, req.InstanceID = groupID, f["member"], instance
		req.ProtocolType = "consumer"
		if v, ok := f["type"]; ok {
			req.ProtocolType = v
		}
		req.SessionTimeoutMillis = int32(number(f, "session", 10_000))
		req.RebalanceTimeoutMillis = int32(number(f, "rebalance", 60_000))
		for _, p := range strings.Fields(strings.ReplaceAll(f["protocols"], ";", " ")) {
			pn, topics, _ := strings.Cut(strings.TrimSuffix(p, "]"), "[")
			req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: pn, Metadata: subscribeTo(topics)})
		}
		return req
	case "sync":
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = groupID, f["member"], instance, generation
		if p, ok := f["protocol"]; ok {
			req.Protocol = &p
		}
		for _, a := range strings.Fields(strings.ReplaceAll(f["assign"], ";", " ")) {
			member, what, _ := strings.Cut(a, ":")
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: member, MemberAssignment: []byte(what)})
		}
		return req
	case "heartbeat":
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = groupID, f["member"], instance, generation
		return req
	case "leave":
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version = int16(number(f, "v", 0))
		req.Group, req.MemberID = groupID, f["member"]
		for _, m := range strings.Fields(strings.ReplaceAll(f["members"], ";", " ")) {
			one := kmsg.NewLeaveGroupRequestMember()
			var inst string
			var has bool
			if one.MemberID, inst, has = strings.Cut(m, "@"); has {
				one.InstanceID = &inst
			}
			req.Members = append(req.Members, one)
		}
		return req
	}
	return offsetRequest(t, kind, groupID, f)
}

func offsetRequest(t *testing.T, kind, groupID string, f map[string]string) kmsg.Request {
	topic, partition, _ := strings.Cut(f["tp"], "-")
	part, _ := strconv.Atoi(partition)
	switch kind {
	case "commit":
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version = int16(number(f, "v", 8))
		req.Group, req.MemberID, req.Generation = groupID, f["member"], int32(number(f, "gen", -1))
		req.RetentionTimeMillis = number(f, "retention", -1)
		if instance, ok := f["instance"]; ok {
			req.InstanceID = &instance
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Timestamp = int32(part), number(f, "offset", 0), number(f, "timestamp", -1)
		if md, ok := f["metadata"]; ok {
			p.Metadata = &md
		}
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, TopicID: topicID(f["id"]), Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
		return req
	case "fetch":
		req := kmsg.NewPtrOffsetFetchRequest()
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = groupID
		if topic != "" {
			one.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, TopicID: topicID(f["id"]), Partitions: []int32{int32(part)}}}
		}
		req.Groups = append(req.Groups, one)
		return req
	case "delete-offset":
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = groupID
		req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: int32(part)}}}}
		return req
	case "describe":
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Version = int16(number(f, "v", 5))
		req.Groups = []string{groupID}
		return req
	case "delete":
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = strings.Split(groupID, ",")
		return req
	case "list":
		req := kmsg.NewPtrListGroupsRequest()
		req.StatesFilter = strings.Fields(f["states"])
		req.TypesFilter = strings.Fields(f["types"])
		return req
	}
	t.Fatalf("what is %q?", kind)
	return nil
}

func topicID(s string) (id [16]byte) {
	copy(id[:], s)
	return id
}

// subscribeTo encodes version 0 of the consumer protocol's subscription; "?" is what nobody can read.
func subscribeTo(topics string) []byte {
	if topics == "?" {
		return []byte("?")
	}
	list := strings.FieldsFunc(topics, func(r rune) bool { return r == ',' })
	b := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(len(list)))
	for _, topic := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
		b = append(b, topic...)
	}
	return binary.BigEndian.AppendUint32(b, 0)
}

func errorName(code int16) string {
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "ok"
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
