package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/logbahntest"
)

func TestArrivals(t *testing.T) {
	row := func(topic string, partition int32) moveRow {
		return moveRow{Topic: topic, Partition: partition, From: []int32{1, 2}, To: []int32{3, 1}}
	}
	topic := func(code int16, partitions ...[]int32) *kmsg.MetadataResponseTopic {
		t := &kmsg.MetadataResponseTopic{ErrorCode: code}
		for i, replicas := range partitions {
			t.Partitions = append(t.Partitions, kmsg.MetadataResponseTopicPartition{Partition: int32(i), Replicas: replicas})
		}
		return t
	}
	told := view{
		"rides": topic(0, []int32{3, 1}, []int32{1, 2}, []int32{1, 3}),
		"gone":  topic(kerr.UnknownTopicOrPartition.Code),
		"mute":  topic(kerr.TopicAuthorizationFailed.Code),
	}
	late := view{"rides": topic(0, []int32{1, 2}, []int32{1, 2}, []int32{1, 3})}
	plan := []moveRow{row("rides", 0), row("rides", 1), row("rides", 2), row("gone", 0), row("unheard", 0), row("mute", 0)}
	arrived, astray := arrivals(plan, []view{late, told})
	if len(arrived) != 1 || arrived[0].Topic != "rides" || arrived[0].Partition != 0 {
		t.Errorf("arrived: %+v", arrived)
	}
	for i, want := range []string{
		`"rides" partition 1: not moved: its replicas are [1 2]; the move to [3 1] was called off`, `"rides" partition 2: not moved`,
		`"gone" partition 0: it has been deleted`, `"unheard" partition 0: it has been deleted`, "TOPIC_AUTHORIZATION_FAILED",
	} {
		if len(astray) != 5 || !strings.Contains(astray[i].Error(), want) {
			t.Errorf("astray %d is %v, want %s", i, astray, want)
		}
	}
}

// TestMoveCalledOff looks what became of a move that is not under way any more, and has not come to its end.
func TestMoveCalledOff(t *testing.T) {
	nodes := logbahntest.Run(t, logbahntest.Brokers(3))
	nodes.CreateTopic("rides", 1)
	client, err := kgo.NewClient(nodes.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	c := &cobra.Command{}
	c.SetErr(new(bytes.Buffer))
	run := &moveRun{c: c, client: client, admin: admin, wait: true}
	run.taken = []moveRow{{Topic: "rides", From: []int32{1, 2, 3}, To: []int32{1, 2}}} // which nobody has asked for, or called off since
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	arrived, astray, err := run.settle(ctx)
	if err != nil || len(arrived) != 0 || len(astray) != 1 || !strings.Contains(astray[0].Error(), "called off") {
		t.Errorf("arrived %v, astray %v, %v", arrived, astray, err)
	}
}
