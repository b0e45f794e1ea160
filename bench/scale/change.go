//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
)

const (
	createTries = 20 // topics that are made one by one
	alterTries  = 50 // in-sync sets that are changed one by one
)

// change measures changes, from the request until the controller has answered, until the real broker has applied it, and
// until every stub has it.
func (m *measurement) change(ctx context.Context) error {
	var answered, everywhere []time.Duration
	read := m.log.read.Load()
	for range createTries {
		begin := time.Now()
		if err := m.createTopics(ctx, 1, perTopic); err != nil {
			return err
		}
		answered = append(answered, time.Since(begin))
		if err := m.lastTopicEverywhere(ctx); err != nil {
			return err
		}
		everywhere = append(everywhere, time.Since(begin))
	}
	m.set("create_topic_ms", ms(median(answered)))
	m.set("create_topic_everywhere_ms", ms(median(everywhere)))
	m.set("create_topic_kb", float64(m.log.read.Load()-read)/1e3/createTries)

	begin := time.Now()
	if err := m.createTopics(ctx, 1, m.big()); err != nil {
		return err
	}
	m.set("create_big_ms", ms(time.Since(begin)))
	if err := m.lastTopicEverywhere(ctx); err != nil {
		return err
	}
	m.set("create_big_everywhere_ms", ms(time.Since(begin)))

	if err := m.alter(ctx, "alter", topicName(0)); err != nil {
		return err
	}
	return m.alter(ctx, "alter_big", topicName(m.topics-1))
}

// lastTopicEverywhere returns when every stub has got to where the last topic was made.
func (m *measurement) lastTopicEverywhere(ctx context.Context) error {
	name := topicName(m.topics - 1)
	img, err := m.watch.await(ctx, func(img *cluster.Image) bool { _, ok := img.Topic(name); return ok })
	if err != nil {
		return err
	}
	return m.everywhere(ctx, img.Offset())
}

// alter changes in-sync sets one by one, of a topic's partitions and of the topics that follow it by name.
func (m *measurement) alter(ctx context.Context, figure, from string) error {
	img := m.watch.Image()
	first, _ := img.Topic(from)
	took, err := applied(img, first)
	if err != nil {
		return err
	}
	m.set(figure+"_image_us", float64(took.Nanoseconds())/1e3)
	var answered, broker, everywhere []time.Duration
	for t := range img.TopicsFrom(from) {
		for i := range t.Partitions {
			leader := m.stub(t.Partitions[i].Leader)
			if leader == nil || len(answered) == alterTries {
				continue
			}
			begin := time.Now()
			if err := leader.alterISR(ctx, t, int32(i), leader.id); err != nil {
				return err
			}
			answered = append(answered, time.Since(begin))
			if err := m.brokerHasIt(ctx); err != nil {
				return err
			}
			broker = append(broker, time.Since(begin))
			now, err := m.watch.await(ctx, func(img *cluster.Image) bool { p, _ := img.Partition(t.Name, int32(i)); return len(p.ISR) == 1 })
			if err != nil {
				return err
			}
			if err := m.everywhere(ctx, now.Offset()); err != nil {
				return err
			}
			everywhere = append(everywhere, time.Since(begin))
			t, _ := now.TopicByID(t.ID)
			if err := leader.alterISR(ctx, t, int32(i), t.Partitions[i].Replicas...); err != nil { // so that others may lead later
				return err
			}
		}
		if len(answered) == alterTries {
			break
		}
	}
	if len(answered) == 0 {
		return fmt.Errorf("no stub leads a partition from %s on", from)
	}
	m.set(figure+"_ms", ms(median(answered)))
	m.set(figure+"_broker_ms", ms(median(broker)))
	m.set(figure+"_everywhere_ms", ms(median(everywhere)))
	return nil
}

// stub returns a stub that is not lost, nil for other brokers.
func (f *fleet) stub(id cluster.NodeID) *stub {
	if i := int(id - realID - 1); i >= 0 && i < len(f.stubs) && !f.stubs[i].lost() {
		return f.stubs[i]
	}
	return nil
}

// alterISR has the stub ask for another in-sync set of a partition that it leads.
func (s *stub) alterISR(ctx context.Context, t *cluster.Topic, index int32, isr ...cluster.NodeID) error {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, s.id, s.epoch.Load()
	rt := kmsg.NewAlterPartitionRequestTopic()
	rt.TopicID = t.ID
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	p := &t.Partitions[index]
	rp.Partition, rp.LeaderEpoch, rp.PartitionEpoch = index, p.LeaderEpoch, p.PartitionEpoch
	for _, id := range isr {
		rp.NewEpochISR = append(rp.NewEpochISR, kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{BrokerID: id, BrokerEpoch: -1})
	}
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	answer, err := s.ask(ctx, req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.AlterPartitionResponse)
	if err := failure(resp.ErrorCode); err != nil {
		return err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fmt.Errorf("AlterPartition of one partition is answered for %d topics", len(resp.Topics))
	}
	return failure(resp.Topics[0].Partitions[0].ErrorCode)
}

// brokerHasIt returns when the real broker has applied all that the controller has answered. It asks the controller for
// something that changes nothing: the broker answers when its image has all that the controller's had.
func (m *measurement) brokerHasIt(ctx context.Context) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly = 60_000, true
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = "probe", 1, 1
	req.Topics = append(req.Topics, t)
	answer, err := m.client.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return err
	}
	return failure(answer.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
}
