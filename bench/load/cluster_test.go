//go:build linux

package load

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokers runs three brokers in memory with a topic whose partitions they lead in turn.
func brokers(t *testing.T, topic string, partitions int) (addrs []string, leaders []string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(int32(partitions), topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addrs = cluster.ListenAddrs()
	for p := range partitions {
		if err := cluster.MoveTopicPartition(topic, int32(p), int32(p%3)); err != nil {
			t.Fatal(err)
		}
		leaders = append(leaders, addrs[p%3])
	}
	return addrs, leaders
}

func TestRawFramesReachLeaders(t *testing.T) {
	const partitions = 7
	addrs, leaders := brokers(t, "t", partitions)
	batch := Batch(1, 100)
	produced, err := ProduceLoad{Leaders: leaders, Topic: "t", Partitions: partitions, Conns: 4, InFlight: 2, Acks: -1, Batch: batch, Records: 1,
		Limits: Limits{Time: time.Minute, Bytes: int64(40 * len(batch))}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	var all int64
	for p := range int32(partitions) {
		end, _ := ends.Lookup("t", p)
		if end.Offset == 0 {
			t.Errorf("partition %d has no records", p)
		}
		all += end.Offset
	}
	if all != 40 || produced.Requests != 40 {
		t.Errorf("%d records are there, %d requests were counted", all, produced.Requests)
	}
	_, err = ProduceLoad{Leaders: leaders, Topic: "t", Partitions: partitions, Conns: 2, InFlight: 1, Acks: -1, Batch: batch, Records: 1,
		Limits: Limits{Time: time.Minute, Bytes: 1}}.Run(t.Context())
	if err == nil {
		t.Error("two connections have reached three brokers")
	}
}

// TestDealCoversPartitions checks that every partition is some connection's, and that the connection is to its leader.
func TestDealCoversPartitions(t *testing.T) {
	for partitions := 1; partitions < 9; partitions++ {
		for conns := 3; conns < 9; conns++ {
			l := ProduceLoad{Topic: "t", Partitions: partitions, Conns: conns}
			for p := range partitions {
				l.Leaders = append(l.Leaders, strconv.Itoa(p*p%3))
			}
			addrs, shares, err := l.deal()
			if err != nil {
				t.Fatal(err)
			}
			dealt := map[int32]bool{}
			for i, own := range shares {
				if len(own) == 0 {
					t.Errorf("%d partitions, %d connections: the connection %d has none", partitions, conns, i)
				}
				for _, p := range own {
					dealt[p] = true
					if l.Leaders[p] != addrs[i] {
						t.Errorf("partition %d is led by %s and dealt to a connection to %s", p, l.Leaders[p], addrs[i])
					}
				}
			}
			if len(dealt) != partitions {
				t.Errorf("%d partitions, %d connections: %v dealt", partitions, conns, dealt)
			}
		}
	}
}

func TestPacedRequestsToSeveralBrokers(t *testing.T) {
	_, leaders := brokers(t, "t", 4)
	r, err := PacedLoad{Leaders: leaders, Topic: "t", Partitions: 4, Rate: 400, Warm: 50 * time.Millisecond, Time: 100 * time.Millisecond,
		Batch: Batch(1, 100)}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 40 || r.Latency.TotalCount() != 40 || r.Visible.TotalCount() != 40 {
		t.Errorf("%d requests, %d answers, %d seen", r.Requests, r.Latency.TotalCount(), r.Visible.TotalCount())
	}
}

func TestSilence(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	line := newTimeline(2)
	for ms := 0; ms <= 100; ms += 10 {
		line.add(0, at(ms))
		if ms <= 20 || ms >= 70 {
			line.add(1, at(ms))
		}
	}
	for _, c := range []struct{ from, to, want int }{{0, 100, 50}, {0, 20, 10}, {75, 100, 10}, {40, 60, 20}, {0, 200, 100}, {5, 10, 5}} {
		if got := line.Silence(at(c.from), at(c.to)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("from %d to %d: silent for %v, want %d ms", c.from, c.to, got, c.want)
		}
	}
}

// TestSteadyOutlastsRefusals has the brokers refuse what the loop writes.
func TestSteadyOutlastsRefusals(t *testing.T) {
	const partitions = 4
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(partitions, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s, err := StartSteady(t.Context(), cluster.ListenAddrs(), "t", partitions, 200)
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int32
	for range 3 {
		if err := s.Calm(t.Context(), time.Now(), 100*time.Millisecond, 90*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			refused.Add(1)
			return refusal(req.(*kmsg.ProduceRequest)), nil, true
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Calm(ctx, time.Now(), time.Hour, 0); err == nil {
		t.Error("calm for an hour already")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if refused.Load() == 0 {
		t.Error("nothing was refused")
	}
}

// refusal answers a request as a broker does that no longer leads.
func refusal(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		answer := kmsg.NewProduceResponseTopic()
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.NotLeaderForPartition.Code
			answer.Partitions = append(answer.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

func TestAdmin(t *testing.T) {
	const partitions = 6
	addrs, leaders := brokers(t, "t", partitions)
	a, err := NewAdmin(append([]string{"127.0.0.99:1"}, addrs...)) // the first does not answer
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ids, err := a.Leaders(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for p, id := range ids {
		if addrs[id] != leaders[p] {
			t.Errorf("partition %d: leader %d at %s, want %s", p, id, addrs[id], leaders[p])
		}
	}
	if _, err := a.Await(t.Context(), time.Millisecond, []string{"t"}, Partition.InSync); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := a.Await(ctx, time.Millisecond, []string{"t"}, func(p Partition) bool { return p.Index != 2 }); err == nil {
		t.Error("a partition was as it never is")
	}
	took, err := Touch(t.Context(), addrs, map[string]int{"t": partitions}, 10)
	if err != nil || took <= 0 {
		t.Errorf("touched within %v: %v", took, err)
	}
	if slices.Contains(ids, -1) {
		t.Errorf("leaders %v", ids)
	}
}
