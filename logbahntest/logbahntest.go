// Package logbahntest gives a test a real broker, or a cluster of them: the production engine, in memory, gone with the
// test.
//
//	func TestOrders(t *testing.T) {
//		broker := logbahntest.Run(t)
//		client := broker.Client(kgo.ConsumeTopics("orders"))
//		...
//	}
//
// With Brokers(3) the test can do to the brokers what an operator fears, and see what its program makes of it:
//
//	func TestOrdersSurvive(t *testing.T) {
//		cluster := logbahntest.Run(t, logbahntest.Brokers(3))
//		cluster.Kill(cluster.Leader("orders", 0))
//		...
//	}
package logbahntest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn"
)

const (
	stopPatience    = 5 * time.Second  // of requests in flight at the end of the test
	requestPatience = 10 * time.Second // of what a test asks for
	startPatience   = 30 * time.Second // of a start, which waits for a majority
	produceTimeout  = 2 * time.Second  // then a leader that gets no answer from the others is taken for lost
)

// Option changes what Run starts.
type Option func(*options)

type options struct {
	logbahn.ClusterConfig
	tcp bool
}

// Brokers starts so many brokers instead of one, with the ids 1, 2 and so on: one cluster, every broker a voter of its
// controller quorum too. Topics have three replicas and min.insync.replicas 2 unless a Setting says otherwise.
func Brokers(n int) Option {
	return func(o *options) { o.Nodes = n }
}

// Setting sets one of Kafka's broker settings, of every broker.
func Setting(key, value string) Option {
	return func(o *options) { o.Settings[key] = value }
}

// Log writes what the brokers have to say.
func Log(log *slog.Logger) Option {
	return func(o *options) { o.Log = log }
}

// Dir keeps the data in a directory instead of in memory, each broker's in a folder of it.
func Dir(dir string) Option {
	return func(o *options) { o.Dir = dir }
}

// TCP listens on free ports of the loopback address, for clients outside of the test's process. Addrs tells which.
func TCP() Option {
	return func(o *options) { o.tcp = true }
}

// Cluster is one running broker or several, which end with their test. Brokers are named by their ids, from 1 on.
type Cluster struct {
	t     testing.TB
	nodes *logbahn.Cluster
}

// Run starts a broker, or as many as Brokers says, and returns when they answer. They make topics on demand, have one
// partition for group offsets, form groups without delay, and miss a broker after two seconds, which options can change.
// What does not start fails the test.
func Run(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	o := options{ClusterConfig: logbahn.ClusterConfig{Nodes: 1, Settings: map[string]string{
		"offsets.topic.num.partitions":     "1",
		"group.initial.rebalance.delay.ms": "0",
		"broker.session.timeout.ms":        "2000", // a test waits that long for the next leader
		"broker.heartbeat.interval.ms":     "200",
	}}}
	for _, option := range opts {
		option(&o)
	}
	if o.tcp {
		o.Listeners = slices.Repeat([]string{"127.0.0.1:0"}, o.Nodes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	nodes, err := logbahn.StartCluster(ctx, o.ClusterConfig)
	if err != nil {
		t.Fatalf("logbahntest: %v", err)
	}
	c := &Cluster{t, nodes}
	t.Cleanup(c.end)
	return c
}

func (c *Cluster) end() {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	if err := c.nodes.Stop(ctx); err != nil {
		c.t.Errorf("logbahntest: stop: %v", err)
	}
}

// Node returns a broker as its program has it, nil while it does not run.
func (c *Cluster) Node(id int32) *logbahn.Node { return c.nodes.Node(id) }

// ClusterID returns the id of the cluster.
func (c *Cluster) ClusterID() string { return c.nodes.ClusterID() }

// Addr returns the address of the first broker. Without TCP it means something to Client and ClientOptions only.
func (c *Cluster) Addr() string { return c.nodes.Addrs()[0] }

// Addrs returns the addresses of all brokers, by id.
func (c *Cluster) Addrs() []string { return c.nodes.Addrs() }

// ClientOptions make a franz-go client in this process that reaches all brokers.
func (c *Cluster) ClientOptions() []kgo.Opt { return c.nodes.ClientOptions() }

// Client returns a franz-go client of all brokers, closed at the end of the test, that creates topics on demand.
func (c *Cluster) Client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	client, err := kgo.NewClient(append(append(c.ClientOptions(), kgo.AllowAutoTopicCreation()), opts...)...)
	if err != nil {
		c.t.Fatalf("logbahntest: %v", err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// admin calls do with an administrative client.
func (c *Cluster) admin(what string, do func(ctx context.Context, admin *kadm.Client) error) {
	c.t.Helper()
	client, err := kgo.NewClient(c.ClientOptions()...)
	if err != nil {
		c.t.Fatalf("logbahntest: %v", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.t.Context(), requestPatience)
	defer cancel()
	if err := do(ctx, kadm.NewClient(client)); err != nil {
		c.t.Fatalf("logbahntest: %s: %v", what, err)
	}
}

// CreateTopic makes a topic with the default number of replicas. The settings are key, value, key, value.
func (c *Cluster) CreateTopic(name string, partitions int32, settings ...string) {
	c.t.Helper()
	configs := map[string]*string{}
	for i := 0; i+1 < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	c.admin("create topic "+name, func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.CreateTopic(ctx, partitions, -1, configs, name)
		return err
	})
}

// Produce writes values to a topic and returns when they are safe.
func (c *Cluster) Produce(topic string, values ...string) {
	c.t.Helper()
	client := c.Client(kgo.ProduceRequestTimeout(produceTimeout))
	defer client.Close()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(v)})
	}
	if err := client.ProduceSync(c.t.Context(), records...).FirstErr(); err != nil {
		c.t.Fatalf("logbahntest: produce to %s: %v", topic, err)
	}
}

// Consume reads n records of a topic from its start, in the order of each partition, and returns their values. It fails
// the test when they are not there within ten seconds.
func (c *Cluster) Consume(topic string, n int) []string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), requestPatience)
	defer cancel()
	client := c.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	var values []string
	for len(values) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("logbahntest: consume %s: %v", topic, fmt.Errorf("%d of %d records: %w", len(values), n, err))
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values[:n]
}

// Leader returns the broker that leads a partition, as the broker that knows of the newest leader says: one that is cut off
// does not know. While there is none it waits, up to ten seconds.
func (c *Cluster) Leader(topic string, partition int32) int32 {
	c.t.Helper()
	leader, epoch := int32(-1), int32(-1)
	c.await(fmt.Sprintf("leader of %s/%d", topic, partition), func(told []*kmsg.MetadataResponse) bool {
		leader, epoch = -1, -1
		for _, m := range told {
			for _, t := range m.Topics {
				for _, p := range t.Partitions {
					if t.Topic != nil && *t.Topic == topic && p.Partition == partition && p.LeaderEpoch > epoch {
						leader, epoch = p.Leader, p.LeaderEpoch
					}
				}
			}
		}
		return leader >= 0 && c.Node(leader) != nil
	})
	return leader
}

// Controller returns the broker that leads the metadata quorum, as most brokers say. While there is none it waits, up to ten
// seconds.
func (c *Cluster) Controller() int32 {
	c.t.Helper()
	controller := int32(-1)
	c.await("controller", func(told []*kmsg.MetadataResponse) bool {
		votes := map[int32]int{}
		for _, m := range told {
			if votes[m.ControllerID]++; votes[m.ControllerID] > c.nodes.Size()/2 {
				controller = m.ControllerID
			}
		}
		return controller >= 0 && c.Node(controller) != nil
	})
	return controller
}

const (
	awaitInterval = 20 * time.Millisecond
	askPatience   = time.Second // of a broker that may be about to end
)

// await asks every broker that runs for its metadata until enough says that it is.
func (c *Cluster) await(what string, enough func(told []*kmsg.MetadataResponse) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), requestPatience)
	defer cancel()
	var brokers []*kgo.Broker
	for i, address := range c.Addrs() {
		if c.Node(int32(i+1)) == nil {
			continue
		}
		client, err := kgo.NewClient(append(c.ClientOptions(), kgo.SeedBrokers(address))...)
		if err != nil {
			c.t.Fatalf("logbahntest: %v", err)
		}
		defer client.Close()
		brokers = append(brokers, client.SeedBrokers()[0])
	}
	for {
		if enough(c.ask(ctx, brokers)) {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("logbahntest: %s: there is none after %v", what, requestPatience)
		case <-time.After(awaitInterval):
		}
	}
}

// ask returns what the brokers say, leaving out those that do not answer.
func (c *Cluster) ask(ctx context.Context, brokers []*kgo.Broker) (told []*kmsg.MetadataResponse) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answers := make([]kmsg.Response, len(brokers))
	var asking sync.WaitGroup
	for i, b := range brokers {
		asking.Go(func() { answers[i], _ = b.Request(ctx, kmsg.NewPtrMetadataRequest()) })
	}
	asking.Wait()
	for _, answer := range answers {
		if m, ok := answer.(*kmsg.MetadataResponse); ok && m != nil {
			told = append(told, m)
		}
	}
	return told
}

// Kill ends a broker as kill -9 does: nothing is flushed, nothing said. What it has written is there after Restart.
func (c *Cluster) Kill(id int32) {
	c.t.Helper()
	if err := c.nodes.Kill(id); err != nil {
		c.t.Fatalf("logbahntest: kill: %v", err)
	}
}

// Stop stops a broker in order: it hands over what it leads, then ends.
func (c *Cluster) Stop(id int32) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestPatience)
	defer cancel()
	if err := c.nodes.StopNode(ctx, id); err != nil {
		c.t.Fatalf("logbahntest: stop broker %d: %v", id, err)
	}
}

// Restart starts a broker that was killed or stopped, with its data, and returns when it answers. A broker that runs is
// stopped first.
func (c *Cluster) Restart(id int32) {
	c.t.Helper()
	c.Stop(id)
	ctx, cancel := context.WithTimeout(c.t.Context(), startPatience)
	defer cancel()
	if err := c.nodes.Start(ctx, id); err != nil {
		c.t.Fatalf("logbahntest: restart broker %d: %v", id, err)
	}
}

// Cut cuts the way between two brokers: nothing that they send to each other arrives before Heal. Clients reach both.
func (c *Cluster) Cut(one, other int32) {
	c.t.Helper()
	if err := c.nodes.Cut(one, other); err != nil {
		c.t.Fatalf("logbahntest: cut: %v", err)
	}
}

// Heal ends all cuts.
func (c *Cluster) Heal() { c.nodes.Heal() }
