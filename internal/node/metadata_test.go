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
	c.eventually(c.nodes[first], "the controller has made the topic", hasOrders)
	synctest.Wait()
	select {
	case err := <-answered:
		t.Errorf("answered with %v by a node that cannot know", err)
		answered <- err
	default:
	}
	if hasOrders(through.quorum.Image()) {
		t.Error("the node was not held: the test shows nothing")
	}
	goOn()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if !hasOrders(through.quorum.Image()) {
		t.Error("the topic is not known where it was made")
	}
}

func hasOrders(img *cluster.Image) bool {
	_, ok := img.Topic("orders")
	return ok
}

// A broker that is behind does not tell a client that a topic is unknown which the cluster knows: it asks the controller first.
func TestProduceToABrokerThatIsBehind(t *testing.T) { virtually(t, produceToABrokerThatIsBehind) }

func produceToABrokerThatIsBehind(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	first := c.controller()
	behind := c.nodes[c.other(first)]
	client := c.client(kgo.MaxVersions(kversion.V0_10_0())) // which name topics, and fail for good
	produce := func(topic string) wire.Error {
		t.Helper()
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = 1, 1000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{}}}}
		resp, err := client.Broker(int(behind.broker.NodeID)).Request(within(t, 10*time.Second), req)
		if err != nil {
			t.Fatal(err)
		}
		return wire.Error(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	}
	if code := produce("orders"); code != wire.UnknownTopicOrPartition {
		t.Errorf("a topic that nobody knows: %v", code)
	}
	goOn := holdImage(behind)
	go func() { _, _ = c.nodes[first].metadata().Do(within(t, 10*time.Second), topicRequest("orders", 3, 3)) }()
	c.eventually(c.nodes[first], "the controller has made the topic", hasOrders)
	told := make(chan wire.Error, 1)
	go func() { told <- produce("orders") }()
	synctest.Wait()
	select {
	case code := <-told:
		t.Errorf("it has told %v, and cannot know", code)
		told <- code
	default:
	}
	goOn()
	if code := <-told; code == wire.UnknownTopicOrPartition {
		t.Error("it says that there is no such topic")
	}
}
