package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaClient is franz-go, with acks=all and the idempotent producer, as it comes, and a linger of 5 ms.
type kafkaClient struct {
	addrs  []string
	copies Copies
	codec  kgo.CompressionCodec
	admin  *kadm.Client
}

// Copies is how many replicas topics are made with, and how many of them must have a record before it is acknowledged.
type Copies struct{ Replicas, MinInSync int }

// OneCopy is what a broker alone has.
var OneCopy = Copies{1, 1}

// NewKafka returns a client of brokers; its producers compress with codec.
func NewKafka(addrs []string, copies Copies, codec kgo.CompressionCodec) (Client, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return nil, err
	}
	return &kafkaClient{addrs, copies, codec, kadm.NewClient(client)}, nil
}

func (c *kafkaClient) Close() { c.admin.Close() }

// createMax is how many partitions a request creates: Kafka's controller refuses what makes more than 10,000 records.
const createMax = 5000

func (c *kafkaClient) Create(ctx context.Context, topic string, partitions int) error {
	inSync := strconv.Itoa(c.copies.MinInSync)
	settings := map[string]*string{"min.insync.replicas": &inSync}
	if _, err := c.admin.CreateTopic(ctx, int32(min(partitions, createMax)), int16(c.copies.Replicas), settings, topic); err != nil {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	for n := createMax; n < partitions; n += createMax {
		if err := c.grow(ctx, topic, min(partitions, n+createMax)); err != nil {
			return err
		}
	}
	for { // a broker may answer before it leads all partitions
		offsets, err := c.admin.ListStartOffsets(ctx, topic)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil && len(offsets[topic]) == partitions {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", topic, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *kafkaClient) grow(ctx context.Context, topic string, partitions int) error {
	grown, err := c.admin.UpdatePartitions(ctx, partitions, topic)
	if err == nil {
		err = grown.Error()
	}
	if err != nil {
		return fmt.Errorf("%d partitions of %s: %w", partitions, topic, err)
	}
	return nil
}

// bufferedMax is how many records wait in the producer.
const bufferedMax = 50_000

func (c *kafkaClient) Produce(ctx context.Context, topic string, values [][]byte, l Limits) (*Result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(c.codec), kgo.MaxBufferedRecords(bufferedMax), kgo.MaxBufferedBytes(256<<20))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	r := &Result{}
	begin := time.Now()
	for r.Bytes < l.Bytes && (r.Records%64 != 0 || time.Since(begin) < l.Time) && failed.Load() == nil && ctx.Err() == nil {
		value := values[r.Records%int64(len(values))]
		client.Produce(ctx, &kgo.Record{Value: value}, done)
		r.Records++
		r.Bytes += int64(len(value))
	}
	if err := client.Flush(ctx); err != nil {
		return nil, err
	}
	r.Elapsed = time.Since(begin)
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return r, nil
}

func (c *kafkaClient) Consume(ctx context.Context, topic string, records int64) (*Result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	r := &Result{}
	begin := time.Now()
	for r.Records < records {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records: %w", r.Records, records, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			r.Records++
			r.Bytes += int64(len(record.Value))
		})
	}
	r.Elapsed = time.Since(begin)
	return r, nil
}

func (c *kafkaClient) Follow(ctx context.Context, topic string) (*Follower, error) {
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ends of %s: %w", topic, err)
	}
	from := map[string]map[int32]kgo.Offset{topic: {}}
	for partition, end := range ends[topic] {
		from[topic][partition] = kgo.NewOffset().At(end.Offset)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.ConsumePartitions(from))
	if err != nil {
		return nil, err
	}
	f := newFollower(client.Close)
	go func() {
		for {
			fetches := client.PollFetches(ctx)
			if fetches.IsClientClosed() {
				return
			}
			if err := fetches.Err(); err != nil {
				f.fail(err)
				return
			}
			var records, bytes int64
			fetches.EachRecord(func(record *kgo.Record) {
				records++
				bytes += int64(len(record.Value))
			})
			f.add(records, bytes)
		}
	}()
	return f, nil
}
