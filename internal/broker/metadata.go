package broker

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// Metadata, versions 0 to 13.
//
// v0: an empty list of topics asks for all; from v1 on null does, and an empty list asks for none. v4 lets the client
// forbid that topics are created; v10 topic ids (KIP-516); v12 topics asked for by id.
//
// A missing topic is created when that is allowed. From v1 on it is then answered with LEADER_NOT_AVAILABLE, as by Kafka,
// and clients ask again. In v0 it is answered as it now is: the clients of that time fail on the error.

func (b *Broker) metadata(ctx context.Context, r *Request, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	all := req.Topics == nil || (req.Version == 0 && len(req.Topics) == 0)
	// Who has just made a topic through another broker finds it here: kafkajs takes the contrary for final.
	img := b.imageWith(ctx, func(img *cluster.Image) bool {
		return all || !slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
			_, code := metadataRef(&t).find(img)
			return code != wire.None
		})
	})
	var created map[string]wire.Error
	if !all && (req.Version < 4 || req.AllowAutoTopicCreation) {
		created = b.autoCreate(ctx, missingNames(img, req.Topics))
		if req.Version == 0 && len(created) > 0 {
			img = b.cfg.Metadata.Image()
		}
	}
	m := metadataReply{req: req, img: img, listener: r.Conn.Listener, created: created}
	resp := kmsg.NewPtrMetadataResponse()
	resp.ClusterID = kmsg.StringPtr(img.ClusterID())
	resp.ControllerID = liveController(img)
	resp.Brokers = b.metadataBrokers(img, r.Conn)
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	if all {
		for t := range img.Topics() {
			resp.Topics = append(resp.Topics, m.topic(t))
		}
		return resp
	}
	resp.Topics = m.named()
	return resp
}

// metadataReply is what the parts of one reply share.
type metadataReply struct {
	req      *kmsg.MetadataRequest
	img      *cluster.Image
	listener string
	created  map[string]wire.Error // what came of creating missing topics
}

// liveController returns a node to send administrative requests to. Every broker passes them on to the controller, so
// that it need not be the controller itself.
func liveController(img *cluster.Image) int32 {
	if b, ok := img.Broker(img.ControllerID()); ok && !b.Fenced {
		return b.ID
	}
	for _, b := range img.Brokers() {
		if !b.Fenced {
			return b.ID
		}
	}
	return cluster.NoLeader
}

// unfenced returns the brokers that clients are told of: those that are not fenced, or have been for less than a time. When all
// are fenced, as while a whole cluster stops, it is this one at least: a client that is told of no broker has nobody left to ask,
// and librdkafka does not recover from that.
func (b *Broker) unfenced(img *cluster.Image, lately time.Duration) (list []cluster.Broker) {
	for _, node := range img.Brokers() {
		if !node.Fenced || b.fencing.within(node.ID, lately) {
			list = append(list, node)
		}
	}
	if self, ok := img.Broker(b.cfg.NodeID); ok && len(list) == 0 {
		list = append(list, self)
	}
	return list
}

func (b *Broker) metadataBrokers(img *cluster.Image, conn *Conn) []kmsg.MetadataResponseBroker {
	var lately time.Duration
	if conn.forgets() {
		lately = latelyFenced
	}
	var list []kmsg.MetadataResponseBroker
	for _, node := range b.unfenced(img, lately) {
		e, ok := b.endpoint(&node, conn)
		if !ok {
			continue
		}
		rb := kmsg.NewMetadataResponseBroker()
		rb.NodeID, rb.Host, rb.Port, rb.Rack = node.ID, e.Host, int32(e.Port), nullable(node.Rack)
		list = append(list, rb)
	}
	return list
}

// named answers for the topics that the request names, each once.
func (m *metadataReply) named() []kmsg.MetadataResponseTopic {
	list := []kmsg.MetadataResponseTopic{}
	seen := make(map[topicRef]bool)
	for i := range m.req.Topics {
		ref := metadataRef(&m.req.Topics[i])
		if seen[ref] {
			continue
		}
		seen[ref] = true
		if t, code := ref.find(m.img); code == wire.None {
			list = append(list, m.topic(t))
		} else {
			list = append(list, m.missing(ref, code))
		}
	}
	return list
}

func metadataRef(t *kmsg.MetadataRequestTopic) topicRef {
	if t.Topic == nil {
		return topicRef{id: t.TopicID, byID: true}
	}
	return topicRef{name: *t.Topic}
}

func (m *metadataReply) missing(ref topicRef, code wire.Error) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.TopicID, rt.ErrorCode = ref.id, code.Code()
	if ref.byID {
		return rt
	}
	rt.Topic = kmsg.StringPtr(ref.name)
	switch outcome, tried := m.created[ref.name]; {
	case !validTopicName(ref.name):
		rt.ErrorCode = wire.InvalidTopicException.Code()
	case tried && (outcome == wire.None || outcome == wire.TopicAlreadyExists):
		rt.ErrorCode = wire.LeaderNotAvailable.Code()
	case tried:
		rt.ErrorCode = outcome.Code()
	}
	return rt
}

func (m *metadataReply) topic(t *cluster.Topic) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.IsInternal = kmsg.StringPtr(t.Name), t.ID, t.Internal
	if m.req.IncludeTopicAuthorizedOperations {
		rt.AuthorizedOperations = topicOperations
	}
	rt.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		p, rp := &t.Partitions[i], &rt.Partitions[i]
		*rp = kmsg.NewMetadataResponseTopicPartition()
		rp.Partition, rp.LeaderEpoch = int32(i), p.LeaderEpoch
		rp.Replicas, rp.ISR, rp.OfflineReplicas = p.Replicas, p.ISR, offlineReplicas(m.img, p)
		leader, code := leaderOn(m.img, p, m.listener)
		rp.Leader, rp.ErrorCode = leader, code.Code()
		if code == wire.ListenerNotFound && m.req.Version < 6 {
			rp.ErrorCode = wire.LeaderNotAvailable.Code()
		}
	}
	return rt
}

// leaderOn returns a partition's leader as clients of a listener can reach it.
func leaderOn(img *cluster.Image, p *cluster.Partition, listener string) (cluster.NodeID, wire.Error) {
	b, ok := img.Broker(p.Leader)
	if !ok || b.Fenced {
		return cluster.NoLeader, wire.LeaderNotAvailable
	}
	if _, ok := b.Endpoint(listener); !ok {
		return cluster.NoLeader, wire.ListenerNotFound
	}
	return p.Leader, wire.None
}

// offlineReplicas returns the replicas whose brokers do not serve.
func offlineReplicas(img *cluster.Image, p *cluster.Partition) []int32 {
	return slices.DeleteFunc(slices.Clone(p.Replicas), func(id cluster.NodeID) bool {
		b, ok := img.Broker(id)
		return ok && !b.Fenced
	})
}

// What a client may do, as Kafka answers without an authorizer: everything. The bits are Kafka's AclOperation codes.
const (
	topicOperations   int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

// topicNameMax is the longest name of a topic, in bytes.
const topicNameMax = 249

// validTopicName tells whether a topic may have this name.
func validTopicName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > topicNameMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
