package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// settleMax is how long a cluster without faults may take until every replica is in sync.
const settleMax = 90 * time.Second

// Settle ends all faults, waits until every replica is in sync, writes a last record to each partition, which all replicas
// acknowledge, and reads everything. It returns what a cluster that heals would not say.
func (l *Load) Settle(ctx context.Context) error {
	l.cluster.Heal()
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	cl, err := l.client(l.host[0], kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := l.awaitInSync(ctx, cl); err != nil {
		return err
	}
	for p := range int32(partitions) {
		at := l.recordSend(check.Send{
			Partition: check.Partition{Topic: topic, Index: p}, Producer: "last", Value: fmt.Sprintf("last/%d", p), Offset: -1,
			Begin: l.now(), Durable: true, Idempotent: true,
		})
		rec, err := cl.ProduceSync(ctx, &kgo.Record{Partition: p, Value: fmt.Appendf(nil, "last/%d", p)}).First()
		l.recordAck(at, rec, err)
		if err != nil {
			return fmt.Errorf("the last record of partition %d: %w", p, err)
		}
		if err := l.readAll(ctx, p, rec.Offset+1); err != nil {
			return err
		}
	}
	if err := l.noteAssigned(ctx, cl); err != nil {
		return err
	}
	l.settled = true
	l.cluster.Trace.Logf("settled")
	return nil
}

// noteAssigned keeps which machines must have a copy of each partition, and no other.
func (l *Load) noteAssigned(ctx context.Context, cl *kgo.Client) error {
	md, err := kadm.NewClient(cl).Metadata(ctx, topic, groupsTopic)
	if err != nil {
		return err
	}
	if err := md.Topics.Error(); err != nil { // what is not named would not be looked for
		return err
	}
	l.assigned = make(map[check.Partition][]int32)
	for _, t := range md.Topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			l.assigned[check.Partition{Topic: t.Topic, Index: p.Partition}] = p.Replicas
		}
	}
	return nil
}

// awaitInSync returns when all nodes run and each partition's replicas are in sync.
func (l *Load) awaitInSync(ctx context.Context, cl *kgo.Client) error {
	for {
		missing := l.outOfSync(ctx, cl)
		if missing == "" {
			return nil
		}
		if !pause(ctx, time.Second) {
			return fmt.Errorf("%v after the last fault: %s", settleMax, missing)
		}
	}
}

// outOfSync says what is missing, "" when nothing is.
func (l *Load) outOfSync(ctx context.Context, cl *kgo.Client) string {
	for _, m := range l.cluster.Machines {
		if m.Node() == nil {
			return m.Name + " does not run"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	topics, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx, topic, groupsTopic)
	if err != nil {
		return err.Error()
	}
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			return fmt.Sprintf("%s: %v", t.Topic, t.Err)
		}
		for _, p := range t.Partitions.Sorted() {
			if p.Err != nil || p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return fmt.Sprintf("%s-%d: leader %d, in sync %v of %v, %v", t.Topic, p.Partition, p.Leader, p.ISR, p.Replicas, p.Err)
			}
		}
	}
	return ""
}

// readAll reads a partition from its start to an offset, as its final content for consumers.
func (l *Load) readAll(ctx context.Context, index int32, end int64) error {
	part := check.Partition{Topic: topic, Index: index}
	cl, err := l.client(l.host[0], kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {index: kgo.NewOffset().At(0)}}))
	if err != nil {
		return err
	}
	defer cl.Close()
	final := check.Final{Partition: part, Replica: "what a consumer reads"}
	for next := int64(0); next < end; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil && (errors.Is(err, context.DeadlineExceeded) || kgo.IsRetryableBrokerErr(err)) {
			return fmt.Errorf("partition %d, read up to %d of %d: %w", index, next, end, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			final.Records = append(final.Records, check.Record{Offset: rec.Offset, Value: string(rec.Value)})
			next = rec.Offset + 1
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Finals = append(l.history.Finals, final)
	return nil
}
