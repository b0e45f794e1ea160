// Command kafka-go drives segmentio's kafka-go: Writer, Reader, ConsumerGroup and Client.
package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/segmentio/kafka-go"
)

func main() {
	driver.Main("kafka-go", "github.com/segmentio/kafka-go", func(_ context.Context, params driver.Params) (driver.Library, error) {
		addr := kafka.TCP(params.Addresses()...)
		// It is also how long a broker may take to answer a request for metadata.
		transport := &kafka.Transport{MetadataTTL: 500 * time.Millisecond}
		return &library{addr: addr, bootstrap: params.Addresses(), Client: &kafka.Client{Addr: addr, Transport: transport}}, nil
	})
}

type library struct {
	*kafka.Client
	addr      net.Addr
	bootstrap []string
}

func (l *library) ErrorCode(err error) (int16, bool) {
	var code kafka.Error
	if errors.As(err, &code) {
		return int16(code), true
	}
	return 0, false
}

func (l *library) CreateTopic(ctx context.Context, topic string, partitions, replicas int, configs map[string]string) error {
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: replicas}
	for k, v := range configs {
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: v})
	}
	response, err := l.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	return response.Errors[topic]
}

func (l *library) Describe(ctx context.Context, topic string) (driver.Description, error) {
	response, err := l.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return driver.Description{}, err
	}
	d := driver.Description{Brokers: len(response.Brokers), ControllerKnown: response.Controller.Host != ""}
	if len(response.Topics) == 0 {
		return d, kafka.UnknownTopicOrPartition
	}
	t := response.Topics[0]
	d.Partitions, d.LeadersKnown, d.Internal = len(t.Partitions), true, t.Internal
	for _, p := range t.Partitions {
		d.LeadersKnown = d.LeadersKnown && p.Error == nil && p.Leader.Host != ""
	}
	return d, t.Error
}

// partitioner puts a message where the record's partition says, which the message carries as data of the writer's.
func partitioner(m kafka.Message, _ ...int) int { return m.WriterData.(written).partition }

type written struct{ index, partition int }

func (l *library) Produce(ctx context.Context, topic string, records []driver.Record, options driver.ProduceOptions) ([]int64, error) {
	if options.Idempotent {
		return nil, driver.Unsupported("its Writer has no idempotence")
	}
	offsets := make([]int64, len(records))
	var mu sync.Mutex
	acks := map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll, "": kafka.RequireAll}[options.Acks]
	w := &kafka.Writer{
		Addr: l.addr, Topic: topic, Balancer: kafka.BalancerFunc(partitioner), RequiredAcks: acks,
		BatchTimeout: 10 * time.Millisecond, BatchSize: max(len(records), 1), MaxAttempts: 3, Transport: l.Transport,
		Compression: map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}[options.Codec],
		Completion: func(messages []kafka.Message, err error) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range messages {
				offsets[m.WriterData.(written).index] = m.Offset
				if options.Acks == "0" || err != nil {
					offsets[m.WriterData.(written).index] = -1
				}
			}
		},
	}
	defer w.Close()
	var messages []kafka.Message
	for i, r := range records {
		m := kafka.Message{Key: r.Key, Value: r.Value, Time: r.Time, WriterData: written{i, int(r.Partition)}}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
		messages = append(messages, m)
	}
	err := w.WriteMessages(ctx, messages...)
	var each kafka.WriteErrors
	if errors.As(err, &each) {
		for _, err := range each {
			if err != nil {
				return nil, err
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return offsets, err
}

func record(m kafka.Message) driver.Record {
	r := driver.Record{Key: m.Key, Value: m.Value, Time: m.Time, Partition: int32(m.Partition), Offset: m.Offset}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, driver.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

type reader struct{ *kafka.Reader }

func (l *library) Read(ctx context.Context, topic string, at driver.Position, options driver.ReadOptions) (driver.Reader, error) {
	config := kafka.ReaderConfig{Brokers: l.bootstrap, Topic: topic, MaxWait: 100 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20}
	if options.PartitionBytesMax > 0 {
		config.MaxBytes = int(options.PartitionBytesMax)
	}
	if options.ReadCommitted {
		config.IsolationLevel = kafka.ReadCommitted
	}
	r := kafka.NewReader(config)
	offset := at.Offset
	switch {
	case at.Start:
		offset = kafka.FirstOffset
	case at.End:
		offset = kafka.LastOffset
	}
	if err := r.SetOffset(offset); err != nil {
		return nil, err
	}
	if at.End {
		return l.atEnd(ctx, r)
	}
	return reader{r}, nil
}

// atEnd waits for the first fetch, before which the reader does not know where the end is.
func (l *library) atEnd(ctx context.Context, r *kafka.Reader) (driver.Reader, error) {
	begin, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := r.ReadMessage(begin); !errors.Is(err, context.DeadlineExceeded) {
		return nil, errors.New("a record beyond the end")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for r.Stats().Fetches == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return reader{r}, nil
}

func (r reader) Next(ctx context.Context) ([]driver.Record, error) {
	m, err := r.ReadMessage(ctx)
	return []driver.Record{record(m)}, err
}

func (r reader) Close() { r.Reader.Close() }

func (l *library) OffsetAt(ctx context.Context, topic string, t time.Time) (int64, error) {
	p, err := l.listOffsets(ctx, topic, kafka.TimeOffsetOf(0, t))
	if err != nil {
		return 0, err
	}
	for offset := range p.Offsets {
		return offset, nil
	}
	return -1, nil
}

func (l *library) listOffsets(ctx context.Context, topic string, request kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	response, err := l.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {request}}})
	if err != nil {
		return kafka.PartitionOffsets{}, err
	}
	return response.Topics[topic][0], response.Topics[topic][0].Error
}

func (l *library) Committed(ctx context.Context, group, topic string) (int64, error) {
	response, err := l.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err != nil {
		return 0, err
	}
	if response.Error != nil {
		return 0, response.Error
	}
	return response.Topics[topic][0].CommittedOffset, response.Topics[topic][0].Error
}

func (l *library) Close() {}
