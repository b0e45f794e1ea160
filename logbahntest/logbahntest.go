// Package logbahntest gives a test a real broker: the production engine, in memory, gone with the test.
//
//	func TestOrders(t *testing.T) {
//		broker := logbahntest.Run(t)
//		client := broker.Client(kgo.ConsumeTopics("orders"))
//		...
//	}
package logbahntest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn"
)

// stopPatience is what requests in flight get at the end of the test.
const stopPatience = 5 * time.Second

// Option changes the broker that Run starts.
type Option func(*logbahn.Config)

// Setting sets one of Kafka's broker settings.
func Setting(key, value string) Option {
	return func(c *logbahn.Config) { c.Settings[key] = value }
}

// Dir keeps the data in a directory instead of in memory.
func Dir(dir string) Option {
	return func(c *logbahn.Config) { c.Dir = dir }
}

// TCP listens on a free port of the loopback address, for clients outside of the test's process. Addr tells which.
func TCP() Option {
	return func(c *logbahn.Config) { c.Listeners = []string{"127.0.0.1:0"} }
}

// Broker is a running broker that ends with its test.
type Broker struct {
	*logbahn.Node
	t testing.TB
}

// Run starts a broker and returns when it answers. It makes topics on demand, has one partition for group offsets, and
// forms groups without delay, which options can change. A broker that does not start fails the test.
func Run(t testing.TB, options ...Option) *Broker {
	t.Helper()
	cfg := logbahn.Config{Settings: map[string]string{
		"offsets.topic.num.partitions":     "1",
		"group.initial.rebalance.delay.ms": "0",
	}}
	for _, o := range options {
		o(&cfg)
	}
	node, err := logbahn.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("logbahntest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		if err := node.Stop(ctx); err != nil {
			t.Errorf("logbahntest: stop: %v", err)
		}
	})
	return &Broker{node, t}
}

// Client returns a franz-go client of the broker, closed at the end of the test, that creates topics on demand.
func (b *Broker) Client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(append(append(b.ClientOptions(), kgo.AllowAutoTopicCreation()), opts...)...)
	if err != nil {
		b.t.Fatalf("logbahntest: %v", err)
	}
	b.t.Cleanup(client.Close)
	return client
}

// CreateTopic makes a topic. The settings are key, value, key, value.
func (b *Broker) CreateTopic(name string, partitions int32, settings ...string) {
	b.t.Helper()
	configs := map[string]*string{}
	for i := 0; i+1 < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(b.Client()).CreateTopic(ctx, partitions, 1, configs, name); err != nil {
		b.t.Fatalf("logbahntest: create topic %s: %v", name, err)
	}
}

// Produce writes values to a topic and returns when they are on its disk.
func (b *Broker) Produce(topic string, values ...string) {
	b.t.Helper()
	client := b.Client()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(v)})
	}
	if err := client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatalf("logbahntest: produce to %s: %v", topic, err)
	}
}

// Consume reads n records of a topic from its start, in the order of each partition, and returns their values. It fails
// the test when they are not there within ten seconds.
func (b *Broker) Consume(topic string, n int) []string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	client := b.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var values []string
	for len(values) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			b.t.Fatalf("logbahntest: consume %s: %v", topic, fmt.Errorf("%d of %d records: %w", len(values), n, err))
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values[:n]
}
