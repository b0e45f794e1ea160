package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/sim/check"
)

const churned = "churn"

// churnedAs names one of the topics that have had the same name.
func churnedAs(id string) check.Partition { return check.Partition{Topic: churned + "/" + id} }

// churn makes a topic, writes to it, reads it, deletes it, and makes another of the same name, in which nothing of the old
// one must be.
func (l *Load) churn(ctx context.Context, r *rand.Rand, host *Host) {
	for round := 1; pause(ctx, time.Duration(r.Int64N(int64(2*time.Second)))); round++ {
		cl, err := l.client(host)
		if err != nil {
			l.tell("churn: %v", err)
			return
		}
		if id, ok := l.recreate(ctx, cl); ok {
			l.useTopic(ctx, host, "churn-"+strconv.Itoa(round), id)
		}
		cl.Close()
	}
}

// recreate deletes the topic, if it is there, and makes it again.
func (l *Load) recreate(ctx context.Context, cl *kgo.Client) (id string, ok bool) {
	deleting, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	resp, err := kadm.NewClient(cl).DeleteTopic(deleting, churned)
	l.op("delete topic: %v %v", resp.Err, err)
	id, err = l.create(ctx, cl, churned, 1, nil)
	l.op("create topic: %s %v", id, err)
	return id, err == nil
}

// useTopic writes records and reads from the beginning. A client whose broker does not know of the new topic yet may read
// the old one: what it gets of that is not its business. What the new one holds is judged at the end, on the disks.
func (l *Load) useTopic(ctx context.Context, host *Host, name, id string) {
	cl, err := l.client(host, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{churned: {0: kgo.NewOffset().AtStart()}}),
		kgo.DefaultProduceTopic(churned), kgo.RecordDeliveryTimeout(callMax), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		l.tell("churn: %v", err)
		return
	}
	defer cl.Close()
	acked := 0
	for i := range 3 {
		s := check.Send{Partition: churnedAs(id), Producer: name, Value: name + "/" + strconv.Itoa(i), Offset: -1, Begin: l.now(), Durable: true, Idempotent: true}
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
			if strings.HasPrefix(string(rec.Value), name+"/") {
				reads = append(reads, check.Read{Partition: churnedAs(id), Consumer: name, Offset: rec.Offset, Value: string(rec.Value)})
			}
		})
		l.recordReads(reads...)
		got += len(reads)
		l.op("poll %s: %s", name, spans(reads))
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			pause(reading, time.Second)
		}
	}
}
