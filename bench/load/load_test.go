//go:build linux

package load

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker runs a broker in memory and makes a topic on it.
func broker(t *testing.T, topic string, partitions int) string {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addr := cluster.ListenAddrs()[0]
	client, err := NewKafka([]string{addr}, OneCopy, kgo.NoCompression())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Create(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestWhatIsProducedIsFetched compares the counts of raw and library clients on both sides.
func TestWhatIsProducedIsFetched(t *testing.T) {
	addr := broker(t, "t", 1)
	batch := Batch(10, 1000)
	produced, err := ProduceLoad{Addr: addr, Topic: "t", Partitions: 1, Conns: 3, InFlight: 5, Acks: -1, Batch: batch, Records: 10,
		Limits: Limits{Time: time.Minute, Bytes: int64(100 * len(batch))}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if produced.Requests != 100 || produced.Records != 1000 || produced.Latency.TotalCount() != 100 {
		t.Errorf("produced %+v with %d latencies", produced, produced.Latency.TotalCount())
	}
	fetched, err := FetchLoad{Addr: addr, Topic: "t", Conns: 1, BytesMax: 100_000, Once: true,
		Limits: Limits{Time: time.Minute, Bytes: 1 << 30}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fetched.Records != 1000 || fetched.Bytes != int64(100*len(batch)) || fetched.Requests < 10 {
		t.Errorf("fetched %+v", fetched)
	}
	client, err := NewKafka([]string{addr}, OneCopy, kgo.ZstdCompression())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	more, err := client.Produce(t.Context(), "t", Values(1000), Limits{Time: time.Minute, Bytes: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	consumed, err := client.Consume(t.Context(), "t", 1000+more.Records)
	if err != nil {
		t.Fatal(err)
	}
	if more.Records != 500 || consumed.Records != 1500 || consumed.Bytes != 1_500_000 {
		t.Errorf("consumed %+v after %+v", consumed, more)
	}
}

// TestPacedLoadCountsEveryRequest checks that each request that is not a warm-up has both its latencies.
func TestPacedLoadCountsEveryRequest(t *testing.T) {
	addr := broker(t, "t", 3)
	r, err := PacedLoad{Addr: addr, Topic: "t", Partitions: 3, Rate: 300, Warm: 100 * time.Millisecond, Time: 200 * time.Millisecond,
		Batch: Batch(1, 100)}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 60 || r.Latency.TotalCount() != 60 || r.Visible.TotalCount() != 60 {
		t.Errorf("%d requests, %d acknowledged, %d seen", r.Requests, r.Latency.TotalCount(), r.Visible.TotalCount())
	}
}

// TestRefusalsAreErrors makes sure that a refused request does not count as a fast one.
func TestRefusalsAreErrors(t *testing.T) {
	addr := broker(t, "t", 1)
	load := ProduceLoad{Addr: addr, Topic: "t", Partitions: 2, Conns: 2, InFlight: 1, Acks: -1, Batch: Batch(1, 10), Records: 1,
		Limits: Limits{Time: time.Minute, Bytes: 10_000}}
	if r, err := load.Run(t.Context()); err == nil {
		t.Errorf("a partition that is not there took %+v", r)
	}
}

// TestTailReadsEachRecordOnce has two consumers at the end of a log that has records already.
func TestTailReadsEachRecordOnce(t *testing.T) {
	client, err := NewKafka([]string{broker(t, "t", 2)}, OneCopy, kgo.NoCompression())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	limits := Limits{Time: time.Minute, Bytes: 100_000}
	if _, err := client.Produce(t.Context(), "t", Values(1000), limits); err != nil {
		t.Fatal(err)
	}
	r, err := Tail(t.Context(), client, "t", Values(1000), 2, limits)
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != 200 || r.Bytes != 200_000 || r.Behind > r.Elapsed {
		t.Errorf("read %+v", r)
	}
}

// TestProduceReachesEveryPartition checks that the frame's partition is the one that is written to.
func TestProduceReachesEveryPartition(t *testing.T) {
	addr := broker(t, "t", 5)
	batch := Batch(1, 100)
	if _, err := (ProduceLoad{Addr: addr, Topic: "t", Partitions: 5, Conns: 1, InFlight: 2, Acks: -1, Batch: batch, Records: 1,
		Limits: Limits{Time: time.Minute, Bytes: int64(10 * len(batch))}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for p, end := range ends["t"] {
		if end.Offset != 2 {
			t.Errorf("partition %d has %d records", p, end.Offset)
		}
	}
}
