package controller

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
)

// million returns a controller with 1,000 live brokers and 1,000,000 partitions of three replicas, in topics of so many
// partitions each.
func million(b *testing.B, perTopic int) (*Machine, *cluster.Image) {
	b.Helper()
	m := New(Config{})
	img := cluster.NewImage("c")
	apply := func(changes []cluster.Change) {
		next, _, err := img.Apply(changes, img.Offset()+1, 1)
		if err != nil {
			b.Fatal(err)
		}
		img = next
	}
	var changes []cluster.Change
	for id := range cluster.NodeID(1000) {
		changes = append(changes, cluster.RegisterBroker{Broker: cluster.Broker{ID: id, Epoch: int64(id)}})
		m.sessions.heard(id, int64(id), 0)
	}
	apply(changes)
	changes = nil
	next := uint64(0)
	for topic := range 1_000_000 / perTopic {
		t := cluster.Topic{Name: fmt.Sprintf("t%06d", topic), ID: cluster.UUID{1}}
		binary.BigEndian.PutUint64(t.ID[8:], uint64(topic)*0x9e3779b97f4a7c15)
		for range perTopic {
			first := next % 1000
			second := (first + 1 + next/1000%998) % 1000
			replicas := []cluster.NodeID{cluster.NodeID(first), cluster.NodeID(second), cluster.NodeID((second + 1) % 1000)}
			if replicas[2] == replicas[0] {
				replicas[2] = (replicas[2] + 1) % 1000
			}
			t.Partitions = append(t.Partitions, cluster.Partition{Replicas: replicas, ISR: replicas, Leader: replicas[0]})
			next++
		}
		if changes = append(changes, cluster.CreateTopic{Topic: t}); len(changes) == 1000 {
			apply(changes)
			changes = nil
		}
	}
	apply(append(changes, cluster.ReserveBrokerEpochs{Next: 1000}))
	return m, img
}

// BenchmarkMillion measures what the controller does at the size that it is made for, the next image included.
func BenchmarkMillion(b *testing.B) {
	for _, perTopic := range []int{10} {
		m, img := million(b, perTopic)
		commit := func(changes []cluster.Change) {
			if len(changes) == 0 {
				return
			}
			if _, _, err := img.Apply(changes, img.Offset()+1, 1); err != nil {
				b.Fatal(err)
			}
		}
		run := func(name string, f func() []cluster.Change) {
			b.Run(fmt.Sprintf("%s/%d", name, perTopic), func(b *testing.B) {
				n := 0
				for b.Loop() {
					changes := f()
					commit(changes)
					n = len(changes)
				}
				b.ReportMetric(float64(n), "changes")
			})
		}
		beat := kmsg.NewPtrBrokerHeartbeatRequest()
		beat.BrokerID, beat.BrokerEpoch, beat.CurrentMetadataOffset = 77, 77, img.Offset()
		run("heartbeat", func() []cluster.Change { _, c := m.Handle(1, img, beat); return c })
		run("tick", func() []cluster.Change { c, _ := m.Tick(1, img); return c })
		run("alter-partition", func() []cluster.Change { _, c := m.Handle(1, img, shrink(img)); return c })
		create := kmsg.NewPtrCreateTopicsRequest()
		for topic := range 10_000 / perTopic {
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = fmt.Sprintf("n%06d", topic), int32(perTopic), 3
			create.Topics = append(create.Topics, rt)
		}
		run("create-topics", func() []cluster.Change { _, c := m.Handle(1, img, create); return c })
		run("fence", func() []cluster.Change { r, _ := img.Broker(77); return m.fence(img, r) })
		run("register", func() []cluster.Change {
			return []cluster.Change{cluster.RegisterBroker{Broker: cluster.Broker{ID: 77, Epoch: 1000}}}
		})
		run("sweep", func() []cluster.Change {
			m.sweep = sweep{running: true, preferred: true}
			for m.sweep.running {
				m.sweepOn(1, img)
			}
			return nil
		})
	}
}

// shrink asks for another in-sync set of some partition.
func shrink(img *cluster.Image) *kmsg.AlterPartitionRequest {
	t, _ := img.Topic("t000042")
	p := &t.Partitions[3]
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, p.Leader, int64(p.Leader)
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.Partition = 3
	rp.NewEpochISR = []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{{BrokerID: p.Leader, BrokerEpoch: -1}}
	req.Topics = []kmsg.AlterPartitionRequestTopic{{TopicID: t.ID, Partitions: []kmsg.AlterPartitionRequestTopicPartition{rp}}}
	return req
}
