package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/sim/check"
)

const churned = "churn"

// churn makes a topic, writes to it, reads it, deletes it, and makes another of the same name, in which nothing of the old
// one must be seen.
func (l *Load) churn(ctx context.Context, r *rand.Rand, host *Host) {
	for round := 1; pause(ctx, time.Duration(r.Int64N(int64(2*time.Second)))); round++ {
		cl, err := l.client(host)
		if err != nil {
			l.tell("churn: %v", err)
			return
		}
		if l.recreate(ctx, cl) {
			if id, ok := l.idOf(ctx, cl, churned); ok {
				l.useTopic(ctx, host, "churn-"+strconv.Itoa(round), id)
			}
		}
		cl.Close()
	}
}

// recreate deletes the topic, if it is there, and makes it again.
func (l *Load) recreate(ctx context.Context, cl *kgo.Client) bool {
	deleting, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	resp, err := kadm.NewClient(cl).DeleteTopic(deleting, churned)
	l.op("delete topic: %v %v", resp.Err, err)
	err = l.create(ctx, cl, churned, 1, nil)
	l.op("create topic: %v", err)
	return err == nil
}

func (l *Load) idOf(ctx context.Context, cl *kgo.Client, name string) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	topics, err := kadm.NewClient(cl).ListTopics(ctx, name)
	if err != nil || topics[name].Err != nil {
		return "", false
	}
	id := topics[name].ID
	return hex.EncodeToString(id[:]), true
}

// useTopic writes records and reads from the beginning. No other client uses the topic, so that until it is deleted what is
// there is known.
func (l *Load) useTopic(ctx context.Context, host *Host, name, id string) {
	cl, err := l.client(host, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{churned: {0: kgo.NewOffset().AtStart()}}),
		kgo.DefaultProduceTopic(churned), kgo.RecordDeliveryTimeout(callMax), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		l.tell("churn: %v", err)
		return
	}
	defer cl.Close()
	part := check.Partition{Topic: churned + "/" + id}
	acked := 0
	for i := range 3 {
		s := check.Send{Partition: part, Producer: name, Value: name + "/" + strconv.Itoa(i), Offset: -1, Begin: l.now(), Durable: true, Idempotent: true}
		at := l.recordSend(s)
		rec, err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte(s.Value)}).First()
		l.recordAck(at, rec, err)
		if err != nil {
			break
		}
		acked++
	}
	reading, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	for got := 0; got < acked && reading.Err() == nil; {
		fetches := cl.PollRecords(reading, pollRecordsMax)
		var reads []check.Read
		fetches.EachRecord(func(rec *kgo.Record) {
			reads = append(reads, check.Read{Partition: part, Consumer: name, Offset: rec.Offset, Value: string(rec.Value)})
		})
		l.recordReads(reads...)
		got += len(reads)
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !pause(reading, time.Second) {
			break
		}
		l.op("poll %s: %d", name, len(reads))
	}
}
