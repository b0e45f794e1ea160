package kafkacli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func replicaVerificationTool() *tool {
	return &tool{
		name: "kafka-replica-verification",
		does: "Validate that all replicas for a set of topics have the same data.",
		run:  runReplicaVerification,
		options: []option{
			{name: "broker-list", kind: text, value: "hostname:port,...,hostname:port", help: "REQUIRED: where the cluster answers."},
			{name: "fetch-size", kind: integer, value: "bytes", fallback: "1048576", help: "How much of each partition to ask for at a time."},
			{name: "max-wait-ms", kind: integer, value: "ms", fallback: "1000", help: "How long a broker may wait for records."},
			{name: "topics-include", kind: text, value: "Java regex (String)", fallback: ".*", help: "A regular expression of topics."},
			{name: "time", kind: long, value: "timestamp/-1(latest)/-2(earliest)", fallback: "-1", help: "Where to begin: at the first record of a time in milliseconds since 1970 or later, or at the end, -1, or the start, -2."},
			{name: "report-interval-ms", kind: long, value: "ms", fallback: "30000", help: "How often to say how far it is."},
		},
	}
}

func runReplicaVerification(ctx context.Context, c *call) error {
	o := c.opts
	if err := o.require("broker-list"); err != nil {
		return err
	}
	servers, pattern := o.text("broker-list"), o.text("topics-include")
	v := &verification{
		call: c, next: map[topicPartition]int64{}, names: map[[16]byte]string{},
		fetchBytes: o.integer("fetch-size"), waitMs: o.integer("max-wait-ms"), interval: o.milliseconds("report-interval-ms"),
	}
	from := o.long("time")
	if err := first(o.err, checkServers(servers)); err != nil {
		return err
	}
	topics, err := topicFilter(pattern)
	if err != nil {
		return failf("%s is an invalid regex", pattern)
	}
	if v.client, err = c.connect(ctx, servers, properties{}); err != nil {
		return err
	}
	defer v.client.Close()
	if err := v.begin(ctx, topics.MatchString, from); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: verification process is started\n", moment(time.Now()))
	v.reported = time.Now()
	for ctx.Err() == nil {
		if err := first(c.out.Flush(), v.round(ctx)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// verification compares what the replicas of partitions hold, as Kafka's tool does: it asks each broker for its own copies, as
// replica -2, and goes on where all replicas of a partition have the same batches below their high watermarks.
type verification struct {
	*call
	client     *kgo.Client
	topics     []topicInfo
	names      map[[16]byte]string      // of topics, by id
	brokers    []int32                  // that have any of the partitions
	next       map[topicPartition]int64 // how far the replicas have been compared
	fetchBytes int32
	waitMs     int32
	interval   time.Duration
	reported   time.Time
}

// moment is a time as Kafka's tool prints it.
func moment(t time.Time) string { return t.Format("2006-01-02 15:04:05,000") }

// begin finds the partitions, their replicas, and the offsets to begin with.
func (v *verification) begin(ctx context.Context, include func(topic string) bool, from int64) (err error) {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	if v.topics, err = listTopics(ctx, v.client); err != nil {
		return err
	}
	v.topics = slices.DeleteFunc(v.topics, func(t topicInfo) bool { return !include(t.name) })
	if len(v.topics) == 0 {
		return failf("No topics found. [topics-include] if specified, is either filtering out all topics or there is no topic.")
	}
	wanted := map[topicPartition]bool{}
	for i := range v.topics {
		t := &v.topics[i]
		v.names[t.id] = t.name
		for _, p := range t.partitions {
			wanted[topicPartition{t.name, p.number}] = true
			v.brokers = append(v.brokers, p.replicas...)
		}
	}
	slices.Sort(v.brokers)
	v.brokers = slices.Compact(v.brokers)
	if v.next, err = listOffsets(ctx, v.client, wanted, from, false); err != nil {
		return err
	}
	none := map[topicPartition]bool{} // at or after the time
	for tp, offset := range v.next {
		none[tp] = offset < 0
	}
	ends, err := listOffsets(ctx, v.client, wanted, latestOffset, false)
	for tp := range wanted {
		if none[tp] {
			v.next[tp] = ends[tp]
		}
	}
	return err
}

// copied is what a broker has of a partition, from the offset on that was asked for.
type copied struct {
	highWatermark int64
	batches       []byte
}

// round asks all brokers at once and compares what they have. When no replica has anything new they are given time.
func (v *verification) round(ctx context.Context) error {
	pause := time.After(time.Duration(v.waitMs) * time.Millisecond)
	replies := make([]map[topicPartition]copied, len(v.brokers))
	var asked sync.WaitGroup
	for i, broker := range v.brokers {
		asked.Go(func() { replies[i] = v.fetch(ctx, broker) })
	}
	asked.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	most, advanced, err := v.compareAll(replies)
	if err != nil {
		return err
	}
	if now := time.Now(); now.Sub(v.reported) > v.interval {
		fmt.Fprintf(v.out, "%s: max lag is %d for partition %s at offset %d among %d partitions\n", moment(now), most.behind, most.partition, most.offset, len(v.next))
		v.reported = now
	}
	if advanced {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause:
		return nil
	}
}

// compareAll compares what the brokers, in their order, have of every partition. It tells which one lacks most, and whether any
// has come further.
func (v *verification) compareAll(replies []map[topicPartition]copied) (most furthest, advanced bool, err error) {
	most = furthest{behind: -1, offset: -1}
	for i := range v.topics {
		for _, p := range v.topics[i].partitions {
			tp := topicPartition{v.topics[i].name, p.number}
			held, highest, before := make(map[int32]copied, len(p.replicas)), int64(-1), v.next[tp]
			for _, broker := range p.replicas {
				has, answered := replies[slices.Index(v.brokers, broker)][tp]
				if !answered {
					has.highWatermark = -1
				}
				held[broker], highest = has, max(highest, has.highWatermark)
			}
			if err := v.compare(tp, held); err != nil {
				return most, false, err
			}
			most.add(tp, v.next[tp], highest)
			advanced = advanced || v.next[tp] != before
		}
	}
	return most, advanced, nil
}

// furthest is the partition that lacks most.
type furthest struct {
	partition      topicPartition
	behind, offset int64
}

func (f *furthest) add(tp topicPartition, next, highWatermark int64) {
	if highWatermark-next > f.behind {
		f.partition, f.behind, f.offset = tp, highWatermark-next, next
	}
}

// fetch returns what a broker has; nil when it does not answer.
func (v *verification) fetch(ctx context.Context, broker int32) map[topicPartition]copied {
	resp, err := v.request(broker).RequestWith(ctx, v.client.Broker(int(broker)))
	if err != nil || resp.ErrorCode != 0 {
		return nil
	}
	has := map[topicPartition]copied{}
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = v.names[t.TopicID]
		}
		for _, p := range t.Partitions {
			has[topicPartition{name, p.Partition}] = copied{p.HighWatermark, p.RecordBatches}
		}
	}
	return has
}

// debuggingConsumer is the replica id of who reads as replicas do and is none.
const debuggingConsumer = -2

func (v *verification) request(broker int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.ReplicaState.ID = debuggingConsumer, debuggingConsumer
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = v.waitMs, 1, math.MaxInt32, -1
	for i := range v.topics {
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = v.topics[i].name, v.topics[i].id
		for _, p := range v.topics[i].partitions {
			if slices.Contains(p.replicas, broker) {
				of := kmsg.NewFetchRequestTopicPartition()
				of.Partition, of.FetchOffset, of.PartitionMaxBytes = p.number, v.next[topicPartition{t.Topic, p.number}], v.fetchBytes
				t.Partitions = append(t.Partitions, of)
			}
		}
		if len(t.Partitions) > 0 {
			req.Topics = append(req.Topics, t)
		}
	}
	return req
}
