package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// asked is what a member answers to a client of the given software.
func asked[P kmsg.Response](m *member, software string, req kmsg.Request) P {
	n := &node{t: m.trio.t, broker: m.b, conn: &Conn{ID: "client", Listener: "PLAINTEXT", ClientSoftware: software}}
	return call[P](n, req)
}

// named are the brokers that Metadata names to a client.
func (m *member) named(software string) (ids []int32) {
	for _, b := range asked[*kmsg.MetadataResponse](m, software, metadataRequest(12)).Brokers {
		ids = append(ids, b.NodeID)
	}
	return ids
}

func (m *member) described() (ids []int32) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version = 1
	for _, b := range asked[*kmsg.DescribeClusterResponse](m, librdkafka, req).Brokers {
		ids = append(ids, b.NodeID)
	}
	return ids
}

const librdkafka = "librdkafka"

func wantNamed(t *testing.T, what string, got []int32, want ...int32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: brokers %v are named, not %v", what, got, want)
	}
}

func (c *trio) awaitFenced(id cluster.NodeID, fenced bool) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("broker %d fenced: %t", id, fenced), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		b, ok := c.mu.img.Broker(id)
		return ok && b.Fenced == fenced
	})
}

// A client that forgets brokers is told of one that was killed for as long as it is likely to come back. Where to go with
// requests it is told as everybody.
func TestKilledBrokerStaysNamed(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 3)
		for i := range int32(3) {
			c.inSync("t", i)
		}
		first, killed := c.members[0], c.members[1]
		killed.kill(1)
		c.awaitFenced(2, true)
		fenced := time.Now()
		wantNamed(t, "when it was fenced", first.named(librdkafka), 1, 2, 3)
		wantNamed(t, "to a program on librdkafka", first.named("confluent-kafka-python"), 1, 2, 3)
		for _, software := range []string{"", "apache-kafka-java", "kgo"} {
			wantNamed(t, "to "+software, first.named(software), 1, 3)
		}
		wantNamed(t, "DescribeCluster", first.described(), 1, 3)
		for _, p := range asked[*kmsg.MetadataResponse](first, librdkafka, metadataRequest(12, "t")).Topics[0].Partitions {
			if p.Leader == 2 || p.ErrorCode != 0 || !slices.Equal(p.OfflineReplicas, []int32{2}) {
				t.Errorf("partition %d: leader %d, %v, offline %v", p.Partition, p.Leader, wire.Error(p.ErrorCode), p.OfflineReplicas)
			}
		}
		time.Sleep(time.Until(fenced.Add(latelyFenced - time.Second))) // virtual
		wantNamed(t, "a second before its time", first.named(librdkafka), 1, 2, 3)
		time.Sleep(time.Second)
		wantNamed(t, "after its time", first.named(librdkafka), 1, 3)

		killed.start()
		c.awaitFenced(2, false)
		wantNamed(t, "when it is back", first.named(""), 1, 2, 3)
	})
}

// A broker that has begun anew does not know how long the others have been fenced. When a whole cluster starts again all are, and
// the first one must not have clients forget the others.
func TestRestartedBrokerNamesWhoMayComeBack(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.members[1].kill(1)
		c.awaitFenced(2, true)
		time.Sleep(latelyFenced) // virtual
		wantNamed(t, "after its time", c.members[0].named(librdkafka), 1, 3)
		c.members[2].kill(2)
		c.members[2].start()
		began := time.Now()
		c.awaitFenced(3, false)
		wantNamed(t, "the one that was there", c.members[0].named(librdkafka), 1, 3)
		wantNamed(t, "the one that has begun anew", c.members[2].named(librdkafka), 1, 2, 3)
		wantNamed(t, "to others", c.members[2].named("kgo"), 1, 3)
		time.Sleep(time.Until(began.Add(latelyFenced))) // virtual
		wantNamed(t, "a minute later", c.members[2].named(librdkafka), 1, 3)
	})
}

// A broker that stops for a new release is fenced by its own wish, and comes back as others do.
func TestStoppedBrokerStaysNamed(t *testing.T) {
	runTrio(t, func(c *trio) {
		stopped := c.members[1]
		stopped.silent.Store(true)
		req := kmsg.NewPtrBrokerHeartbeatRequest()
		req.BrokerID, req.BrokerEpoch, req.WantShutdown = 2, stopped.epoch.Load(), true
		c.eventually("it may stop", func() bool {
			req.CurrentMetadataOffset = stopped.image.Load().Offset()
			return c.do(req).(*kmsg.BrokerHeartbeatResponse).ShouldShutdown
		})
		c.awaitFenced(2, true)
		wantNamed(t, "stopped", c.members[0].named(librdkafka), 1, 2, 3)
		wantNamed(t, "DescribeCluster", c.members[0].described(), 1, 3)
	})
}

// Nobody is sent to a broker that the cluster has let go, or to a listener that a broker does not have.
func TestUnreachableBrokersAreNotNamed(t *testing.T) {
	runTrio(t, func(c *trio) {
		first := c.members[0]
		c.members[1].kill(1)
		c.awaitFenced(2, true)
		wantNamed(t, "fenced", first.named(librdkafka), 1, 2, 3)
		n := &node{t: t, broker: first.b, conn: &Conn{ID: "client", Listener: "OTHER", ClientSoftware: librdkafka}}
		if got := n.metadata(metadataRequest(12)).Brokers; len(got) != 0 {
			t.Errorf("a listener that nobody has: %+v", got)
		}
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = 2
		if code := c.do(req).(*kmsg.UnregisterBrokerResponse).ErrorCode; code != 0 {
			t.Fatal(wire.Error(code))
		}
		wantNamed(t, "unregistered", first.named(librdkafka), 1, 3)
	})
}
