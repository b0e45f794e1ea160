//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streamClient is nats.go with file storage and asynchronous publishing, a stream standing for a partition.
type streamClient struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	streams int
	pending int // messages that may be under way, by the size of those that were published last
}

// The most that may be under way to or from the server, in messages and in bytes. Beyond 128 MB a stream refuses messages, and
// with 64 MB of large ones consumers fall behind what the library buffers and begin again and again.
const (
	pendingMax      = 8192
	pendingBytesMax = 16 << 20
)

// NewJetStream returns a client of a NATS server.
func NewJetStream(addr string) (Client, error) {
	conn, err := nats.Connect("nats://" + addr)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	return &streamClient{conn: conn, js: js, pending: pendingMax}, err
}

func (c *streamClient) Close() { c.conn.Close() }

// subject is the subject and the name of the stream that stands for a partition.
func subject(topic string, partition int) string { return topic + "-" + strconv.Itoa(partition) }

func (c *streamClient) Create(ctx context.Context, topic string, partitions int) error {
	c.streams = partitions
	for i := range partitions {
		name := subject(topic, i)
		if _, err := c.js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Storage: jetstream.FileStorage}); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}

func (c *streamClient) Produce(ctx context.Context, topic string, values [][]byte, l Limits) (*Result, error) {
	c.pending = min(pendingMax, pendingBytesMax/len(values[0]))
	var failed atomic.Pointer[error]
	js, err := jetstream.New(c.conn, jetstream.WithPublishAsyncMaxPending(c.pending),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.CompareAndSwap(nil, &err) }))
	if err != nil {
		return nil, err
	}
	defer js.CleanupPublisher()
	subjects := make([]string, c.streams)
	for i := range subjects {
		subjects[i] = subject(topic, i)
	}
	r := &Result{}
	begin := time.Now()
	for r.Bytes < l.Bytes && (r.Records%64 != 0 || time.Since(begin) < l.Time) && ctx.Err() == nil && failed.Load() == nil {
		value := values[r.Records%int64(len(values))]
		// In runs, as a partitioner that fills batches does.
		_, err := js.PublishAsync(subjects[r.Records/64%int64(len(subjects))], value)
		if errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.Records++
		r.Bytes += int64(len(value))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.Elapsed = time.Since(begin)
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return r, nil
}

func (c *streamClient) Consume(ctx context.Context, topic string, records int64) (*Result, error) {
	var left, bytes atomic.Int64
	left.Store(records)
	done := make(chan struct{})
	begin := time.Now()
	for i := range c.streams {
		consumer, err := c.js.OrderedConsumer(ctx, subject(topic, i), jetstream.OrderedConsumerConfig{})
		if err != nil {
			return nil, err
		}
		consuming, err := consumer.Consume(func(m jetstream.Msg) {
			bytes.Add(int64(len(m.Data())))
			if left.Add(-1) == 0 {
				close(done)
			}
		}, jetstream.PullMaxMessages(c.pending))
		if err != nil {
			return nil, err
		}
		defer consuming.Stop()
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%d of %d records: %w", records-left.Load(), records, ctx.Err())
	}
	return &Result{Records: records, Bytes: bytes.Load(), Elapsed: time.Since(begin)}, nil
}

func (c *streamClient) Follow(ctx context.Context, topic string) (*Follower, error) {
	conn, err := nats.Connect(c.conn.ConnectedUrl())
	if err != nil {
		return nil, err
	}
	f := newFollower(conn.Close)
	js, err := jetstream.New(conn)
	for i := 0; err == nil && i < c.streams; i++ {
		err = c.followStream(ctx, js, subject(topic, i), f)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return f, nil
}

func (c *streamClient) followStream(ctx context.Context, js jetstream.JetStream, name string, f *Follower) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: stream.CachedInfo().State.LastSeq + 1})
	if err != nil {
		return err
	}
	_, err = consumer.Consume(func(m jetstream.Msg) { f.add(1, int64(len(m.Data()))) }, jetstream.PullMaxMessages(c.pending))
	return err
}

// PacedStreams is [PacedLoad] for JetStream.
type PacedStreams struct {
	Addr  string
	Topic string
	Load  PacedLoad // Batch is the message
}

// Run publishes all messages and returns when they have been acknowledged and seen by the consumers.
func (l PacedStreams) Run(ctx context.Context) (*Result, error) {
	p := l.Load
	warm, total := p.requests(p.Warm), p.requests(p.Warm+p.Time)
	s := schedule{begin: time.Now().Add(100 * time.Millisecond), interval: time.Second / time.Duration(p.Rate), warm: warm}
	conn, err := nats.Connect("nats://" + l.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	acked := newSamples(&s, total)
	seen := newSamples(&s, total)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(total), jetstream.WithPublishAsyncAckHandler(
		func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { acked.add(m.Header.Get("k")) }))
	if err != nil {
		return nil, err
	}
	followed, err := l.follow(ctx, seen)
	if err != nil {
		return nil, err
	}
	defer followed()
	err = paced(ctx, &s, total, func(k int) error {
		m := nats.NewMsg(subject(l.Topic, k%p.Partitions))
		m.Data = p.Batch
		m.Header.Set("k", strconv.Itoa(k))
		_, err := js.PublishMsgAsync(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, all := range []*samples{acked, seen} {
		select {
		case <-all.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &Result{Requests: int64(total - warm), Records: int64(total - warm), Bytes: int64((total - warm) * len(p.Batch)),
		Elapsed: time.Since(s.due(warm)), Latency: acked.histogram, Visible: seen.histogram}, nil
}

// follow reads all streams over a connection of its own.
func (l PacedStreams) follow(ctx context.Context, seen *samples) (stop func(), err error) {
	conn, err := nats.Connect("nats://" + l.Addr)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	for i := 0; err == nil && i < l.Load.Partitions; i++ {
		var consumer jetstream.Consumer
		if consumer, err = js.OrderedConsumer(ctx, subject(l.Topic, i), jetstream.OrderedConsumerConfig{}); err == nil {
			_, err = consumer.Consume(func(m jetstream.Msg) { seen.add(m.Headers().Get("k")) })
		}
	}
	if err != nil {
		conn.Close()
	}
	return conn.Close, err
}
