package proxy

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// Produce, versions 0 to 13: each leader gets its partitions, in the order of the client's requests.

type produceShape = shape[kmsg.ProduceRequestTopic, kmsg.ProduceRequestTopicPartition, kmsg.ProduceResponseTopic, kmsg.ProduceResponseTopicPartition]

// route is where the produces of a partition that are under way have gone. Others follow them.
type route struct {
	node     cluster.NodeID
	underWay int
}

// routeKey names a partition as the client does.
type routeKey struct {
	topic     topicRef
	partition int32
}

// produced is a Produce request that has been sent.
type produced struct {
	*call
	question *question[kmsg.ProduceRequestTopic, kmsg.ProduceRequestTopicPartition, kmsg.ProduceResponseTopic, kmsg.ProduceResponseTopicPartition]
	keys     [][]routeKey // of the partitions of the topics
	routes   [][]*route
}

// produce sends a request to the leaders. What req aliases is not needed afterwards.
func (r *call) produce(ctx context.Context, req *wire.ProduceRequest) (broker.Finish, error) {
	p := &produced{call: r}
	byID := req.Version >= produceTopicIDVersion
	s := produceShape{
		topic:      func(t *kmsg.ProduceRequestTopic) topicRef { return topicRef{name: t.Topic, id: t.TopicID, byID: byID} },
		partitions: func(t *kmsg.ProduceRequestTopic) *[]kmsg.ProduceRequestTopicPartition { return &t.Partitions },
		index:      func(p *kmsg.ProduceRequestTopicPartition) int32 { return p.Partition },
		request: func(topics []kmsg.ProduceRequestTopic) kmsg.Request {
			part := kmsg.NewPtrProduceRequest()
			part.TransactionID, part.Acks, part.TimeoutMillis, part.Topics = req.TransactionalID, req.Acks, req.TimeoutMillis, topics
			return part
		},
		answers:  func(resp kmsg.Response) *[]kmsg.ProduceResponseTopic { return &resp.(*kmsg.ProduceResponse).Topics },
		answered: func(t *kmsg.ProduceResponseTopic) *[]kmsg.ProduceResponseTopicPartition { return &t.Partitions },
		number:   func(p *kmsg.ProduceResponseTopicPartition) int32 { return p.Partition },
	}
	topics := produceTopics(req)
	p.keys, p.routes = make([][]routeKey, len(topics)), make([][]*route, len(topics))
	nodes := make(map[routeKey]cluster.NodeID) // whatever becomes of the routes meanwhile
	for i := range topics {
		for j := range topics[i].Partitions {
			key := routeKey{s.topic(&topics[i]), topics[i].Partitions[j].Partition}
			to, err := p.follow(ctx, key)
			if err != nil {
				return nil, err
			}
			p.keys[i], p.routes[i] = append(p.keys[i], key), append(p.routes[i], to)
			nodes[key] = to.node
		}
	}
	p.question = s.divide(r.proxy.cfg.NodeID, topics, func(ref topicRef, index int32) cluster.NodeID {
		return nodes[routeKey{ref, index}]
	})
	if req.Acks == 0 {
		return noReply, p.sendOneWay(ctx)
	}
	if err := p.question.send(ctx, r); err != nil {
		return nil, err
	}
	p.forgetRecords()
	return p.wait, nil
}

// forgetRecords lets go of the records, which are the frame's, while the answers are waited for.
func (p *produced) forgetRecords() {
	forget := func(topics []kmsg.ProduceRequestTopic) {
		for i := range topics {
			for j := range topics[i].Partitions {
				topics[i].Partitions[j].Records = nil
			}
		}
	}
	forget(p.question.topics)
	for _, portion := range p.question.portions { // copies
		forget(portion.topics)
	}
}

const produceTopicIDVersion = 13

func produceTopics(req *wire.ProduceRequest) []kmsg.ProduceRequestTopic {
	topics := make([]kmsg.ProduceRequestTopic, len(req.Topics))
	for i := range req.Topics {
		from, to := &req.Topics[i], &topics[i]
		to.Topic, to.TopicID = from.Topic, from.TopicID
		to.Partitions = make([]kmsg.ProduceRequestTopicPartition, len(from.Partitions))
		for j := range from.Partitions {
			to.Partitions[j].Partition, to.Partitions[j].Records = from.Partitions[j].Partition, from.Partitions[j].Records
		}
	}
	return topics
}

func noReply(context.Context) wire.Response { return nil }

// follow notes that a produce of the partition is under way, to where others are, or to its leader.
func (p *produced) follow(ctx context.Context, key routeKey) (*route, error) {
	p.mu.Lock()
	to := p.mu.routes[key]
	if to != nil {
		to.underWay++
	}
	p.mu.Unlock()
	if to != nil {
		return to, nil
	}
	node, err := p.reachable(ctx, p.leader(key.topic, key.partition))
	if err != nil {
		return nil, err
	}
	to = &route{node: node, underWay: 1}
	p.mu.Lock()
	p.mu.routes[key] = to // only Start makes routes, one call of it at a time
	p.mu.Unlock()
	return to, nil
}

// arrived notes that a produce has been answered. Those behind it follow no longer once an error has been told.
func (c *Conn) arrived(key routeKey, to *route, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to.underWay--
	if c.mu.routes[key] == to && (failed || to.underWay == 0) {
		delete(c.mu.routes, key)
	}
}

// sendOneWay sends a request of a client that wants no replies.
func (p *produced) sendOneWay(ctx context.Context) error {
	for _, portion := range p.question.portions {
		s, err := p.reach(ctx, portion.node)
		if err != nil {
			return err
		}
		if err := s.SendOneWay(p.message(p.question.shape.request(portion.topics))); err != nil {
			return err
		}
	}
	for i := range p.keys {
		for j := range p.keys[i] {
			p.Conn.arrived(p.keys[i][j], p.routes[i][j], false)
		}
	}
	return nil
}

// wait is the Finish of a request.
func (p *produced) wait(ctx context.Context) wire.Response {
	answer, err := p.question.wait(ctx)
	if err != nil {
		return lost{err}
	}
	resp := answer.(*kmsg.ProduceResponse)
	self := p.self()
	moved := false
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			rp := &resp.Topics[i].Partitions[j]
			p.Conn.arrived(p.keys[i][j], p.routes[i][j], rp.ErrorCode != 0)
			if rp.CurrentLeader.LeaderID >= 0 {
				rp.CurrentLeader.LeaderID, moved = self.NodeID, true
			}
		}
	}
	resp.Brokers = nil
	if moved {
		b := kmsg.NewProduceResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = self.NodeID, self.Host, self.Port, self.Rack
		resp.Brokers = append(resp.Brokers, b)
	}
	return wire.Message(resp)
}
