//go:build linux

package main

import (
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
)

// TestElectionIsOver loses a broker that leads one partition with another replica in sync, and one without.
func TestElectionIsOver(t *testing.T) {
	img := cluster.NewImage("c")
	apply := func(changes ...cluster.Change) {
		t.Helper()
		next, _, err := img.Apply(changes, img.Offset()+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		img = next
	}
	id, both := cluster.UUID{1}, []cluster.NodeID{1, 2}
	apply(cluster.CreateTopic{Topic: cluster.Topic{Name: "t", ID: id, Partitions: []cluster.Partition{
		{Replicas: both, ISR: both, Leader: 1},
		{Replicas: both, ISR: []cluster.NodeID{1}, Leader: 1},
		{Replicas: both, ISR: both, Leader: 2},
	}}})
	e := newElection(img, []*stub{{id: 1}})
	if e.led != 2 || e.held != 3 {
		t.Errorf("the broker leads %d and has %d replicas, not 2 and 3", e.led, e.held)
	}
	if e.over(img) {
		t.Error("it is over before anybody is elected")
	}
	apply(cluster.ChangePartition{TopicID: id, Partition: cluster.Partition{
		Replicas: both, ISR: []cluster.NodeID{2}, Leader: 2, LeaderEpoch: 1, PartitionEpoch: 1,
	}})
	if !e.over(img) || e.stranded != 1 {
		t.Errorf("it is not over, or %d partitions are stranded, not 1", e.stranded)
	}
}
