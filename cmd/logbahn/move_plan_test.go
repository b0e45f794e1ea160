package main

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func rowOfReplicas(topic string, partition int32, replicas ...int32) clusterPartitionRow {
	return clusterPartitionRow{Topic: topic, Partition: partition, Leader: replicas[0], Replicas: replicas, ISR: replicas}
}

func TestPlanMoves(t *testing.T) {
	rows := []clusterPartitionRow{rowOfReplicas("t", 0, 1, 2), rowOfReplicas("t", 1, 2, 3), rowOfReplicas("t", 2, 3, 1), rowOfReplicas("t", 3, 1, 3)}
	without1 := map[int32]string{2: "", 3: "", 4: ""}
	plan, err := planMoves(rows, newPlacement(without1, rows))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range plan {
		got += fmt.Sprint(m.name(), m.From, m.To, m.adds(), "; ")
	}
	if want := "t/0[1 2] [4 2] [4]; t/2[3 1] [3 4] [4]; t/3[1 3] [2 3] [2]; "; got != want {
		t.Errorf("plan %s, want %s", got, want)
	}
	if _, err := planMoves(rows, newPlacement(map[int32]string{2: ""}, rows)); exitCode(err) != exitRefused {
		t.Errorf("two replicas on one broker: %v", err)
	}
	racks := map[int32]string{2: "a", 3: "a", 4: "b", 5: "a"}
	plan, err = planMoves([]clusterPartitionRow{rowOfReplicas("t", 0, 2, 1)}, newPlacement(racks, append(slices.Repeat(rows, 3), rowOfReplicas("u", 0, 4, 1))))
	if err != nil || fmt.Sprint(plan[0].To) != "[2 4]" {
		t.Errorf("%v, %v: want the broker in the other rack", plan, err)
	}
}

// TestPlanMovesHolds draws clusters: a plan keeps the number of replicas, each broker once, chosen ones only, keeps what may
// stay, and leaves nobody with many more than others when all begin alike.
func TestPlanMovesHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		brokers := rapid.IntRange(2, 8).Draw(t, "brokers")
		copies := rapid.IntRange(1, brokers-1).Draw(t, "copies")
		gone := int32(rapid.IntRange(1, brokers).Draw(t, "gone"))
		var rows []clusterPartitionRow
		for p := range int32(rapid.IntRange(1, 40).Draw(t, "partitions")) {
			var replicas []int32
			for i := range copies {
				replicas = append(replicas, (p+int32(i))%int32(brokers)+1)
			}
			rows = append(rows, rowOfReplicas("t", p, replicas...))
		}
		racks := map[int32]string{}
		for id := range int32(brokers) {
			if id+1 != gone {
				racks[id+1] = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "rack")
			}
		}
		plan, err := planMoves(rows, newPlacement(racks, rows))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range plan {
			sorted := slices.Sorted(slices.Values(m.To))
			if len(m.To) != len(m.From) || len(slices.Compact(sorted)) != len(m.To) || slices.Contains(m.To, gone) || len(m.adds()) > 1 {
				t.Fatalf("%+v", m)
			}
		}
	})
}

func TestPlanLeaderships(t *testing.T) {
	alone := rowOfReplicas("t", 3, 1)
	preferredOnly := rowOfReplicas("t", 4, 1, 2)
	preferredOnly.Leader = 2
	behind := rowOfReplicas("t", 5, 1, 2, 3)
	behind.ISR = []int32{1, 3}
	rows := []clusterPartitionRow{rowOfReplicas("t", 0, 1, 2, 3), rowOfReplicas("t", 1, 2, 1), rowOfReplicas("t", 2, 1, 2, 3), alone, preferredOnly, behind}
	plan, stuck := planLeaderships(rows, 1, newPlacement(map[int32]string{1: "", 2: "", 3: ""}, rows))
	got := ""
	for _, m := range plan {
		got += fmt.Sprint(m.Partition, m.To, "; ")
	}
	if want := "0 [3 2 1]; 2 [2 3 1]; 4 [2 1]; 5 [3 2 1]; "; got != want || fmt.Sprint(stuck) != "[t/3]" {
		t.Errorf("plan %s, stuck %v, want %s", got, stuck, want)
	}
}
