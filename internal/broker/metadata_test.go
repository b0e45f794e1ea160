package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// metadataRequest asks for topics; with none given, for the version's "all".
func metadataRequest(version int16, topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = version, true
	for i := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topics[i]
		req.Topics = append(req.Topics, t)
	}
	if version == 0 && len(topics) == 0 {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	return req
}

func (n *node) metadata(req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	n.t.Helper()
	return call[*kmsg.MetadataResponse](n, req)
}

// The article's first call works: real brokers of its time answered LEADER_NOT_AVAILABLE, on which its client fails.
func TestMetadataV0CreatesAndAnswersAtOnce(t *testing.T) {
	n := start(t)
	resp := n.metadata(metadataRequest(0, "telematics"))
	topic := resp.Topics[0]
	if topic.ErrorCode != 0 || len(topic.Partitions) != 1 || topic.Partitions[0].Leader != 1 || topic.Partitions[0].ErrorCode != 0 {
		t.Fatalf("topic %+v", topic)
	}
	if len(resp.Brokers) != 1 || resp.Brokers[0].Host != "localhost" || resp.Brokers[0].Port != 9092 {
		t.Errorf("brokers %+v", resp.Brokers)
	}
	p := n.produceAs(0, "telematics", messageSet(0, "ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977"))
	if p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("produce: %v at %d", wire.Error(p.ErrorCode), p.BaseOffset)
	}
}

func TestMetadataLaterVersionsAnswerAsKafka(t *testing.T) {
	n := start(t)
	for version := int16(1); version <= 13; version++ {
		topic := "t" + strings.Repeat("x", int(version))
		resp := n.metadata(metadataRequest(version, topic))
		wantCode(t, "the first time", resp.Topics[0].ErrorCode, wire.LeaderNotAvailable)
		resp = n.metadata(metadataRequest(version, topic))
		if got := resp.Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 1 {
			t.Errorf("version %d, the second time: %+v", version, got)
		}
	}
}

func TestMetadataEmptyAndNull(t *testing.T) {
	n := start(t)
	n.create("a", 2)
	n.create("b", 1)
	for version := int16(0); version <= 13; version++ {
		all := n.metadata(metadataRequest(version))
		if len(all.Topics) != 2 || *all.Topics[0].Topic != "a" || len(all.Topics[0].Partitions) != 2 {
			t.Errorf("version %d: all topics are %+v", version, all.Topics)
		}
		if version == 0 {
			continue
		}
		none := metadataRequest(version)
		none.Topics = []kmsg.MetadataRequestTopic{}
		if resp := n.metadata(none); len(resp.Topics) != 0 || len(resp.Brokers) != 1 || resp.ControllerID != 1 {
			t.Errorf("version %d: no topics are %+v", version, resp)
		}
	}
}

func TestMetadataWithoutCreation(t *testing.T) {
	n := start(t)
	req := metadataRequest(4, "missing")
	req.AllowAutoTopicCreation = false
	wantCode(t, "the client forbids it", n.metadata(req).Topics[0].ErrorCode, wire.UnknownTopicOrPartition)
	off := start(t, "auto.create.topics.enable", "false")
	for _, version := range []int16{0, 1, 12} {
		wantCode(t, "the broker forbids it", off.metadata(metadataRequest(version, "missing")).Topics[0].ErrorCode, wire.UnknownTopicOrPartition)
	}
	if _, ok := off.quorum.Image().Topic("missing"); ok {
		t.Error("created all the same")
	}
}

func TestMetadataInvalidNames(t *testing.T) {
	n := start(t)
	for _, name := range []string{"", ".", "..", "a/b", "%2e", "nul\x00", "ü", strings.Repeat("x", 250)} {
		for _, version := range []int16{0, 5, 12} {
			wantCode(t, name, n.metadata(metadataRequest(version, name)).Topics[0].ErrorCode, wire.InvalidTopicException)
		}
	}
	if got := n.quorum.Image().TopicCount(); got != 0 {
		t.Errorf("%d topics were created", got)
	}
	if name := strings.Repeat("x", 249); n.metadata(metadataRequest(0, name)).Topics[0].ErrorCode != 0 {
		t.Error("249 letters are refused")
	}
}

func TestMetadataTopicIDs(t *testing.T) {
	n := start(t)
	id := n.create("t", 1).ID
	if got := n.metadata(metadataRequest(10, "t")).Topics[0].TopicID; got != id {
		t.Errorf("id %v, want %v", got, id)
	}
	req := metadataRequest(12)
	for _, asked := range [][16]byte{id, {9}} {
		topic := kmsg.NewMetadataRequestTopic()
		topic.TopicID = asked
		req.Topics = append(req.Topics, topic)
	}
	resp := n.metadata(req)
	if resp.Topics[0].ErrorCode != 0 || *resp.Topics[0].Topic != "t" {
		t.Errorf("by id: %+v", resp.Topics[0])
	}
	wantCode(t, "unknown id", resp.Topics[1].ErrorCode, wire.UnknownTopicID)
}

func TestMetadataOfAnotherListener(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	n.conn.Listener = "OTHER"
	for version, want := range map[int16]wire.Error{1: wire.LeaderNotAvailable, 9: wire.ListenerNotFound} {
		resp := n.metadata(metadataRequest(version, "t"))
		if len(resp.Brokers) != 0 {
			t.Errorf("version %d: brokers %+v", version, resp.Brokers)
		}
		wantCode(t, "leader without the listener", resp.Topics[0].Partitions[0].ErrorCode, want)
	}
}

// A broker that the controller has told that it may stop still answers for a while. When it is the last one, clients must
// not learn from it that there is no broker.
func TestMetadataNamesABrokerWhenAllAreFenced(t *testing.T) {
	n := start(t)
	self, _ := n.quorum.Image().Broker(1)
	stop := kmsg.NewPtrBrokerHeartbeatRequest()
	stop.BrokerID, stop.BrokerEpoch, stop.CurrentMetadataOffset, stop.WantFence = 1, self.Epoch, n.quorum.Image().Offset(), true
	resp, err := n.quorum.Do(t.Context(), stop)
	must(t, resp, err)
	if self, _ := n.quorum.Image().Broker(1); !self.Fenced {
		t.Fatal("the broker is not fenced")
	}
	if got := n.metadata(metadataRequest(12)).Brokers; len(got) != 1 || got[0].NodeID != 1 || got[0].Port != 9092 {
		t.Errorf("metadata names %+v", got)
	}
	describe := kmsg.NewPtrDescribeClusterRequest()
	describe.Version = 1
	describe.EndpointType = 1
	if got := call[*kmsg.DescribeClusterResponse](n, describe).Brokers; len(got) != 1 || got[0].NodeID != 1 {
		t.Errorf("DescribeCluster names %+v", got)
	}
}

func TestMetadataAuthorizedOperations(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := metadataRequest(8, "t")
	if resp := n.metadata(req); resp.AuthorizedOperations != -2147483648 || resp.Topics[0].AuthorizedOperations != -2147483648 {
		t.Errorf("not asked for: %d, %d", resp.AuthorizedOperations, resp.Topics[0].AuthorizedOperations)
	}
	req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = true, true
	if resp := n.metadata(req); resp.AuthorizedOperations != clusterOperations || resp.Topics[0].AuthorizedOperations != topicOperations {
		t.Errorf("asked for: %d, %d", resp.AuthorizedOperations, resp.Topics[0].AuthorizedOperations)
	}
}

func TestMetadataNamesATopicOnce(t *testing.T) {
	n := start(t)
	if resp := n.metadata(metadataRequest(1, "t", "t")); len(resp.Topics) != 1 {
		t.Errorf("%d topics", len(resp.Topics))
	}
}

func TestDescribeTopicPartitionsPages(t *testing.T) {
	n := start(t)
	n.create("a", 3)
	n.create("b", 2)
	n.create("c", 1)
	var got []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2
	for pages := 0; ; pages++ {
		resp := call[*kmsg.DescribeTopicPartitionsResponse](n, req)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				got = append(got, *topic.Topic+string(rune('0'+p.Partition)))
			}
		}
		if resp.NextCursor == nil {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	if strings.Join(got, " ") != "a0 a1 a2 b0 b1 c0" {
		t.Errorf("pages hold %v", got)
	}
	req.Cursor, req.ResponsePartitionLimit = nil, 2000
	req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "c"}, {Topic: "nowhere"}, {Topic: "a/b"}, {Topic: "c"}}
	resp := call[*kmsg.DescribeTopicPartitionsResponse](n, req)
	if len(resp.Topics) != 3 {
		t.Fatalf("topics %+v", resp.Topics)
	}
	wantCode(t, "invalid name", resp.Topics[0].ErrorCode, wire.InvalidTopicException)
	wantCode(t, "known", resp.Topics[1].ErrorCode, wire.None)
	wantCode(t, "unknown", resp.Topics[2].ErrorCode, wire.UnknownTopicOrPartition)
}

func TestDescribeCluster(t *testing.T) {
	n := start(t)
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version, req.IncludeClusterAuthorizedOperations = 2, true
	resp := call[*kmsg.DescribeClusterResponse](n, req)
	if resp.ErrorCode != 0 || resp.ClusterID != "cluster" || resp.ControllerID != 1 || len(resp.Brokers) != 1 || resp.ClusterAuthorizedOperations != clusterOperations {
		t.Errorf("cluster %+v", resp)
	}
	for kind, want := range map[int8]wire.Error{2: wire.MismatchedEndpointType, 3: wire.UnsupportedEndpointType} {
		req.EndpointType = kind
		wantCode(t, "endpoints of another kind", call[*kmsg.DescribeClusterResponse](n, req).ErrorCode, want)
	}
}

// One request of 16 MiB can name three hundred thousand topics that do not exist. To look for each among all before it
// took minutes of a processor.
func TestManyNamesTakeOnePass(t *testing.T) {
	const names = 100_000
	topics := make([]kmsg.MetadataRequestTopic, names+1)
	parts := make([]kmsg.AlterClientQuotasRequestEntryEntity, names+1)
	for i := range topics {
		name := fmt.Sprintf("%052d", i%names)
		topics[i].Topic, parts[i].Type = &name, name
	}
	begun := time.Now()
	if missing := missingNames(cluster.NewImage("c"), topics); len(missing) != names || missing[0] != *topics[0].Topic {
		t.Errorf("%d names", len(missing))
	}
	if entity := quotaEntity(parts); len(entity) != names {
		t.Errorf("an entity of %d kinds", len(entity))
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
