package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbahn/logbahn/interop/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// compared is the configuration that the brokers compared have in common, beyond Kafka's defaults.
var compared = []string{
	"num.partitions=4",
	"offsets.topic.num.partitions=3",
	"group.initial.rebalance.delay.ms=0",
}

// target is a broker that drivers are pointed at.
type target struct {
	addr     string           // host:port, of several brokers with commas between
	replicas int              // of the topics that checks make
	restart  func(testing.TB) // nil: it is not restarted

	smallTopic, logAppendTopic string

	quotas *sync.Mutex // of a broker that clients share: held while one of them counts and sets quotas
}

// dropQuota takes back what later.quotas has set, which the next client would count.
func (x *target) dropQuota(ctx context.Context, clientID string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(x.addr, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &clientID}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Remove: true}},
	}})
	return err
}

// logbahn is a cluster of this tree, or the one that LOGBAHN_BOOTSTRAP names, by one address or by all; an address may be a
// listener in proxy mode. LOGBAHN_RESTART is then the command that restarts it.
func logbahn(t *testing.T) *target {
	t.Helper()
	if addr := os.Getenv("LOGBAHN_BOOTSTRAP"); addr != "" {
		out := &target{addr: addr, replicas: placeAsked(t).nodes}
		if command := os.Getenv("LOGBAHN_RESTART"); command != "" {
			out.restart = func(t testing.TB) {
				if printed, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
					t.Errorf("LOGBAHN_RESTART: %v\n%s", err, printed)
				}
			}
		}
		return out
	}
	c := startNodes(t, compared...)
	return &target{addr: c.bootstrap(), replicas: len(c.running), restart: func(testing.TB) { c.roll() }}
}

// makeTopics makes the topics with a configuration that some checks need, of this client's own.
func (x *target) makeTopics(ctx context.Context, old *kafka.Broker, prefix string) error {
	x.smallTopic, x.logAppendTopic = prefix+"-small", prefix+"-log-append"
	if old != nil && old.Version == kafka.V09 {
		// It has no request that creates a topic, and no timestamps.
		x.logAppendTopic = ""
		_, err := old.Run(ctx, "kafka.admin.TopicCommand", "--zookeeper", old.ZooKeeper, "--create", "--topic", x.smallTopic,
			"--partitions", "1", "--replication-factor", strconv.Itoa(x.replicas), "--config", "max.message.bytes=10000")
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(x.addr, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	small, appendTime := "10000", "LogAppendTime"
	for topic, configs := range map[string]map[string]*string{
		x.smallTopic:     {"max.message.bytes": &small},
		x.logAppendTopic: {"message.timestamp.type": &appendTime},
	} {
		if _, err := admin.CreateTopic(ctx, 1, -1, configs, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create %s: %w", topic, err)
		}
	}
	return nil
}

// oracles are the running clusters of Apache Kafka, one of a release.
type oracles struct {
	t       *testing.T
	count   int // brokers of each
	quotas  sync.Mutex
	mu      sync.Mutex
	brokers map[string]*kafka.Broker
}

// broker starts the release when it is asked for first; it ends with the suite.
func (o *oracles) broker(version string) (*kafka.Broker, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.brokers[version]; b != nil {
		return b, nil
	}
	dir, err := os.MkdirTemp("", "kafka-"+version)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	b, err := kafka.Start(ctx, client(o.t), version, filepath.Join(dir, "broker"), o.count, slices.Concat(compared, replicated(o.count))...)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := warm(ctx, b); err != nil {
		return nil, errors.Join(err, b.Stop(), os.RemoveAll(dir))
	}
	o.brokers[version] = b
	o.t.Cleanup(func() {
		if err := errors.Join(b.Stop(), os.RemoveAll(dir)); err != nil {
			o.t.Error(err)
		}
	})
	return b, nil
}

// warm has a broker make what it makes at first use: the topics of groups and transactions, and a block of producer ids.
// Until they are there it answers with errors that some clients give up on.
func warm(ctx context.Context, b *kafka.Broker) error {
	if b.Version == kafka.V09 {
		return nil
	}
	for {
		err := useAll(ctx, b.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("warm kafka %s up: %w", b.Version, err)
		case <-time.After(time.Second):
		}
	}
}

// useAll makes a transaction and asks for the offsets of a group.
func useAll(ctx context.Context, addr string) error {
	producer, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.TransactionalID("warm"), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.BeginTransaction(); err != nil {
		return err
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "warm", Value: []byte("x")}).FirstErr(); err != nil {
		return err
	}
	if err := producer.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	_, err = kadm.NewClient(producer).FetchOffsets(ctx, "warm")
	return err
}
