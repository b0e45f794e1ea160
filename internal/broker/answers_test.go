package broker

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// What is asked for wrongly, or of something that is not there, is answered as Kafka answers it.
func TestAnswersAreKafkas(t *testing.T) {
	n := start(t, "offsets.topic.num.partitions", "50")
	prepare := []kmsg.Request{
		createTopics(newTopicOf("here", 2, 1), newTopicOf("cut", 1, 1)),
		produceAt("here", 0, 1000), produceAt("here", 0, 3000), produceAt("here", 0, 2000), produceAt("cut", 0, 1000), produceAt("cut", 0, 2000),
	}
	questions := slices.Concat(createTopicsQuestions(), partitionQuestions(), recordQuestions(),
		groupQuestions(), memberQuestions(), commitQuestions(), fetchQuestions(), otherQuestions())
	for i := range questions {
		if d, ok := differences[questions[i].name]; ok {
			questions[i].ours, questions[i].why = d.ours, d.why
		}
		if q := &questions[i]; !strings.HasPrefix(q.name, "Create") && !strings.HasPrefix(q.name, "Incr") {
			q.ignore = alsoTexts(q.ignore) // our own words
		}
	}
	compareWithKafka(t, n, "answers", prepare, questions)
}

// differences are what is answered otherwise than by Kafka, and why.
var differences = map[string]struct {
	why  string
	ours func(kmsg.Response)
}{
	"CreateTopics: a name that collides": {"Kafka looks only at topics that it had before", func(r kmsg.Response) {
		t := &r.(*kmsg.CreateTopicsResponse).Topics[1]
		t.ErrorCode, t.ErrorMessage = wire.InvalidTopicException.Code(), kmsg.StringPtr("Topic 'he_re' collides with existing topic: he.re")
		t.NumPartitions, t.ReplicationFactor = -1, -1
	}},
	"CreatePartitions: unknown": {"an error with a message", func(r kmsg.Response) {
		r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorMessage = kmsg.StringPtr(wire.UnknownTopicOrPartition.Message())
	}},
	"DescribeConfigs: client metrics": {"there are none to configure", func(r kmsg.Response) {
		c := &r.(*kmsg.DescribeConfigsResponse).Resources[0]
		c.ErrorCode, c.Configs = wire.InvalidRequest.Code(), nil
	}},
	"IncrementalAlterConfigs: an unknown operation": {"Kafka fails on it", func(r kmsg.Response) {
		c := &r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
		c.ErrorCode, c.ErrorMessage = wire.InvalidRequest.Code(), kmsg.StringPtr("Unknown operations type 9")
	}},
	"IncrementalAlterConfigs: an unknown broker": {"any broker may be asked, not only the one that is changed", func(r kmsg.Response) {
		c := &r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
		c.ErrorCode, c.ErrorMessage = wire.BrokerIDNotRegistered.Code(), kmsg.StringPtr("No broker with id 9 found.")
	}},
	"ListOffsets: twice": {"each mention is answered", func(r kmsg.Response) {
		t := &r.(*kmsg.ListOffsetsResponse).Topics[0]
		t.Partitions = []kmsg.ListOffsetsResponseTopicPartition{t.Partitions[1], t.Partitions[0], t.Partitions[1]}
	}},
	"DeleteGroups: twice": {"each mention is answered", func(r kmsg.Response) {
		g := r.(*kmsg.DeleteGroupsResponse)
		g.Groups = append(g.Groups, g.Groups[0])
	}},
	"DeleteTopics: twice": {"each mention is answered", func(r kmsg.Response) {
		d := r.(*kmsg.DeleteTopicsResponse)
		d.Topics = append(d.Topics, d.Topics[0])
	}},
	"Produce: a partition twice": {"Kafka keeps one of the batches and drops the other silently; both are appended here", func(r kmsg.Response) {
		t := &r.(*kmsg.ProduceResponse).Topics[0]
		t.Partitions = append(t.Partitions, t.Partitions[0])
		t.Partitions[1].BaseOffset = 1
	}},
}

// alsoTexts makes an ignore function that clears messages as well.
func alsoTexts(ignore func(kmsg.Response)) func(kmsg.Response) {
	return func(r kmsg.Response) {
		if ignore != nil {
			ignore(r)
		}
		clearTexts(reflect.ValueOf(r))
	}
}

func clearTexts(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			clearTexts(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearTexts(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorMessage" {
				v.Field(i).SetZero()
			} else {
				clearTexts(v.Field(i))
			}
		}
	}
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) kmsg.Request {
	return with(7, func(r *kmsg.CreateTopicsRequest) { r.Topics = topics })
}

func newTopicOf(name string, partitions int32, replicas int16, keyValues ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for i := 0; i+1 < len(keyValues); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: keyValues[i], Value: &keyValues[i+1]})
	}
	return t
}

func assigned(name string, lists ...[]int32) kmsg.CreateTopicsRequestTopic {
	t := newTopicOf(name, -1, -1)
	for i, replicas := range lists {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: replicas})
	}
	return t
}

// produceAt is one record with a timestamp.
func produceAt(topic string, partition int32, timestamp int64) kmsg.Request {
	b := record.NewBuilder(record.BuilderOptions{})
	b.Append(record.Record{Timestamp: timestamp, Key: []byte("k"), Value: []byte("v")})
	return produceBatches(9, topic, [][]byte{b.Bytes()}, partition)
}

func produceBatches(version int16, topic string, batches [][]byte, partitions ...int32) kmsg.Request {
	return with(version, func(r *kmsg.ProduceRequest) {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = topic
		for i, index := range partitions {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = index, batches[i]
			t.Partitions = append(t.Partitions, p)
		}
		r.Acks, r.TimeoutMillis, r.Topics = -1, 5000, append(r.Topics, t)
	})
}

func createTopicsQuestions() []question {
	noIDs := func(r kmsg.Response) {
		for i := range r.(*kmsg.CreateTopicsResponse).Topics {
			t := &r.(*kmsg.CreateTopicsResponse).Topics[i]
			t.TopicID, t.Configs = [16]byte{}, nil
		}
		slices.SortFunc(r.(*kmsg.CreateTopicsResponse).Topics, func(a, b kmsg.CreateTopicsResponseTopic) int { return cmp.Compare(a.Topic, b.Topic) })
	}
	ask := func(name string, topics ...kmsg.CreateTopicsRequestTopic) question {
		return question{name: "CreateTopics: " + name, req: createTopics(topics...), ignore: noIDs}
	}
	list := []question{
		ask("existing", newTopicOf("here", 1, 1)),
		ask("no partitions", newTopicOf("new", 0, 1)),
		ask("negative partitions", newTopicOf("new", -2, 1)),
		ask("no replicas", newTopicOf("new", 1, 0)),
		ask("three replicas", newTopicOf("new", 1, 3)),
		ask("a bad name", newTopicOf("a/b", 1, 1)),
		ask("an empty name", newTopicOf("", 1, 1)),
		ask("a dot", newTopicOf(".", 1, 1)),
		ask("a long name", newTopicOf(strings.Repeat("a", 250), 1, 1)),
		ask("twice", newTopicOf("new", 1, 1), newTopicOf("new", 1, 1), newTopicOf("here", 1, 1)),
		ask("an unknown config", newTopicOf("new", 1, 1, "no.such", "1")),
		ask("a bad config", newTopicOf("new", 1, 1, "retention.ms", "x")),
		ask("an unknown broker", assigned("new", []int32{9})),
		ask("an empty assignment", assigned("new", []int32{})),
		ask("assignments of different lengths", assigned("new", []int32{1}, []int32{1, 1})),
		ask("a broker twice", assigned("new", []int32{1, 1})),
		ask("too many partitions", newTopicOf("new", 20000, 1)),
		ask("a name that collides", newTopicOf("he.re", 1, 1), newTopicOf("he_re", 1, 1)),
	}
	both := assigned("new", []int32{1})
	both.NumPartitions = 1
	gap := assigned("new", []int32{1}, []int32{1})
	gap.ReplicaAssignment[1].Partition = 2
	null := newTopicOf("new", 1, 1)
	null.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}
	list = append(list, ask("assignments and a number", both), ask("a gap in the assignments", gap), ask("a null config", null))
	only := createTopics(newTopicOf("new", 1, 1), newTopicOf("here", 1, 1)).(*kmsg.CreateTopicsRequest)
	only.ValidateOnly = true
	list = append(list, question{name: "CreateTopics: only validate", req: only, ignore: noIDs})
	deletes := func(name string, version int16, topics ...kmsg.DeleteTopicsRequestTopic) question {
		return question{name: "DeleteTopics: " + name, ignore: func(r kmsg.Response) {
			for i := range r.(*kmsg.DeleteTopicsResponse).Topics {
				if t := &r.(*kmsg.DeleteTopicsResponse).Topics[i]; t.TopicID != [16]byte{9} {
					t.TopicID = [16]byte{}
				}
			}
		}, req: with(version, func(r *kmsg.DeleteTopicsRequest) {
			r.Topics = topics
			for _, t := range topics {
				if version < 6 {
					r.TopicNames = append(r.TopicNames, *t.Topic)
				}
			}
		})}
	}
	named := func(name string) kmsg.DeleteTopicsRequestTopic {
		return kmsg.DeleteTopicsRequestTopic{Topic: &name}
	}
	return append(list,
		deletes("unknown", 6, named("gone")), deletes("unknown, v5", 5, named("gone")),
		deletes("an unknown id", 6, kmsg.DeleteTopicsRequestTopic{TopicID: [16]byte{9}}),
		deletes("neither", 6, kmsg.DeleteTopicsRequestTopic{}),
		deletes("twice", 6, named("here"), named("here")),
		deletes("both", 6, kmsg.DeleteTopicsRequestTopic{Topic: kmsg.StringPtr("here"), TopicID: [16]byte{9}}),
	)
}

func partitionQuestions() []question {
	add := func(name string, validate bool, topics ...kmsg.CreatePartitionsRequestTopic) question {
		return question{name: "CreatePartitions: " + name, req: with(3, func(r *kmsg.CreatePartitionsRequest) {
			r.Topics, r.ValidateOnly, r.TimeoutMillis = topics, validate, 5000
		})}
	}
	to := func(topic string, count int32, lists ...[]int32) kmsg.CreatePartitionsRequestTopic {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, count
		for _, list := range lists {
			t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: list})
		}
		return t
	}
	configs := func(name string, kind kmsg.ConfigResourceType, resource string, keys ...string) question {
		return question{name: "DescribeConfigs: " + name, req: with(4, func(r *kmsg.DescribeConfigsRequest) {
			r.IncludeSynonyms = true
			r.Resources = append(r.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kind, ResourceName: resource, ConfigNames: keys})
		})}
	}
	set := func(name string, kind kmsg.ConfigResourceType, resource string, changes ...kmsg.IncrementalAlterConfigsRequestResourceConfig) question {
		return question{name: "IncrementalAlterConfigs: " + name, req: with(1, func(r *kmsg.IncrementalAlterConfigsRequest) {
			r.Resources = append(r.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: resource, Configs: changes})
		})}
	}
	change := func(op kmsg.IncrementalAlterConfigOp, key, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
		return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Op: op, Value: &value}
	}
	const topic, node = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	return []question{
		add("fewer", false, to("here", 1)), add("as many", false, to("here", 2)), add("none", false, to("here", 0)),
		add("negative", false, to("here", -1)), add("unknown", false, to("gone", 3)), add("only validate", true, to("here", 3)),
		add("twice", false, to("here", 3), to("here", 4)), add("an unknown broker", false, to("here", 3, []int32{9})),
		add("too few assignments", false, to("here", 4, []int32{1})), add("other replicas", false, to("here", 3, []int32{1, 1})),
		configs("a key", topic, "here", "retention.ms"), configs("an unknown key", topic, "here", "no.such"),
		configs("an unknown topic", topic, "gone", "retention.ms"), configs("a bad topic", topic, "a/b", "retention.ms"),
		configs("an empty topic", topic, "", "retention.ms"),
		configs("a broker", node, "1", "compression.type"), configs("another broker", node, "9", "compression.type"),
		configs("no number", node, "x", "compression.type"), configs("the brokers' default", node, "", "compression.type"),
		configs("client metrics", kmsg.ConfigResourceTypeClientMetrics, "m", "interval.ms"),
		set("an unknown key", topic, "here", change(0, "no.such", "1")), set("a key twice", topic, "here", change(0, "retention.ms", "1"), change(0, "retention.ms", "2")),
		set("append to no list", topic, "here", change(2, "retention.ms", "1")), set("an unknown operation", topic, "here", change(9, "retention.ms", "1")),
		set("an unknown topic", topic, "gone", change(0, "retention.ms", "1")), set("an unknown broker", node, "9", change(0, "log.cleaner.threads", "1")),
		set("nothing", topic, "here"), set("null", topic, "here", kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "retention.ms"}),
	}
}

func recordQuestions() []question {
	deletes := func(name, topic string, offsets map[int32]int64) question {
		return question{name: "DeleteRecords: " + name, req: with(2, func(r *kmsg.DeleteRecordsRequest) {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = topic
			for p, offset := range offsets {
				t.Partitions = append(t.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: p, Offset: offset})
			}
			r.TimeoutMillis, r.Topics = 5000, append(r.Topics, t)
		})}
	}
	list := func(name string, version int16, isolation int8, timestamp int64, epoch int32, topic string, partitions ...int32) question {
		return question{name: "ListOffsets: " + name, req: with(version, func(r *kmsg.ListOffsetsRequest) {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = topic
			for _, index := range partitions {
				p := kmsg.NewListOffsetsRequestTopicPartition()
				p.Partition, p.Timestamp, p.CurrentLeaderEpoch, p.MaxNumOffsets = index, timestamp, epoch, 5
				t.Partitions = append(t.Partitions, p)
			}
			r.ReplicaID, r.IsolationLevel, r.TimeoutMillis, r.Topics = -1, isolation, 5000, append(r.Topics, t)
		}), ignore: func(r kmsg.Response) { noEpochs(r) }}
	}
	epochs := func(name string, current, epoch int32, topic string, partitions ...int32) question {
		return question{name: "OffsetForLeaderEpoch: " + name, req: with(4, func(r *kmsg.OffsetForLeaderEpochRequest) {
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = topic
			for _, index := range partitions {
				p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
				p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = index, current, epoch
				t.Partitions = append(t.Partitions, p)
			}
			r.ReplicaID, r.Topics = -1, append(r.Topics, t)
		}), ignore: noEpochs}
	}
	return []question{
		deletes("beyond the end", "cut", map[int32]int64{0: 3}), deletes("-2", "cut", map[int32]int64{0: -2}),
		deletes("an unknown partition", "cut", map[int32]int64{5: 0}), deletes("an unknown topic", "gone", map[int32]int64{0: 0}),
		deletes("one", "cut", map[int32]int64{0: 1}), deletes("less than before", "cut", map[int32]int64{0: 0}),
		deletes("all", "cut", map[int32]int64{0: -1}),
		list("latest", 10, 0, -1, -1, "here", 0), list("earliest", 10, 0, -2, -1, "cut", 0), list("largest timestamp", 10, 0, -3, -1, "here", 0),
		list("earliest local", 10, 0, -4, -1, "cut", 0), list("latest tiered", 10, 0, -5, -1, "here", 0), list("earliest pending upload", 11, 0, -6, -1, "here", 0),
		list("an unknown special", 11, 0, -7, -1, "here", 0), list("committed", 10, 1, -1, -1, "here", 0), list("largest timestamp of nothing", 10, 0, -3, -1, "here", 1),
		list("a timestamp", 10, 0, 1500, -1, "here", 0), list("a timestamp beyond", 10, 0, 5000, -1, "here", 0), list("zero", 10, 0, 0, -1, "here", 0),
		list("twice", 10, 0, -1, -1, "here", 0, 1, 0), list("an unknown partition", 10, 0, -1, -1, "here", 7), list("an unknown topic", 10, 0, -1, -1, "gone", 0),
		list("a newer epoch", 10, 0, -1, 99, "here", 0), list("largest timestamp before v7", 6, 0, -3, -1, "here", 0), list("earliest local before v8", 7, 0, -4, -1, "here", 0),
		list("v1", 1, 0, 1500, -1, "here", 0),
		epochs("0", -1, 0, "here", 0), epochs("a later one", -1, 50, "here", 0), epochs("a newer current one", 99, 0, "here", 0),
		epochs("an unknown topic", -1, 0, "gone", 0), epochs("an unknown partition", -1, 0, "here", 9), epochs("negative", -1, -1, "here", 0),
		epochs("twice", -1, 0, "here", 0, 0),
	}
}

// noEpochs clears leader epochs, which begin with another number here.
func noEpochs(r kmsg.Response) {
	switch r := r.(type) {
	case *kmsg.ListOffsetsResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].LeaderEpoch = min(r.Topics[i].Partitions[j].LeaderEpoch, 0)
			}
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].LeaderEpoch = min(r.Topics[i].Partitions[j].LeaderEpoch, 0)
			}
		}
	}
}

func groupQuestions() []question {
	find := func(name string, version int16, kind int8, keys ...string) question {
		return question{name: "FindCoordinator: " + name, req: with(version, func(r *kmsg.FindCoordinatorRequest) {
			r.CoordinatorType, r.CoordinatorKeys = kind, keys
			if version < 4 {
				r.CoordinatorKey = keys[0]
			}
		}), again: func(r kmsg.Response) bool {
			resp := r.(*kmsg.FindCoordinatorResponse)
			return wire.Error(resp.ErrorCode) == wire.CoordinatorNotAvailable ||
				len(resp.Coordinators) > 0 && wire.Error(resp.Coordinators[0].ErrorCode) == wire.CoordinatorNotAvailable
		}, ignore: func(r kmsg.Response) {
			resp := r.(*kmsg.FindCoordinatorResponse)
			resp.Host, resp.Port, resp.ErrorMessage = "", 0, nil
			for i := range resp.Coordinators {
				resp.Coordinators[i].Host, resp.Coordinators[i].Port, resp.Coordinators[i].ErrorMessage = "", 0, nil
			}
		}}
	}
	describe := func(name string, version int16, groups ...string) question {
		return question{name: "DescribeGroups: " + name, req: with(version, func(r *kmsg.DescribeGroupsRequest) { r.Groups = groups }),
			again: func(r kmsg.Response) bool { return loads(r.(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode) }}
	}
	list := func(name string, states, types []string) question {
		return question{name: "ListGroups: " + name, req: with(5, func(r *kmsg.ListGroupsRequest) { r.StatesFilter, r.TypesFilter = states, types }),
			again: func(r kmsg.Response) bool { return loads(r.(*kmsg.ListGroupsResponse).ErrorCode) }}
	}
	remove := func(name string, groups ...string) question {
		return question{name: "DeleteGroups: " + name, req: with(2, func(r *kmsg.DeleteGroupsRequest) { r.Groups = groups })}
	}
	return []question{
		find("of a group", 6, 0, "g"), find("several", 6, 0, "g", "h", ""), find("v0", 0, 0, "g"), find("v3, empty", 3, 0, ""), find("an unknown kind", 6, 9, "g"), find("none", 6, 0),
		describe("unknown", 6, "gone"), describe("unknown, v5", 5, "gone"), describe("an empty one", 6, ""),
		list("all", nil, nil), list("a state", []string{"Stable"}, nil), list("an unknown state", []string{"Wishful"}, nil),
		list("an unknown type", nil, []string{"Wishful"}), list("a type", nil, []string{"classic"}),
		remove("unknown", "gone"), remove("an empty one", ""), remove("twice", "gone", "gone"),
	}
}

// loads tells that a coordinator is not ready yet.
func loads(code int16) bool {
	switch wire.Error(code) {
	case wire.CoordinatorLoadInProgress, wire.CoordinatorNotAvailable, wire.NotCoordinator:
		return true
	}
	return false
}

func memberQuestions() []question {
	join := func(name string, fill func(*kmsg.JoinGroupRequest)) question {
		return question{name: "JoinGroup: " + name, req: with(9, func(r *kmsg.JoinGroupRequest) {
			r.Group, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = "g", 10_000, 10_000, "consumer"
			r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0}}}
			fill(r)
		}), ignore: func(r kmsg.Response) {
			resp := r.(*kmsg.JoinGroupResponse)
			resp.MemberID = resp.MemberID[:min(len(resp.MemberID), 5)] // ours and Kafka's begin with the client id
		}, again: func(r kmsg.Response) bool { return loads(r.(*kmsg.JoinGroupResponse).ErrorCode) }}
	}
	beat := func(name, group, member string, generation int32) question {
		return question{name: "Heartbeat: " + name, req: with(4, func(r *kmsg.HeartbeatRequest) { r.Group, r.MemberID, r.Generation = group, member, generation })}
	}
	sync := func(name, group, member string, generation int32) question {
		return question{name: "SyncGroup: " + name, req: with(5, func(r *kmsg.SyncGroupRequest) { r.Group, r.MemberID, r.Generation = group, member, generation })}
	}
	leave := func(name, group string, members ...string) question {
		return question{name: "LeaveGroup: " + name, req: with(5, func(r *kmsg.LeaveGroupRequest) {
			r.Group = group
			for _, m := range members {
				r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: m})
			}
		})}
	}
	return []question{
		join("without a member id", func(*kmsg.JoinGroupRequest) {}),
		join("an unknown member", func(r *kmsg.JoinGroupRequest) { r.MemberID = "who" }),
		join("an empty group", func(r *kmsg.JoinGroupRequest) { r.Group = "" }),
		join("a short session", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 5999 }),
		join("a long session", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1_800_001 }),
		join("no protocols", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }),
		join("no type", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }),
		join("an instance with a member id", func(r *kmsg.JoinGroupRequest) { r.InstanceID, r.MemberID = kmsg.StringPtr("i"), "who" }),
		beat("unknown", "gone", "m", 1), beat("an empty group", "", "m", 1),
		sync("unknown", "gone", "m", 1), sync("an empty group", "", "m", 1),
		leave("unknown", "gone", "m"), leave("an empty group", "", "m"), leave("nobody", "gone"), leave("twice", "gone", "m", "m"),
	}
}

func commitQuestions() []question {
	commit := func(name string, fill func(*kmsg.OffsetCommitRequest), topic string, partitions ...int32) question {
		return question{name: "OffsetCommit: " + name, req: with(9, func(r *kmsg.OffsetCommitRequest) {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = topic
			for _, index := range partitions {
				p := kmsg.NewOffsetCommitRequestTopicPartition()
				p.Partition, p.Offset, p.Metadata = index, 5, kmsg.StringPtr("note")
				t.Partitions = append(t.Partitions, p)
			}
			r.Group, r.Generation, r.Topics = "c", -1, append(r.Topics, t)
			fill(r)
		}), ignore: func(r kmsg.Response) {
			for _, t := range r.(*kmsg.OffsetCommitResponse).Topics {
				slices.SortStableFunc(t.Partitions, func(a, b kmsg.OffsetCommitResponseTopicPartition) int { return int(a.Partition - b.Partition) })
			}
		}}
	}
	plain := func(*kmsg.OffsetCommitRequest) {}
	fetch := func(name string, version int16, stable bool, groups ...kmsg.OffsetFetchRequestGroup) question {
		return question{name: "OffsetFetch: " + name, req: with(version, func(r *kmsg.OffsetFetchRequest) {
			r.RequireStable = stable
			if version >= 8 {
				r.Groups = groups
				return
			}
			r.Group = groups[0].Group
			for _, t := range groups[0].Topics {
				r.Topics = append(r.Topics, kmsg.OffsetFetchRequestTopic{Topic: t.Topic, Partitions: t.Partitions})
			}
		})}
	}
	of := func(group string, topic string, partitions ...int32) kmsg.OffsetFetchRequestGroup {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = topic, partitions
		g.Topics = append(g.Topics, t)
		return g
	}
	all := kmsg.NewOffsetFetchRequestGroup()
	all.Group = "c"
	member := of("c", "here", 0)
	member.MemberID, member.MemberEpoch = kmsg.StringPtr("m"), 5
	forget := func(name, group, topic string, partitions ...int32) question {
		return question{name: "OffsetDelete: " + name, req: with(0, func(r *kmsg.OffsetDeleteRequest) {
			r.Group = group
			r.Topics = append(r.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: func() (list []kmsg.OffsetDeleteRequestTopicPartition) {
				for _, index := range partitions {
					list = append(list, kmsg.OffsetDeleteRequestTopicPartition{Partition: index})
				}
				return list
			}()})
		})}
	}
	return []question{
		commit("by nobody", plain, "here", 0), commit("an unknown topic", plain, "gone", 0), commit("an unknown partition", plain, "here", 0, 9),
		commit("an empty group", func(r *kmsg.OffsetCommitRequest) { r.Group = "" }, "here", 0),
		commit("an unknown member", func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = "m", 3 }, "here", 0),
		commit("an unknown group of members", func(r *kmsg.OffsetCommitRequest) { r.Group, r.MemberID, r.Generation = "gone", "m", 3 }, "here", 0),
		commit("a long note", func(r *kmsg.OffsetCommitRequest) {
			r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(strings.Repeat("x", 4097))
		}, "here", 0, 1),
		commit("a negative offset", func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Offset = -5 }, "cut", 0),
		commit("twice", func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[1].Offset = 6 }, "here", 1, 1),
		commit("nothing", func(r *kmsg.OffsetCommitRequest) { r.Topics = nil }, "here"),
		fetch("of two groups", 9, false, of("c", "here", 0, 1), of("gone", "here", 0)), fetch("stable", 9, true, of("c", "here", 0)),
		fetch("all", 9, false, all), fetch("an unknown topic", 9, false, of("c", "gone", 0)), fetch("an unknown partition", 9, false, of("c", "here", 9)),
		fetch("an empty group", 9, false, of("", "here", 0)), fetch("by a member", 9, false, member), fetch("v1", 1, false, of("c", "here", 0)),
		fetch("v1 of no group", 1, false, of("gone", "here", 0)), fetch("a group twice", 9, false, of("c", "here", 0), of("c", "here", 0)),
		forget("of no group", "gone", "here", 0), forget("an unknown topic", "c", "gone", 0), forget("one", "c", "here", 0), forget("again", "c", "here", 0),
		forget("an unknown partition", "c", "here", 9),
	}
}

func fetchQuestions() []question {
	fetch := func(name string, version int16, fill func(*kmsg.FetchRequest), topic string, partitions ...int32) question {
		return question{name: "Fetch: " + name, req: with(version, func(r *kmsg.FetchRequest) {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = topic, [16]byte{9}
			for _, index := range partitions {
				p := kmsg.NewFetchRequestTopicPartition()
				p.Partition, p.PartitionMaxBytes, p.FetchOffset = index, 1000, 3
				t.Partitions = append(t.Partitions, p)
			}
			r.MaxBytes, r.SessionEpoch, r.Topics = 1000, -1, append(r.Topics, t)
			fill(r)
		}), ignore: func(r kmsg.Response) {
			resp := r.(*kmsg.FetchResponse)
			resp.SessionID = min(resp.SessionID, 1)
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					p := &resp.Topics[i].Partitions[j]
					if p.ErrorCode != 0 {
						p.LogStartOffset = -1 // ours helps a follower to begin anew
					}
					if len(p.AbortedTransactions) == 0 {
						p.AbortedTransactions = nil
					}
					p.RecordBatches, p.CurrentLeader = nil, kmsg.NewFetchResponseTopicPartitionCurrentLeader()
					p.DivergingEpoch.Epoch = min(p.DivergingEpoch.Epoch, 0)
				}
			}
			resp.Brokers = nil
		}}
	}
	plain := func(*kmsg.FetchRequest) {}
	first := func(r *kmsg.FetchRequest) *kmsg.FetchRequestTopicPartition { return &r.Topics[0].Partitions[0] }
	return []question{
		fetch("the end", 12, plain, "here", 0), fetch("an unknown topic", 12, plain, "gone", 0), fetch("an unknown id", 13, plain, "", 0),
		fetch("an unknown partition", 12, plain, "here", 9), fetch("twice", 12, plain, "here", 0, 0),
		fetch("beyond the end", 12, func(r *kmsg.FetchRequest) { first(r).FetchOffset = 4 }, "here", 0),
		fetch("below the start", 12, func(r *kmsg.FetchRequest) { first(r).FetchOffset = 0 }, "cut", 0),
		fetch("a negative offset", 12, func(r *kmsg.FetchRequest) { first(r).FetchOffset = -1 }, "here", 0),
		fetch("a newer epoch", 12, func(r *kmsg.FetchRequest) { first(r).CurrentLeaderEpoch = 99 }, "here", 0),
		fetch("a newer last epoch", 12, func(r *kmsg.FetchRequest) { first(r).LastFetchedEpoch = 99 }, "here", 0),
		fetch("below the start with an epoch", 12, func(r *kmsg.FetchRequest) { first(r).FetchOffset, first(r).LastFetchedEpoch = 0, 99 }, "cut", 0),
		fetch("an unknown session", 12, func(r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 77, 1 }, "here", 0),
		fetch("a new session", 12, func(r *kmsg.FetchRequest) { r.SessionEpoch = 0 }, "here", 0),
		fetch("an end of no session", 12, func(r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 77, -1 }, "here", 0),
		fetch("nothing", 12, func(r *kmsg.FetchRequest) { r.Topics = nil }, "here"),
		fetch("as a replica", 12, func(r *kmsg.FetchRequest) { r.ReplicaID = 9 }, "here", 0),
		fetch("committed", 12, func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 }, "here", 0),
	}
}

func otherQuestions() []question {
	batch := func() []byte {
		b := record.NewBuilder(record.BuilderOptions{})
		b.Append(record.Record{Timestamp: 1000, Value: []byte("v")})
		return slices.Clone(b.Bytes())
	}
	acks := produceBatches(9, "here", [][]byte{batch()}, 1).(*kmsg.ProduceRequest)
	acks.Acks = 5
	meta := func(name string, version int16, topics ...kmsg.MetadataRequestTopic) question {
		return question{name: "Metadata: " + name, req: with(version, func(r *kmsg.MetadataRequest) { r.Topics, r.AllowAutoTopicCreation = topics, false }), ignore: func(r kmsg.Response) {
			resp := r.(*kmsg.MetadataResponse)
			resp.Brokers, resp.ClusterID = nil, nil
			for i := range resp.Topics {
				t := &resp.Topics[i]
				if t.ErrorCode == 0 {
					t.TopicID = [16]byte{}
				}
				for j := range t.Partitions {
					t.Partitions[j].LeaderEpoch = 0
				}
				slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition - b.Partition) })
			}
		}}
	}
	named := func(name string) kmsg.MetadataRequestTopic { return kmsg.MetadataRequestTopic{Topic: &name} }
	producers := func(name, topic string, partitions ...int32) question {
		return question{name: "DescribeProducers: " + name, req: with(0, func(r *kmsg.DescribeProducersRequest) {
			r.Topics = append(r.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: partitions})
		}), ignore: func(r kmsg.Response) { r.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0].ErrorMessage = nil }}
	}
	initID := func(name string, fill func(*kmsg.InitProducerIDRequest)) question {
		return question{name: "InitProducerId: " + name, req: with(5, fill), ignore: func(r kmsg.Response) {
			r.(*kmsg.InitProducerIDResponse).ProducerID = min(r.(*kmsg.InitProducerIDResponse).ProducerID, 0)
		}, again: func(r kmsg.Response) bool { return loads(r.(*kmsg.InitProducerIDResponse).ErrorCode) }}
	}
	return []question{
		{name: "Produce: acks of 5", req: acks},
		{name: "Produce: an unknown topic", req: produceBatches(9, "gone", [][]byte{batch()}, 0)},
		{name: "Produce: an unknown partition", req: produceBatches(9, "here", [][]byte{batch()}, 9)},
		{name: "Produce: an unknown id", req: produceBatches(13, "", [][]byte{batch()}, 0)},
		{name: "Produce: a partition twice", req: produceBatches(9, "here", [][]byte{batch(), batch()}, 1, 1)},
		meta("unknown", 12, named("gone")), meta("a bad name", 12, named("a/b")), meta("twice", 12, named("here"), named("here")),
		meta("an unknown id", 12, kmsg.MetadataRequestTopic{TopicID: [16]byte{9}}), meta("none", 12, []kmsg.MetadataRequestTopic{}...),
		producers("unknown", "gone", 0), producers("none", "here", 0), producers("an unknown partition", "here", 9),
		initID("plain", func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = -1, -1 }),
		initID("with an id", func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 77, 3 }),
		initID("an empty transactional id", func(r *kmsg.InitProducerIDRequest) { r.TransactionalID = kmsg.StringPtr("") }),
		initID("an id without an epoch", func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 5, -1 }),
	}
}
