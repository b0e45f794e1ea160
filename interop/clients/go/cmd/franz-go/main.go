// Command franz-go drives kgo and kadm.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	driver.Main("franz-go", "github.com/twmb/franz-go", func(_ context.Context, params driver.Params) (driver.Library, error) {
		l := &library{seeds: kgo.SeedBrokers(params.Addresses()...)}
		cl, err := kgo.NewClient(l.seeds, kgo.MetadataMinAge(10*time.Millisecond))
		if err != nil {
			return nil, err
		}
		l.cl, l.Client = cl, kadm.NewClient(cl)
		return l, nil
	})
}

type library struct {
	*kadm.Client
	cl    *kgo.Client
	seeds kgo.Opt
}

func (l *library) ErrorCode(err error) (int16, bool) {
	var e *kerr.Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}

func (l *library) CreateTopic(ctx context.Context, topic string, partitions, replicas int, configs map[string]string) error {
	values := map[string]*string{}
	for k, v := range configs {
		values[k] = &v
	}
	_, err := l.Client.CreateTopic(ctx, int32(partitions), int16(replicas), values, topic)
	return err
}

func (l *library) Describe(ctx context.Context, topic string) (driver.Description, error) {
	m, err := l.Metadata(ctx, topic)
	if err != nil {
		return driver.Description{}, err
	}
	t := m.Topics[topic]
	d := driver.Description{
		Brokers: len(m.Brokers), ControllerKnown: m.Controller >= 0,
		Partitions: len(t.Partitions), LeadersKnown: true, Internal: t.IsInternal,
	}
	for _, p := range t.Partitions {
		d.LeadersKnown = d.LeadersKnown && p.Err == nil && p.Leader >= 0
	}
	return d, t.Err
}

func (l *library) Produce(ctx context.Context, topic string, records []driver.Record, options driver.ProduceOptions) ([]int64, error) {
	codecs := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[options.Codec]
	if !ok {
		codec = kgo.NoCompression()
	}
	opts := []kgo.Opt{l.seeds, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec), kgo.UnknownTopicRetries(-1)}
	switch {
	case options.Acks == "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case options.Acks == "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case !options.Idempotent:
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var offsets []int64
	for _, chunk := range chunks(records, options.BatchRecords) {
		results := cl.ProduceSync(ctx, toKgo(topic, chunk)...)
		if err := results.FirstErr(); err != nil {
			return nil, err
		}
		for _, result := range results {
			offset := result.Record.Offset
			if options.Acks == "0" {
				offset = -1
			}
			offsets = append(offsets, offset)
		}
	}
	return offsets, nil
}

func chunks(records []driver.Record, size int) [][]driver.Record {
	if size == 0 {
		size = len(records)
	}
	return slices.Collect(slices.Chunk(records, size))
}

func toKgo(topic string, records []driver.Record) []*kgo.Record {
	var out []*kgo.Record
	for _, r := range records {
		record := &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Time}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		out = append(out, record)
	}
	return out
}

func fromKgo(fetches kgo.Fetches) []driver.Record {
	var out []driver.Record
	fetches.EachRecord(func(r *kgo.Record) {
		logAppend := r.Attrs.TimestampType() == 1
		record := driver.Record{Key: r.Key, Value: r.Value, Time: r.Timestamp, Partition: r.Partition, Offset: r.Offset, LogAppend: &logAppend}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, driver.Header{Key: h.Key, Value: h.Value})
		}
		out = append(out, record)
	})
	return out
}

// reader reads partition 0. fetching is closed when the first Fetch is written, which is when the position is known.
type reader struct {
	cl       *kgo.Client
	once     sync.Once
	fetching chan struct{}
}

func (r *reader) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == int16(kmsg.Fetch) {
		r.once.Do(func() { close(r.fetching) })
	}
}

func (l *library) Read(ctx context.Context, topic string, at driver.Position, options driver.ReadOptions) (driver.Reader, error) {
	offset := kgo.NewOffset().At(at.Offset)
	switch {
	case at.Start:
		offset = kgo.NewOffset().AtStart()
	case at.End:
		offset = kgo.NewOffset().AtEnd()
	}
	r := &reader{fetching: make(chan struct{})}
	opts := []kgo.Opt{l.seeds, kgo.WithHooks(r), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: offset}})}
	if options.PartitionBytesMax > 0 {
		opts = append(opts, kgo.FetchMaxPartitionBytes(options.PartitionBytesMax))
	}
	if options.ReadCommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	r.cl = cl
	select {
	case <-r.fetching:
		return r, nil
	case <-ctx.Done():
		cl.Close()
		return nil, errors.New("no fetch was sent")
	}
}

func (r *reader) Next(ctx context.Context) ([]driver.Record, error) {
	fetches := r.cl.PollFetches(ctx)
	return fromKgo(fetches), fetches.Err()
}

func (r *reader) Close() { r.cl.Close() }

func (l *library) OffsetAt(ctx context.Context, topic string, t time.Time) (int64, error) {
	return offset(l.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topic))(topic)
}

// offset is that of partition 0 in what a call of kadm returns.
func offset(listed kadm.ListedOffsets, err error) func(topic string) (int64, error) {
	return func(topic string) (int64, error) {
		if err != nil {
			return 0, err
		}
		o, ok := listed.Lookup(topic, 0)
		if !ok {
			return 0, errors.New("no offset of partition 0")
		}
		return o.Offset, o.Err
	}
}

type member struct {
	cl    *kgo.Client
	topic string

	mu                sync.Mutex
	held              map[int32]bool
	assigned, revoked int
}

func (l *library) Join(_ context.Context, options driver.MemberOptions) (driver.Member, error) {
	m := &member{topic: options.Topic, held: map[int32]bool{}}
	balancer := kgo.RangeBalancer()
	if options.Assignor == driver.CooperativeSticky {
		balancer = kgo.CooperativeStickyBalancer()
	}
	opts := []kgo.Opt{
		l.seeds, kgo.ConsumerGroup(options.Group), kgo.ConsumeTopics(options.Topic), kgo.Balancers(balancer),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(m.onAssigned), kgo.OnPartitionsRevoked(m.onRevoked), kgo.OnPartitionsLost(m.onRevoked),
		kgo.FetchMaxWait(100 * time.Millisecond),
	}
	if options.Instance != "" {
		opts = append(opts, kgo.InstanceID(options.Instance))
	}
	var err error
	m.cl, err = kgo.NewClient(opts...)
	return m, err
}

func (m *member) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(added[m.topic]) > 0 {
		m.assigned++
	}
	for _, p := range added[m.topic] {
		m.held[p] = true
	}
}

func (m *member) onRevoked(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked += len(lost[m.topic])
	for _, p := range lost[m.topic] {
		delete(m.held, p)
	}
}

func (m *member) Poll(ctx context.Context) ([]driver.Record, error) {
	wait, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	fetches := m.cl.PollFetches(wait)
	if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return fromKgo(fetches), nil
}

func (m *member) Assignment() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var held []int32
	for p := range m.held {
		held = append(held, p)
	}
	return held
}

func (m *member) Assigned() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned
}

func (m *member) Revoked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revoked
}

func (m *member) Commit(ctx context.Context, offsets map[int32]int64) error {
	commit := map[string]map[int32]kgo.EpochOffset{m.topic: {}}
	for p, offset := range offsets {
		commit[m.topic][p] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var failed error
	m.cl.CommitOffsetsSync(ctx, commit, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		failed = err
		if response == nil {
			return
		}
		for _, t := range response.Topics {
			for _, p := range t.Partitions {
				if failed == nil {
					failed = kerr.ErrorForCode(p.ErrorCode)
				}
			}
		}
	})
	return failed
}

// Leave: a static member of kgo does not leave when it closes.
func (m *member) Leave() { m.cl.Close() }
func (m *member) Stop()  { m.cl.Close() }

func (l *library) Committed(ctx context.Context, group, topic string) (int64, error) {
	fetched, err := l.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	o, ok := fetched.Lookup(topic, 0)
	if !ok {
		return 0, fmt.Errorf("no answer for partition 0 of %s", topic)
	}
	return o.At, o.Err
}

func (l *library) Close() { l.Client.Close(); l.cl.Close() }
