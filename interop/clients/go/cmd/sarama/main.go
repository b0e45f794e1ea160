// Command sarama drives IBM's sarama at its newest protocol version.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/logbahn/logbahn/interop/clients/go/driver"
)

func main() {
	if os.Getenv("SARAMA_LOG") != "" {
		sarama.Logger = log.New(os.Stderr, "", log.Lmicroseconds)
	}
	driver.Main("sarama", "github.com/IBM/sarama", func(_ context.Context, params driver.Params) (driver.Library, error) {
		l := &library{addrs: params.Addresses()}
		var err error
		if l.client, err = sarama.NewClient(l.addrs, config()); err != nil {
			return nil, err
		}
		l.ClusterAdmin, err = sarama.NewClusterAdminFromClient(l.client)
		return l, err
	})
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Backoff = 50 * time.Millisecond
	return c
}

type library struct {
	sarama.ClusterAdmin
	client sarama.Client
	addrs  []string
}

func (l *library) ErrorCode(err error) (int16, bool) {
	var code sarama.KError
	if errors.As(err, &code) {
		return int16(code), true
	}
	return 0, false
}

// answered is a code as an error.
func answered(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}

func (l *library) CreateTopic(_ context.Context, topic string, partitions, replicas int, configs map[string]string) error {
	entries := map[string]*string{}
	for k, v := range configs {
		entries[k] = &v
	}
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: int16(replicas), ConfigEntries: entries}
	return l.ClusterAdmin.CreateTopic(topic, detail, false)
}

func (l *library) Describe(_ context.Context, topic string) (driver.Description, error) {
	brokers, controller, err := l.ClusterAdmin.DescribeCluster()
	if err != nil {
		return driver.Description{}, err
	}
	topics, err := l.DescribeTopics([]string{topic})
	if err != nil {
		return driver.Description{}, err
	}
	t := topics[0]
	d := driver.Description{
		Brokers: len(brokers), ControllerKnown: controller >= 0,
		Partitions: len(t.Partitions), LeadersKnown: true, Internal: t.IsInternal,
	}
	for _, p := range t.Partitions {
		d.LeadersKnown = d.LeadersKnown && p.Err == sarama.ErrNoError && p.Leader >= 0
	}
	return d, answered(t.Err)
}

func (l *library) Produce(_ context.Context, topic string, records []driver.Record, options driver.ProduceOptions) ([]int64, error) {
	c := config()
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll, "": sarama.WaitForAll}[options.Acks]
	c.Producer.Compression = map[string]sarama.CompressionCodec{
		"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[options.Codec]
	c.Producer.Flush.MaxMessages = options.BatchRecords
	if options.Idempotent {
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	}
	producer, err := sarama.NewSyncProducer(l.addrs, c)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	messages := messages(topic, records)
	if err := send(producer, messages); err != nil {
		return nil, err
	}
	var offsets []int64
	for _, m := range messages {
		if options.Acks == "0" {
			m.Offset = -1
		}
		offsets = append(offsets, m.Offset)
	}
	return offsets, nil
}

func messages(topic string, records []driver.Record) []*sarama.ProducerMessage {
	var ms []*sarama.ProducerMessage
	for _, r := range records {
		m := &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Value: sarama.ByteEncoder(r.Value), Timestamp: r.Time}
		if r.Key != nil {
			m.Key = sarama.ByteEncoder(r.Key)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
		}
		ms = append(ms, m)
	}
	return ms
}

func send(producer sarama.SyncProducer, messages []*sarama.ProducerMessage) error {
	err := producer.SendMessages(messages)
	var failed sarama.ProducerErrors
	if errors.As(err, &failed) {
		return failed[0].Err
	}
	return err
}

func record(m *sarama.ConsumerMessage) driver.Record {
	r := driver.Record{Key: m.Key, Value: m.Value, Time: m.Timestamp, Partition: m.Partition, Offset: m.Offset}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, driver.Header{Key: string(h.Key), Value: h.Value})
	}
	return r
}

type reader struct {
	consumer  sarama.Consumer
	partition sarama.PartitionConsumer
}

func (l *library) Read(_ context.Context, topic string, at driver.Position, options driver.ReadOptions) (driver.Reader, error) {
	c := config()
	c.Consumer.Return.Errors = true
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	if options.PartitionBytesMax > 0 {
		c.Consumer.Fetch.Default = options.PartitionBytesMax
	}
	if options.ReadCommitted {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	offset := at.Offset
	switch {
	case at.Start:
		offset = sarama.OffsetOldest
	case at.End:
		offset = sarama.OffsetNewest
	}
	consumer, err := sarama.NewConsumer(l.addrs, c)
	if err != nil {
		return nil, err
	}
	partition, err := consumer.ConsumePartition(topic, 0, offset)
	if err != nil {
		consumer.Close()
		return nil, err
	}
	return &reader{consumer, partition}, nil
}

func (r *reader) Next(ctx context.Context) ([]driver.Record, error) {
	select {
	case m := <-r.partition.Messages():
		return []driver.Record{record(m)}, nil
	case err := <-r.partition.Errors():
		return nil, err.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *reader) Close() {
	r.partition.Close()
	r.consumer.Close()
}

func (l *library) OffsetAt(_ context.Context, topic string, t time.Time) (int64, error) {
	return l.client.GetOffset(topic, 0, t.UnixMilli())
}

type member struct {
	group  sarama.ConsumerGroup
	topic  string
	stop   context.CancelFunc
	ended  chan struct{}
	record chan driver.Record
	failed chan error

	mu                sync.Mutex
	session           sarama.ConsumerGroupSession
	held              map[int32]bool
	assigned, revoked int
}

func (l *library) Join(_ context.Context, options driver.MemberOptions) (driver.Member, error) {
	c := config()
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	c.Consumer.Group.InstanceId = options.Instance
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	strategy := sarama.NewBalanceStrategyRange()
	if options.Assignor == driver.CooperativeSticky {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	group, err := sarama.NewConsumerGroup(l.addrs, options.Group, c)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{
		group: group, topic: options.Topic, stop: stop, held: map[int32]bool{},
		ended: make(chan struct{}), record: make(chan driver.Record), failed: make(chan error, 1),
	}
	go m.consume(ctx)
	return m, nil
}

// consume takes part in one generation after the other.
func (m *member) consume(ctx context.Context) {
	defer close(m.ended)
	for ctx.Err() == nil {
		if err := m.group.Consume(ctx, []string{m.topic}, m); err != nil && ctx.Err() == nil {
			m.failed <- err
			return
		}
	}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = session
	m.assigned++
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.hold(claim.Partition(), true)
	defer m.hold(claim.Partition(), false)
	for message := range claim.Messages() {
		select {
		case m.record <- record(message):
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

func (m *member) hold(partition int32, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held {
		m.held[partition] = true
		return
	}
	delete(m.held, partition)
	m.revoked++
}

func (m *member) Poll(ctx context.Context) ([]driver.Record, error) {
	var rs []driver.Record
	wait := time.NewTimer(100 * time.Millisecond)
	defer wait.Stop()
	for len(rs) < 100 {
		select {
		case r := <-m.record:
			rs = append(rs, r)
		case err := <-m.failed:
			return rs, err
		case <-wait.C:
			return rs, nil
		case <-ctx.Done():
			return rs, ctx.Err()
		}
	}
	return rs, nil
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

func (m *member) Assigned() int { m.mu.Lock(); defer m.mu.Unlock(); return m.assigned }
func (m *member) Revoked() int  { m.mu.Lock(); defer m.mu.Unlock(); return m.revoked }

func (m *member) Commit(_ context.Context, offsets map[int32]int64) error {
	m.mu.Lock()
	session := m.session
	m.mu.Unlock()
	for p, offset := range offsets {
		session.MarkOffset(m.topic, p, offset, "")
	}
	session.Commit()
	return nil
}

// Leave closes the group; sarama's static members do not leave then.
func (m *member) Leave() {
	m.stop()
	m.group.Close()
	<-m.ended
}

func (m *member) Stop() { m.Leave() }

func (l *library) Committed(_ context.Context, group, topic string) (int64, error) {
	response, err := l.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	if err != nil {
		return 0, err
	}
	block := response.GetBlock(topic, 0)
	if block == nil {
		return 0, errors.New("no answer for partition 0")
	}
	return block.Offset, answered(block.Err)
}

func (l *library) Close() { l.ClusterAdmin.Close() }
