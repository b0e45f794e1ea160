package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// large returns an image of 20,000 topics with 10 partitions each, a third of which broker 1 leads.
func large(tb testing.TB) *Image {
	r := rand.New(rand.NewPCG(1, 2))
	img := NewImage("c")
	for base := 0; base < 20_000; base += 1000 {
		var changes []Change
		for i := range 1000 {
			partitions := make([]Partition, 10)
			for p := range partitions {
				replicas := []NodeID{1, 2, 3}
				partitions[p] = Partition{Replicas: replicas, ISR: replicas, Leader: NodeID(1 + p%3)}
			}
			changes = append(changes, CreateTopic{Topic{Name: fmt.Sprintf("topic-%d", base+i), ID: randomID(r), Partitions: partitions}})
		}
		next, _, err := img.Apply(changes, img.Offset()+1, 1)
		if err != nil {
			tb.Fatal(err)
		}
		img = next
	}
	return img
}

func BenchmarkApply200kPartitions(b *testing.B) {
	img := large(b)
	topic, _ := img.Topic("topic-777")
	p := topic.Partitions[3]
	p.PartitionEpoch++
	for name, c := range map[string]Change{
		"ChangePartition": ChangePartition{topic.ID, 3, p},
		"CreateTopic":     CreateTopic{Topic{Name: "new", ID: UUID{1}, Partitions: []Partition{solo(1)}}},
		"RegisterBroker":  RegisterBroker{Broker: Broker{ID: 1, Epoch: 1}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := img.Apply([]Change{c}, img.Offset()+1, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTopic200kPartitions(b *testing.B) {
	img := large(b)
	for b.Loop() {
		if _, ok := img.Topic("topic-777"); !ok {
			b.Fatal("gone")
		}
	}
}

func BenchmarkSnapshot200kPartitions(b *testing.B) {
	img := large(b)
	bytes := 0
	var buf []byte
	for b.Loop() {
		bytes = 0
		for list := range img.Snapshot() {
			buf = AppendChanges(buf[:0], list)
			bytes += len(buf)
		}
	}
	b.ReportMetric(float64(bytes), "snapshot-bytes")
}
