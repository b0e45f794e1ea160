package broker

import (
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// topicRef is how a request names a topic: by name, or by id in the newer versions (KIP-516).
type topicRef struct {
	name string
	id   cluster.UUID
	byID bool
}

// find returns the topic, or the code that says that there is none.
func (ref topicRef) find(img *cluster.Image) (*cluster.Topic, wire.Error) {
	if ref.byID {
		if t, ok := img.TopicByID(ref.id); ok {
			return t, wire.None
		}
		return nil, wire.UnknownTopicID
	}
	if t, ok := img.Topic(ref.name); ok {
		return t, wire.None
	}
	return nil, wire.UnknownTopicOrPartition
}

// replica returns this broker's replica of a partition of the topic. Whether it leads is the replica's own answer.
func (b *Broker) replica(t *cluster.Topic, index int32) (*partition.Partition, wire.Error) {
	if index < 0 || int(index) >= len(t.Partitions) {
		return nil, wire.UnknownTopicOrPartition
	}
	if p, ok := b.cfg.Partitions.ByID(t.ID, index); ok {
		return p, wire.None
	}
	if _, other := b.cfg.Partitions.Get(t.Name, index); other {
		return nil, wire.InconsistentTopicID // the log is still an older topic's of the same name
	}
	return nil, wire.NotLeaderOrFollower
}

// leaderOf says where a client that asked the wrong broker should go (KIP-951). The replica here, if there is one, may
// know of a newer leader than the image that the request was begun with.
func (b *Broker) leaderOf(t *cluster.Topic, index int32) wire.CurrentLeader {
	if t == nil || int(index) >= len(t.Partitions) {
		return wire.NoLeader
	}
	at := &t.Partitions[index]
	known := wire.CurrentLeader{LeaderID: at.Leader, LeaderEpoch: at.LeaderEpoch}
	if p, ok := b.cfg.Partitions.ByID(t.ID, index); ok {
		if id, epoch := p.Leader(); epoch > known.LeaderEpoch {
			known = wire.CurrentLeader{LeaderID: id, LeaderEpoch: epoch}
		}
	}
	return known
}

// movesClient tells whether a code means that the client should ask another leader.
func movesClient(e wire.Error) bool {
	return e == wire.NotLeaderOrFollower || e == wire.FencedLeaderEpoch
}

// nodeEndpoints adds the address of a leader to those that a reply already names.
func nodeEndpoints(list []wire.NodeEndpoint, img *cluster.Image, listener string, leader wire.CurrentLeader) []wire.NodeEndpoint {
	for i := range list {
		if list[i].NodeID == leader.LeaderID {
			return list
		}
	}
	broker, ok := img.Broker(leader.LeaderID)
	if !ok {
		return list
	}
	e, ok := broker.Endpoint(listener)
	if !ok {
		return list
	}
	return append(list, wire.NodeEndpoint{NodeID: broker.ID, Host: e.Host, Port: int32(e.Port), Rack: nullable(broker.Rack)})
}

// endpoint returns where a client is told that a broker is, false when it has no listener of the client's.
func (b *Broker) endpoint(node *cluster.Broker, conn *Conn) (cluster.Endpoint, bool) {
	e, ok := node.Endpoint(conn.Listener)
	if ok && node.ID == b.cfg.NodeID && conn.Reached != nil {
		return *conn.Reached, true
	}
	return e, ok
}

// nullable returns nil for an empty string, as Kafka sends what is not set.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
