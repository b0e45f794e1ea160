package broker

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/coordinator"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestCreateTopicsErrors(t *testing.T) {
	n := start(t)
	n.create("there", 1)
	topic := func(name string, partitions int32, factor int16, keyValues ...string) kmsg.CreateTopicsRequestTopic {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
		for i := 0; i < len(keyValues); i += 2 {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: keyValues[i], Value: &keyValues[i+1]})
		}
		return t
	}
	for _, c := range []struct {
		topic kmsg.CreateTopicsRequestTopic
		want  wire.Error
	}{
		{topic("there", 1, 1), wire.TopicAlreadyExists},
		{topic("a/b", 1, 1), wire.InvalidTopicException},
		{topic("none", 0, 1), wire.InvalidPartitions},
		{topic("three", 1, 3), wire.InvalidReplicationFactor},
		{topic("key", 1, 1, "no.such.key", "1"), wire.InvalidConfig},
		{topic("value", 1, 1, "retention.ms", "soon"), wire.InvalidConfig},
		{topic("defaults", -1, -1), wire.None},
	} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version, req.TimeoutMillis = 5, 1000
		req.Topics = append(req.Topics, c.topic)
		wantCode(t, c.topic.Topic, call[*kmsg.CreateTopicsResponse](n, req).Topics[0].ErrorCode, c.want)
		if _, made := n.quorum.Image().Topic(c.topic.Topic); made != (c.want == wire.None || c.topic.Topic == "there") {
			t.Errorf("%s exists: %v", c.topic.Topic, made)
		}
	}
}

func TestCreatePartitions(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis = 3, 1000
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3}}
	wantCode(t, "more", call[*kmsg.CreatePartitionsResponse](n, req).Topics[0].ErrorCode, wire.None)
	wantCode(t, "produce to a new one", call[*kmsg.ProduceResponse](n, n.produceRequest(9, "t", 2, batch("a"))).Topics[0].Partitions[0].ErrorCode, wire.None)
	req.Topics[0].Count = 2
	wantCode(t, "fewer", call[*kmsg.CreatePartitionsResponse](n, req).Topics[0].ErrorCode, wire.InvalidPartitions)
}

// With another number of partitions a group would be looked for where it is not, and begin anew.
func TestOffsetsTopicKeepsItsPartitions(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.groupCoordinator("g")
	topic, _ := n.quorum.Image().Topic(offsetsTopic)
	group, have := "g", int32(len(topic.Partitions))
	for coordinator.PartitionFor(group, have) == coordinator.PartitionFor(group, have+1) {
		group += "g"
	}
	wantCode(t, "commit", call[*kmsg.OffsetCommitResponse](n, commit(group, "t", 8, 7)).Topics[0].Partitions[0].ErrorCode, wire.None)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis = 3, 1000
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: offsetsTopic, Count: have + 1}}
	wantCode(t, "one more", call[*kmsg.CreatePartitionsResponse](n, req).Topics[0].ErrorCode, wire.InvalidPartitions)
	if p := fetchOffset(n, group, "t", 5); p.Offset != 7 {
		t.Errorf("%d is committed, want 7", p.Offset)
	}
}

func TestDeleteTopicsByName(t *testing.T) {
	n := start(t)
	id := n.create("t", 1).ID
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = 6, 1000
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}, {Topic: kmsg.StringPtr("nowhere")}}
	resp := call[*kmsg.DeleteTopicsResponse](n, req)
	wantCode(t, "by id", resp.Topics[0].ErrorCode, wire.None)
	wantCode(t, "unknown", resp.Topics[1].ErrorCode, wire.UnknownTopicOrPartition)
	if _, ok := n.set.Get("t", 0); ok {
		t.Error("the replica is still there")
	}
}

func TestDeleteRecords(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.create("compacted", 1, "cleanup.policy", "compact")
	n.groupCoordinator("g")
	n.produce("t", "a", "b", "c")
	if p := n.deleteRecords("t", 2); p.ErrorCode != 0 || p.LowWatermark != 2 {
		t.Errorf("before 2: %+v", p)
	}
	if p := n.deleteRecords("t", -1); p.ErrorCode != 0 || p.LowWatermark != 3 {
		t.Errorf("all: %+v", p)
	}
	wantCode(t, "beyond the high watermark", n.deleteRecords("t", 4).ErrorCode, wire.OffsetOutOfRange)
	wantCode(t, "compacted", n.deleteRecords("compacted", 0).ErrorCode, wire.PolicyViolation)
	wantCode(t, "internal", n.deleteRecords(offsetsTopic, 0).ErrorCode, wire.InvalidTopicException)
	wantCode(t, "unknown", n.deleteRecords("nowhere", 0).ErrorCode, wire.UnknownTopicOrPartition)
	n.restart()
	if start := n.partition("t", 0).StartOffset(); start != 3 {
		t.Errorf("starts at %d after a restart", start)
	}
}

func describeConfigs(n *node, kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
	n.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms, req.IncludeDocumentation = 4, true, true
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: keys}}
	return call[*kmsg.DescribeConfigsResponse](n, req).Resources[0]
}

func TestDescribeConfigsOfATopic(t *testing.T) {
	n := start(t, "log.retention.ms", "86400000")
	n.create("t", 1, "cleanup.policy", "compact")
	one := func(key string) kmsg.DescribeConfigsResponseResourceConfig {
		t.Helper()
		r := describeConfigs(n, kmsg.ConfigResourceTypeTopic, "t", key)
		if r.ErrorCode != 0 || len(r.Configs) != 1 {
			t.Fatalf("%s: %+v", key, r)
		}
		return r.Configs[0]
	}
	if c := one("cleanup.policy"); *c.Value != "compact" || c.Source != kmsg.ConfigSourceDynamicTopicConfig || c.IsDefault || c.Documentation == nil {
		t.Errorf("set by the topic: %+v", c)
	}
	if c := one("retention.ms"); *c.Value != "86400000" || c.Source != kmsg.ConfigSourceStaticBrokerConfig || c.ConfigType != kmsg.ConfigTypeLong {
		t.Errorf("set by the broker: %+v", c)
	} else if len(c.ConfigSynonyms) == 0 || c.ConfigSynonyms[0].Name != "log.retention.ms" {
		t.Errorf("synonyms %+v", c.ConfigSynonyms)
	}
	if c := one("segment.bytes"); *c.Value != "1073741824" || c.Source != kmsg.ConfigSourceDefaultConfig {
		t.Errorf("default: %+v", c)
	}
	if all := describeConfigs(n, kmsg.ConfigResourceTypeTopic, "t"); len(all.Configs) < 20 {
		t.Errorf("%d keys", len(all.Configs))
	}
	wantCode(t, "unknown topic", describeConfigs(n, kmsg.ConfigResourceTypeTopic, "nowhere").ErrorCode, wire.UnknownTopicOrPartition)
	wantCode(t, "invalid name", describeConfigs(n, kmsg.ConfigResourceTypeTopic, "a/b").ErrorCode, wire.InvalidTopicException)
	wantCode(t, "unknown kind", describeConfigs(n, kmsg.ConfigResourceTypeUnknown, "x").ErrorCode, wire.InvalidRequest)
}

func TestConfigsOfBrokers(t *testing.T) {
	n := start(t)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Version = 1
	value := "2"
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeBroker,
		Configs:      []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "min.insync.replicas", Op: kmsg.IncrementalAlterConfigOpSet, Value: &value}},
	}}
	wantCode(t, "alter", call[*kmsg.IncrementalAlterConfigsResponse](n, alter).Resources[0].ErrorCode, wire.None)
	for name, source := range map[string]kmsg.ConfigSource{"": kmsg.ConfigSourceDynamicDefaultBrokerConfig, "1": kmsg.ConfigSourceDynamicDefaultBrokerConfig} {
		r := describeConfigs(n, kmsg.ConfigResourceTypeBroker, name, "min.insync.replicas")
		if len(r.Configs) != 1 || *r.Configs[0].Value != "2" || r.Configs[0].Source != source {
			t.Errorf("broker %q: %+v", name, r)
		}
	}
	wantCode(t, "another broker", describeConfigs(n, kmsg.ConfigResourceTypeBroker, "7").ErrorCode, wire.InvalidRequest)
	n.create("t", 1)
	if s := n.partition("t", 0).Settings(); s.MinISR != 2 {
		t.Errorf("the topic has min.insync.replicas %d", s.MinISR)
	}
	n.produce("t", "one replica is enough where there is only one")
}

func TestAlterConfigsReplaces(t *testing.T) {
	n := start(t)
	n.create("t", 1, "retention.ms", "1000", "max.message.bytes", "500")
	value := "700"
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version = 2
	req.Resources = []kmsg.AlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t",
		Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "max.message.bytes", Value: &value}},
	}}
	wantCode(t, "alter", call[*kmsg.AlterConfigsResponse](n, req).Resources[0].ErrorCode, wire.None)
	s := n.partition("t", 0).Settings()
	if s.Log.MaxMessageBytes != 700 || s.Log.RetentionMs == 1000 {
		t.Errorf("settings %+v", s.Log)
	}
}

func TestDescribeLogDirs(t *testing.T) {
	n := start(t)
	n.create("a", 2)
	n.create("b", 1)
	n.produce("a", "x")
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 4
	resp := call[*kmsg.DescribeLogDirsResponse](n, req)
	dir := resp.Dirs[0]
	if dir.Dir != "data" || dir.UsableBytes != 12345 || dir.TotalBytes != -1 || len(dir.Topics) != 2 || len(dir.Topics[0].Partitions) != 2 {
		t.Fatalf("dir %+v", dir)
	}
	if p := dir.Topics[0].Partitions[0]; p.Size != n.partition("a", 0).Log().Size() || p.Size == 0 || p.OffsetLag != 0 {
		t.Errorf("partition %+v", p)
	}
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "a", Partitions: []int32{1}}}
	if dir := call[*kmsg.DescribeLogDirsResponse](n, req).Dirs[0]; len(dir.Topics) != 1 || len(dir.Topics[0].Partitions) != 1 {
		t.Errorf("asked for one: %+v", dir.Topics)
	}
}

func TestDescribeProducers(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produceAs(9, "t", idempotent(7, 2, 0, "a", "b", "c"))
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0, 5}}}
	parts := call[*kmsg.DescribeProducersResponse](n, req).Topics[0].Partitions
	if len(parts[0].ActiveProducers) != 1 {
		t.Fatalf("producers %+v", parts[0])
	}
	if p := parts[0].ActiveProducers[0]; p.ProducerID != 7 || p.ProducerEpoch != 2 || p.LastSequence != 2 || p.CurrentTxnStartOffset != -1 {
		t.Errorf("producer %+v", p)
	}
	wantCode(t, "no such partition", parts[1].ErrorCode, wire.UnknownTopicOrPartition)
}

// A broker has three hundred settings, and a partition may have thousands of producers: to name one costs a few bytes.
func TestRepeatedDescriptionsAreBounded(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.produceAs(9, "t", idempotent(7, 2, 0, "a"))
	const mentions = 1000
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Version = 4
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: make([]int32, mentions)}}
	for range mentions {
		configs.Resources = append(configs.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"})
	}
	described := call[*kmsg.DescribeConfigsResponse](n, configs).Resources
	parts := call[*kmsg.DescribeProducersResponse](n, producers).Topics[0].Partitions
	if len(described) != mentions || len(parts) != mentions {
		t.Fatalf("%d and %d answers", len(described), len(parts))
	}
	for i := range mentions {
		want := wire.None
		if i > wire.RepeatsMax {
			want = wire.InvalidRequest
		}
		wantCode(t, "configs", described[i].ErrorCode, want)
		wantCode(t, "producers", parts[i].ErrorCode, want)
		if told := want == wire.None; told != (len(described[i].Configs) > 0) || told != (len(parts[i].ActiveProducers) > 0) {
			t.Fatalf("mention %d has %d configs and %d producers", i+1, len(described[i].Configs), len(parts[i].ActiveProducers))
		}
	}
}

func TestDescribeQuorum(t *testing.T) {
	n := start(t)
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Version = version
		partitions := func(list ...int32) (named []kmsg.DescribeQuorumRequestTopicPartition) {
			for _, p := range list {
				named = append(named, kmsg.DescribeQuorumRequestTopicPartition{Partition: p})
			}
			return named
		}
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: quorum.MetadataTopic, Partitions: partitions(0)}}
		resp := call[*kmsg.DescribeQuorumResponse](n, req)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.LeaderID != 1 || p.HighWatermark <= 0 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].LogEndOffset < p.HighWatermark {
			t.Errorf("version %d: %+v", version, p)
		}
		for what, topics := range map[string][]kmsg.DescribeQuorumRequestTopic{
			"another partition": {{Topic: quorum.MetadataTopic, Partitions: partitions(1)}},
			"another topic":     {{Topic: "t", Partitions: partitions(0)}},
			"twice":             {{Topic: quorum.MetadataTopic, Partitions: partitions(0, 0)}},
			"and another topic": {{Topic: quorum.MetadataTopic, Partitions: partitions(0)}, {Topic: "t", Partitions: partitions(0)}},
		} {
			more := kmsg.NewPtrDescribeQuorumRequest()
			more.Version, more.Topics = version, topics
			for _, topic := range call[*kmsg.DescribeQuorumResponse](n, more).Topics {
				for _, p := range topic.Partitions {
					if wantCode(t, what, p.ErrorCode, wire.UnknownTopicOrPartition); len(p.CurrentVoters) != 0 {
						t.Errorf("%s: %+v", what, p)
					}
				}
			}
		}
		if version == 2 && (len(resp.Nodes) != 1 || resp.Nodes[0].Listeners[0].Port != 9092) {
			t.Errorf("nodes %+v", resp.Nodes)
		}
	}
}

// silent is a controller that does not answer, or refuses.
type silent struct {
	Metadata
	err error
}

func (s silent) Do(ctx context.Context, _ kmsg.Request) (kmsg.Response, error) {
	return nil, s.err
}

// Every change that the controller did not answer gets an error for each thing that it asks for.
func TestControllerDoesNotAnswer(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	real := n.broker.cfg.Metadata
	for _, c := range []struct {
		err  error
		want wire.Error
	}{
		{context.DeadlineExceeded, wire.RequestTimedOut},
		{&quorum.NotControllerError{Controller: cluster.NoLeader}, wire.NotController},
		{quorum.ErrFailed, wire.UnknownServerError},
	} {
		n.broker.cfg.Metadata = silent{real, c.err}
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "x"}}
		wantCode(t, "CreateTopics", call[*kmsg.CreateTopicsResponse](n, create).Topics[0].ErrorCode, c.want)
		del := kmsg.NewPtrDeleteTopicsRequest()
		del.TopicNames = []string{"t"}
		wantCode(t, "DeleteTopics", call[*kmsg.DeleteTopicsResponse](n, del).Topics[0].ErrorCode, c.want)
		del.Version, del.Topics = 6, []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("t")}}
		wantCode(t, "DeleteTopics 6", call[*kmsg.DeleteTopicsResponse](n, del).Topics[0].ErrorCode, c.want)
		more := kmsg.NewPtrCreatePartitionsRequest()
		more.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}}
		wantCode(t, "CreatePartitions", call[*kmsg.CreatePartitionsResponse](n, more).Topics[0].ErrorCode, c.want)
		alter := kmsg.NewPtrAlterConfigsRequest()
		alter.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}
		wantCode(t, "AlterConfigs", call[*kmsg.AlterConfigsResponse](n, alter).Resources[0].ErrorCode, c.want)
		inc := kmsg.NewPtrIncrementalAlterConfigsRequest()
		inc.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}
		wantCode(t, "IncrementalAlterConfigs", call[*kmsg.IncrementalAlterConfigsResponse](n, inc).Resources[0].ErrorCode, c.want)
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey = "g"
		wantCode(t, "FindCoordinator", call[*kmsg.FindCoordinatorResponse](n, find).ErrorCode, wire.CoordinatorNotAvailable)
		id := kmsg.NewPtrInitProducerIDRequest()
		wantCode(t, "InitProducerId", call[*kmsg.InitProducerIDResponse](n, id).ErrorCode, wire.CoordinatorLoadInProgress)
		wantCode(t, "Metadata", n.metadata(metadataRequest(0, "new")).Topics[0].ErrorCode, wire.LeaderNotAvailable)
	}
}

// Acknowledged records, commits and topics survive a power cut at any time.
func TestPowerCut(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		mem := vfs.NewMem()
		n := startOn(t, mem)
		n.create("t", 1)
		n.groupCoordinator("g")
		n.produce("t", "a", "b")
		call[*kmsg.OffsetCommitResponse](n, commit("g", "t", 8, 1))
		n.start(n.produceRequest(9, "t", 0, batch("unacknowledged")))
		n.crash(mem, seed)
		if got := n.read("t", 0); got != "a b" && got != "a b unacknowledged" {
			t.Errorf("seed %d: read %q", seed, got)
		}
		eventually(t, "the group is loaded", func() bool { return fetchOffset(n, "g", "t", 7).ErrorCode == 0 })
		if p := fetchOffset(n, "g", "t", 7); p.Offset != 1 {
			t.Errorf("seed %d: offset %d", seed, p.Offset)
		}
		if n.produce("t", "c") < 2 {
			t.Errorf("seed %d: an acknowledged offset was given twice", seed)
		}
	}
}
