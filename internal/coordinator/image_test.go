package coordinator

import (
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
)

func TestImage(t *testing.T) {
	one := cluster.Partition{Replicas: []cluster.NodeID{1}, ISR: []cluster.NodeID{1}, Leader: 1}
	empty := cluster.NewImage("c")
	topic := func(name string, id byte, partitions int) cluster.CreateTopic {
		made := cluster.Topic{Name: name, ID: cluster.UUID{id}}
		for range partitions {
			made.Partitions = append(made.Partitions, one)
		}
		return cluster.CreateTopic{Topic: made}
	}
	img := empty
	for i, c := range []cluster.Change{
		cluster.RegisterBroker{Broker: cluster.Broker{ID: 1, Epoch: 1}},
		topic("t", 9, 3), topic(OffsetsTopic, 8, 50),
	} {
		next, _, err := img.Apply([]cluster.Change{c}, int64(i), 1)
		if err != nil {
			t.Fatal(err)
		}
		img = next
	}
	image := func() *cluster.Image { return img }
	topics := ImageTopics(image)
	byName, _ := topics.Topic("t")
	byID, _ := topics.TopicByID([16]byte{9})
	if want := (Topic{Name: "t", ID: [16]byte{9}, Partitions: 3}); byName != want || byID != want {
		t.Fatalf("%+v, %+v", byName, byID)
	}
	if _, ok := topics.Topic("nowhere"); ok {
		t.Fatal("there is no such topic")
	}
	if n := ImagePartitions(image)(); n != 50 {
		t.Fatalf("%d partitions", n)
	}
	if got := DeletedTopics(cluster.Diff(img, empty)); len(got) != 2 || got[1] != byName && got[0] != byName {
		t.Fatalf("%+v", got)
	}
	img = empty
	if n := ImagePartitions(image)(); n != 0 {
		t.Fatalf("%d partitions", n)
	}
}
