package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// A change that is made through a node which is not the controller is answered when that node knows of it, however long
// its image takes to follow. In virtual time all that can be done without the image is done before anybody looks.
func TestAnswerWaitsForImage(t *testing.T) { virtually(t, answerWaitsForImage) }

func answerWaitsForImage(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.controller()
	through := c.nodes[c.other(first)]
	goOn := holdImage(through)
	answered := make(chan error, 1)
	go func() {
		_, err := through.metadata().Do(within(t, 10*time.Second), topicRequest("orders", 3, 3))
		answered <- err
	}()
	c.eventually(c.nodes[first], "the controller has made the topic", has("orders"))
	synctest.Wait()
	select {
	case err := <-answered:
		t.Errorf("answered with %v by a node that cannot know", err)
		answered <- err
	default:
	}
	if has("orders")(through.quorum.Image()) {
		t.Error("the node was not held: the test shows nothing")
	}
	goOn()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if !has("orders")(through.quorum.Image()) {
		t.Error("the topic is not known where it was made")
	}
}

func has(topic string) func(*cluster.Image) bool {
	return func(img *cluster.Image) bool {
		_, ok := img.Topic(topic)
		return ok
	}
}

// A broker that is behind does not tell a client that a topic is unknown which the cluster knows: it asks the controller first.
func TestProduceToABrokerThatIsBehind(t *testing.T) {
	askBehind(t, "orders", wire.UnknownTopicOrPartition, func(t *testing.T, b *kgo.Broker) wire.Error {
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = 1, 1000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{}}}}
		resp, err := b.Request(t.Context(), req)
		if err != nil {
			t.Error(err)
			return wire.UnknownServerError
		}
		return wire.Error(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	})
}

func TestMetadataOfABrokerThatIsBehind(t *testing.T) {
	askBehind(t, "orders", wire.UnknownTopicOrPartition, func(t *testing.T, b *kgo.Broker) wire.Error {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("orders")}}
		resp, err := b.Request(t.Context(), req)
		if err != nil {
			t.Error(err)
			return wire.UnknownServerError
		}
		return wire.Error(resp.(*kmsg.MetadataResponse).Topics[0].ErrorCode)
	})
}

// Nor that there is no coordinator, where the topic that groups need has just been made.
func TestJoinGroupAtABrokerThatIsBehind(t *testing.T) {
	askBehind(t, "__consumer_offsets", wire.CoordinatorNotAvailable, func(t *testing.T, b *kgo.Broker) wire.Error {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = "g", 10_000, 10_000, "consumer"
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		resp, err := b.Request(t.Context(), req)
		if err != nil {
			t.Error(err)
			return wire.UnknownServerError
		}
		return wire.Error(resp.(*kmsg.JoinGroupResponse).ErrorCode)
	})
}

// askBehind asks a broker, once for a topic that nobody knows, and once for one that all others know.
func askBehind(t *testing.T, topic string, unknown wire.Error, ask func(*testing.T, *kgo.Broker) wire.Error) {
	virtually(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		c.start(1, 2, 3)
		first := c.controller()
		behind := c.nodes[c.other(first)]
		versions := kversion.V0_10_0()                     // which name topics, and fail for good
		versions.SetMaxKeyVersion(int16(kmsg.Metadata), 4) // the first that may leave topics that are not there alone
		broker := c.broker(c.client(kgo.MaxVersions(versions)), int(behind.broker.NodeID))
		if code := ask(t, broker); code != unknown {
			t.Errorf("a topic that nobody knows: %v", code)
		}
		goOn := holdImage(behind)
		go func() { _, _ = c.nodes[first].metadata().Do(within(t, 10*time.Second), topicRequest(topic, 3, 3)) }()
		c.eventually(c.nodes[first], "the controller has made the topic", has(topic))
		told := make(chan wire.Error, 1)
		go func() { told <- ask(t, broker) }()
		synctest.Wait()
		select {
		case code := <-told:
			t.Errorf("it has told %v, and cannot know", code)
			told <- code
		default:
		}
		goOn()
		if code := <-told; code == unknown {
			t.Errorf("it says %v", code)
		}
	})
}
