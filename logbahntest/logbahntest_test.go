package logbahntest_test

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/logbahntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ExampleRun shows a test of a program that writes orders.
func ExampleRun() {
	testOrders := func(t *testing.T) {
		broker := logbahntest.Run(t)
		broker.CreateTopic("orders", 1, "retention.ms", "3600000")
		broker.Produce("orders", "tea", "bread") // the program under test, with broker.Client or broker.Addr
		if got := broker.Consume("orders", 2); !slices.Equal(got, []string{"tea", "bread"}) {
			t.Errorf("orders %v", got)
		}
	}
	_ = testOrders // go test runs it
}

// ExampleBrokers shows a test of what a program does when the broker that it writes to is lost.
func ExampleBrokers() {
	testOrdersSurvive := func(t *testing.T) {
		cluster := logbahntest.Run(t, logbahntest.Brokers(3))
		cluster.CreateTopic("orders", 1)
		cluster.Produce("orders", "tea")
		cluster.Kill(cluster.Leader("orders", 0)) // and later cluster.Restart
		cluster.Produce("orders", "bread")        // the program under test, with cluster.ClientOptions
		if got := cluster.Consume("orders", 2); !slices.Equal(got, []string{"tea", "bread"}) {
			t.Errorf("orders %v", got)
		}
	}
	_ = testOrdersSurvive // go test runs it
}

func TestProduceAndConsume(t *testing.T) {
	b := logbahntest.Run(t)
	b.CreateTopic("orders", 1, "retention.ms", "1000000")
	b.Produce("orders", "a", "b", "c")
	if got := b.Consume("orders", 3); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("consumed %v", got)
	}
	configs, err := kadm.NewClient(b.Client()).DescribeTopicConfigs(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "1000000" {
			t.Errorf("retention.ms is %s", c.MaybeValue())
		}
	}
}

// TestBrokersAreTheirOwn runs two at once: what one has, the other has not.
func TestBrokersAreTheirOwn(t *testing.T) {
	one, other := logbahntest.Run(t), logbahntest.Run(t)
	one.Produce("orders", "a")
	topics, err := kadm.NewClient(other.Client()).ListTopics(t.Context())
	if err != nil || topics.Has("orders") || one.ClusterID() == other.ClusterID() {
		t.Errorf("topics %v, err %v, clusters %s and %s", topics.Names(), err, one.ClusterID(), other.ClusterID())
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		b := logbahntest.Run(t, logbahntest.Dir(dir), logbahntest.TCP(), logbahntest.Setting("num.partitions", "3"))
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("a")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		topics, err := kadm.NewClient(client).ListTopics(t.Context(), "orders")
		if err != nil || len(topics["orders"].Partitions) != 3 {
			t.Errorf("topics %v, err %v", topics, err)
		}
	})
	t.Run("again", func(t *testing.T) {
		b := logbahntest.Run(t, logbahntest.Dir(dir))
		if got := b.Consume("orders", 1); fmt.Sprint(got) != "[a]" {
			t.Errorf("the directory has kept %v", got)
		}
		if host, _, err := net.SplitHostPort(b.Addr()); err != nil || net.ParseIP(host) != nil {
			t.Errorf("it listens on %s, %v", b.Addr(), err)
		}
	})
}

// TestStopDoesNotWaitForIdleConsumers stops a broker while a member of a group waits for records: its long poll is
// woken. It is longer than the patience of the stop, which would cut it off.
func TestStopDoesNotWaitForIdleConsumers(t *testing.T) {
	for _, option := range []logbahntest.Option{logbahntest.TCP(), logbahntest.Brokers(1)} {
		said := new(spoken)
		b := logbahntest.Run(t, option, logbahntest.Log(slog.New(slog.NewTextHandler(said, nil))))
		b.Produce("orders", "a")
		opts := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20 * time.Second)}
		parked := make(chan struct{}, 16)
		member := b.Client(append(opts, kgo.WithHooks(fetchesWritten(parked)))...)
		if fetches := member.PollFetches(t.Context()); fetches.NumRecords() != 1 {
			t.Fatalf("polled %d records, err %v", fetches.NumRecords(), fetches.Err())
		}
		<-parked // the fetch of the record
		<-parked // the one behind it, which nothing will answer
		b.Stop(1)
		if log := said.String(); strings.Contains(log, "cut off") || !strings.Contains(log, "no client is connected any more") {
			t.Errorf("the stop waited for the member:\n%s", log)
		}
	}
}

// spoken is what brokers have said.
type spoken struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// fetchesWritten has a token for every Fetch that has been sent.
type fetchesWritten chan struct{}

func (f fetchesWritten) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == 1 {
		select {
		case f <- struct{}{}:
		default:
		}
	}
}

// TestKillAndRestart keeps what was acknowledged.
func TestKillAndRestart(t *testing.T) {
	c := logbahntest.Run(t)
	c.Produce("orders", "a", "b")
	id := c.ClusterID()
	c.Kill(1)
	if c.Node(1) != nil || c.ClusterID() != "" {
		t.Error("a killed broker is there")
	}
	c.Restart(1)
	if c.ClusterID() != id {
		t.Errorf("cluster %s, was %s", c.ClusterID(), id)
	}
	c.Produce("orders", "c")
	if got := c.Consume("orders", 3); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("consumed %v", got)
	}
	c.Restart(1) // in order, this time
	if got := c.Consume("orders", 3); fmt.Sprint(got) != "[a b c]" {
		t.Errorf("consumed %v", got)
	}
	if c.Leader("orders", 0) != 1 || c.Controller() != 1 {
		t.Error("another broker than the only one leads")
	}
}

// TestBrokersSurvive kills, restarts, stops and cuts off brokers of three while a program writes.
func TestBrokersSurvive(t *testing.T) {
	t.Parallel()
	c := logbahntest.Run(t, logbahntest.Brokers(3))
	c.CreateTopic("orders", 1)
	c.Produce("orders", "a")
	leader := c.Leader("orders", 0)
	c.Kill(leader)
	c.Produce("orders", "b")
	if now := c.Leader("orders", 0); now == leader {
		t.Errorf("broker %d leads, which was killed", now)
	}
	c.Restart(leader)
	controller := c.Controller()
	c.Stop(controller)
	c.Produce("orders", "c")
	c.Restart(controller)
	c.Kill(c.Controller())
	c.Produce("orders", "d")
	if got := c.Consume("orders", 4); fmt.Sprint(got) != "[a b c d]" {
		t.Errorf("consumed %v", got)
	}
}

// TestCutLeader cuts the leader off from the others, while clients reach it: what is acknowledged meanwhile is kept, and what
// the old leader alone has written is not.
func TestCutLeader(t *testing.T) {
	t.Parallel()
	c := logbahntest.Run(t, logbahntest.Brokers(3))
	c.CreateTopic("orders", 1)
	c.Produce("orders", "a")
	leader := c.Leader("orders", 0)
	for id := range int32(3) {
		if id+1 != leader {
			c.Cut(leader, id+1)
		}
	}
	c.Produce("orders", "b")
	if now := c.Leader("orders", 0); now == leader {
		t.Errorf("broker %d still leads", now)
	}
	c.Heal()
	c.Produce("orders", "c")
	c.Kill(c.Leader("orders", 0))
	c.Produce("orders", "d")
	if got := c.Consume("orders", 4); fmt.Sprint(got) != "[a b c d]" {
		t.Errorf("consumed %v", got)
	}
}
