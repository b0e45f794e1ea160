package node

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// TestStopAnswersLongPolls has a consumer that waits for records when the node stops: it gets what there is, and nobody is
// warned of a connection that ended in order.
func TestStopAnswersLongPolls(t *testing.T) {
	n := mustStart(t, vfs.NewMem())
	produce(t, n, "t", "a")
	conn, err := n.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes = 4, 60_000, 1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = 1, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	server := n.serving[0].server.Load()
	before := server.Stats().Requests
	if _, err := conn.Write(frameOf(req)); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return server.Stats().Requests > before })
	began := time.Now()
	stop(t, n)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the node stopped after %v", took)
	}
	b, err := read(conn)
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	got := answer(t, req, b).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if got.ErrorCode != int16(wire.None) || got.HighWatermark != 1 || len(got.RecordBatches) != 0 {
		t.Errorf("%+v", got)
	}
	if stats := server.Stats(); stats.ClosedByHandler != 0 {
		t.Errorf("%+v", stats)
	}
}
