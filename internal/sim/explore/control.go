package explore

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum/controller"
	"github.com/logbahn/logbahn/internal/wire"
)

const (
	topic     = "t"
	minISR    = 2
	clusterID = "explored"
	// sessionMs and beatMs are the controller's time while it misses a broker's heartbeats.
	sessionMs = 1000
	beatMs    = 100
)

// control is the controller. Its sessions begin anew with each step, as after a change of the controller; what it decides
// rests on the image only.
type control struct{ flushOS bool }

func (c control) machine() *controller.Machine {
	return controller.New(controller.Config{
		SessionTimeoutMs: sessionMs, FlushOS: c.flushOS, Rand: func() uint64 { return 0 },
	})
}

// handle runs a request and returns the answer with the image after it.
func (c control) handle(img *cluster.Image, req kmsg.Request) (kmsg.Response, *cluster.Image) {
	resp, changes := c.machine().Handle(0, img, req)
	return resp, apply(img, changes)
}

func apply(img *cluster.Image, changes []cluster.Change) *cluster.Image {
	if len(changes) == 0 {
		return img
	}
	next, _, err := img.Apply(changes, img.Offset()+1, 1)
	if err != nil {
		panic(fmt.Sprintf("the controller's changes do not fit its image: %v", err))
	}
	return next
}

// register begins a run of a broker, and returns its epoch. stopped tells that it says its last run ended cleanly.
func (c control) register(img *cluster.Image, id cluster.NodeID, stopped bool) (*cluster.Image, int64) {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID, req.PreviousBrokerEpoch = id, clusterID, -1
	req.IncarnationID = cluster.UUID{0: byte(id), 15: byte(img.NextBrokerEpoch() + 1)}
	req.LogDirs = [][16]byte{{0: 1, 15: byte(id)}}
	if old, ok := img.Broker(id); ok {
		controller.SetLastEpoch(req, old.Epoch) // its directory knows
		if stopped {
			req.PreviousBrokerEpoch = old.Epoch
		}
	}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "h", 9092
	req.Listeners = append(req.Listeners, l)
	resp, next := c.handle(img, req)
	if r := resp.(*kmsg.BrokerRegistrationResponse); r.ErrorCode != wire.None.Code() {
		panic(fmt.Sprintf("registration refused with code %d", r.ErrorCode))
	}
	return next, resp.(*kmsg.BrokerRegistrationResponse).BrokerEpoch
}

// beat hears a heartbeat of a broker that has applied the image at offset.
func (c control) beat(img *cluster.Image, id cluster.NodeID, epoch, offset int64) *cluster.Image {
	_, next := c.handle(img, heartbeat(id, epoch, offset))
	return next
}

func heartbeat(id cluster.NodeID, epoch, offset int64) *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = id, epoch, offset
	return req
}

// miss lets a whole session pass in which the controller hears every broker but one.
func (c control) miss(img *cluster.Image, id cluster.NodeID) *cluster.Image {
	m := c.machine()
	for now := int64(0); now <= 2*sessionMs; now += beatMs {
		for _, b := range img.Brokers() {
			if b.ID != id && !b.Fenced {
				_, changes := m.Handle(now, img, heartbeat(b.ID, b.Epoch, img.Offset()))
				img = apply(img, changes)
			}
		}
		for more := true; more; {
			var changes []cluster.Change
			changes, more = m.Tick(now, img)
			img = apply(img, changes)
		}
		if b, _ := img.Broker(id); b.Fenced {
			return img
		}
	}
	panic("a silent broker was not fenced")
}

// propose takes an AlterPartition request. refused tells that the change is not made and never will be, as the leader
// understands the answer.
func (c control) propose(img *cluster.Image, p proposal, withBrokerEpochs bool) (next *cluster.Image, answer *kmsg.AlterPartitionResponse) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	req.BrokerID, req.BrokerEpoch = p.from, p.brokerEpoch
	t := kmsg.NewAlterPartitionRequestTopic()
	t.TopicID = topicID(img)
	tp := kmsg.NewAlterPartitionRequestTopicPartition()
	tp.LeaderEpoch, tp.PartitionEpoch = p.change.LeaderEpoch, p.change.PartitionEpoch
	for _, m := range p.change.ISR {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = m.ID, m.BrokerEpoch
		if m.ID == p.from {
			member.BrokerEpoch = p.brokerEpoch
		}
		if !withBrokerEpochs {
			member.BrokerEpoch = -1
		}
		tp.NewEpochISR = append(tp.NewEpochISR, member)
	}
	t.Partitions = append(t.Partitions, tp)
	req.Topics = append(req.Topics, t)
	resp, next := c.handle(img, req)
	return next, resp.(*kmsg.AlterPartitionResponse)
}

func topicID(img *cluster.Image) cluster.UUID {
	t, _ := img.Topic(topic)
	return t.ID
}

// begin returns an image in which all brokers are alive and the topic is there, led by broker 1.
func (c control) begin() (*cluster.Image, [brokers]int64) {
	img := cluster.NewImage(clusterID)
	var epochs [brokers]int64
	for i := range epochs {
		img, epochs[i] = c.register(img, cluster.NodeID(i+1), true)
	}
	for i := range epochs {
		img = c.beat(img, cluster.NodeID(i+1), epochs[i], img.Offset())
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	a.Replicas = []int32{1, 2, 3}
	t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	value := fmt.Sprint(minISR)
	setting := kmsg.NewCreateTopicsRequestTopicConfig()
	setting.Name, setting.Value = "min.insync.replicas", &value
	t.Configs = append(t.Configs, setting)
	req.Topics = append(req.Topics, t)
	resp, img := c.handle(img, req)
	if r := resp.(*kmsg.CreateTopicsResponse); r.Topics[0].ErrorCode != 0 {
		panic(fmt.Sprintf("topic refused with code %d", r.Topics[0].ErrorCode))
	}
	return img, epochs
}
