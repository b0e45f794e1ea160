//go:build linux

package load

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Timeline is when something happened to each partition. Any goroutine may use it.
type Timeline struct {
	mu    sync.Mutex
	times [][]time.Time
}

func newTimeline(partitions int) *Timeline { return &Timeline{times: make([][]time.Time, partitions)} }

func (t *Timeline) add(partition int32, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times[partition] = append(t.times[partition], at)
}

// Silence returns the longest time between from and to in which nothing happened to some partition.
func (t *Timeline) Silence(from, to time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	longest := time.Duration(0)
	for _, times := range t.times {
		first, _ := slices.BinarySearchFunc(times, from, time.Time.Compare)
		last := from
		for _, at := range times[first:] {
			if at.After(to) {
				break
			}
			longest = max(longest, at.Sub(last))
			last = at
		}
		longest = max(longest, to.Sub(last))
	}
	return longest
}

// Steady is an open loop through a client library: record k is due at the beginning plus k/Rate, and goes to partition
// k mod Partitions, whatever has become of those before. It goes on while brokers fail, until it is closed, and notes when
// each record was acknowledged by all in-sync replicas, and when a consumer had it. The client asks for metadata, and tries
// again, every 100 ms where its defaults are seconds: what is measured is the cluster.
type Steady struct {
	Acked *Timeline
	Read  *Timeline

	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	err     error
}

// steadyPause is how soon the clients try again.
const steadyPause = 100 * time.Millisecond

func persistent(addrs []string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(addrs...), kgo.MetadataMinAge(steadyPause), kgo.UnknownTopicRetries(-1),
		kgo.RetryBackoffFn(func(int) time.Duration { return steadyPause }), kgo.RequestRetries(math.MaxInt32), kgo.RetryTimeout(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner())}
}

// StartSteady starts the loop on a topic that has so many partitions.
func StartSteady(ctx context.Context, addrs []string, topic string, partitions, rate int) (*Steady, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Steady{Acked: newTimeline(partitions), Read: newTimeline(partitions), cancel: cancel}
	producer, err := kgo.NewClient(append(persistent(addrs), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1e6))...)
	if err != nil {
		cancel()
		return nil, err
	}
	consumer, err := kgo.NewClient(append(persistent(addrs), kgo.ConsumePartitions(fromStart(topic, partitions)))...)
	if err != nil {
		cancel()
		producer.Close()
		return nil, err
	}
	s.running.Go(func() { s.produce(ctx, producer, partitions, rate) })
	s.running.Go(func() { s.consume(ctx, consumer) })
	return s, nil
}

func fromStart(topic string, partitions int) map[string]map[int32]kgo.Offset {
	from := make(map[int32]kgo.Offset)
	for p := range partitions {
		from[int32(p)] = kgo.NewOffset().AtStart()
	}
	return map[string]map[int32]kgo.Offset{topic: from}
}

// Close ends both clients, and returns what went wrong other than by its end.
func (s *Steady) Close() error {
	s.cancel()
	s.running.Wait()
	return s.err
}

func (s *Steady) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *Steady) produce(ctx context.Context, client *kgo.Client, partitions, rate int) {
	defer client.Close()
	value := Value(100)
	acknowledged := func(record *kgo.Record, err error) {
		switch {
		case err == nil:
			s.Acked.add(record.Partition, time.Now())
		case ctx.Err() == nil:
			s.fail(fmt.Errorf("produce: %w", err))
		}
	}
	loop := schedule{begin: time.Now(), interval: time.Second / time.Duration(rate)}
	_ = paced(ctx, &loop, math.MaxInt, func(k int) error { // which ends with ctx only
		client.Produce(ctx, &kgo.Record{Partition: int32(k % partitions), Value: value}, acknowledged)
		return nil
	})
}

func (s *Steady) consume(ctx context.Context, client *kgo.Client) {
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(_ string, p int32, err error) { s.fail(fmt.Errorf("consume partition %d: %w", p, err)) })
		now := time.Now()
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				s.Read.add(p.Partition, now)
			}
		})
	}
}

// Touch writes a record of n bytes to each partition of each topic, all at once, and returns how long it took until all were
// acknowledged. What fails is tried again until the context ends.
func Touch(ctx context.Context, addrs []string, topics map[string]int, n int) (time.Duration, error) {
	all := 0
	for _, partitions := range topics {
		all += partitions
	}
	client, err := kgo.NewClient(append(persistent(addrs), kgo.MaxBufferedRecords(all), kgo.ProducerLinger(5*time.Millisecond))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	value := Value(n)
	var mu sync.Mutex
	left, failed := all, error(nil)
	begin := time.Now()
	for topic, partitions := range topics {
		for p := range partitions {
			client.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(p), Value: value}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					left--
				} else if failed == nil {
					failed = err
				}
			})
		}
	}
	err = client.Flush(ctx)
	took := time.Since(begin)
	mu.Lock()
	defer mu.Unlock()
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, fmt.Errorf("%d of %d partitions have not been written to: %w", left, all, err)
	}
	return took, nil
}

// Calm returns when, for a span that began at from or later, every partition has been written to and read without a pause
// longer than gap.
func (s *Steady) Calm(ctx context.Context, from time.Time, span, gap time.Duration) error {
	for {
		now := time.Now()
		unwritten, unread := s.Acked.Silence(now.Add(-span), now), s.Read.Silence(now.Add(-span), now)
		if now.Sub(from) >= span && max(unwritten, unread) <= gap {
			return nil
		}
		s.mu.Lock()
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("within the last %v a partition was not written to for %v, or not read for %v: %w", span, unwritten, unread, ctx.Err())
		case <-time.After(calmPause):
		}
	}
}

// calmPause is how often Calm looks.
const calmPause = 100 * time.Millisecond
