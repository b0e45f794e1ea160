package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// churned begins the names of topics that are made again and again.
const churned = "churn"

// idsKept is how many of a name's earlier topics are still asked for.
const idsKept = 3

// churnedAs names one of the topics that have had the same name.
func churnedAs(id string) check.Partition { return check.Partition{Topic: churned + "/" + id} }

// churn makes a topic, writes to it, reads it, deletes it, and makes another of the same name, in which nothing of the old
// one must be.
func (l *Load) churn(ctx context.Context, r *rand.Rand, host *Host, name string) {
	c := churner{load: l, name: name}
	for round := 1; rest(ctx, r, 2*time.Second); round++ {
		cl, err := l.auditor(host)
		if err != nil {
			l.tell("churn: %v", err)
			return
		}
		if id, ok := c.recreate(ctx, cl); ok {
			l.useTopic(ctx, host, name, name+"-"+strconv.Itoa(round), id)
			c.ask(ctx, cl, r.IntN(len(l.cluster.Machines)), id)
			if c.before = append(c.before, id); len(c.before) > idsKept {
				c.before = slices.Delete(c.before, 0, 1)
			}
		}
		cl.Close()
	}
}

// churner is a client that makes topics of one name.
type churner struct {
	load   *Load
	name   string
	before [][16]byte // the topics' ids, the newest last
	group  int        // numbers the groups: one in which a commit may come late is not used again
}

// recreate deletes the topic, if it is there, and makes it again.
func (c *churner) recreate(ctx context.Context, cl *kgo.Client) (id [16]byte, ok bool) {
	l := c.load
	deleting, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	resp, err := kadm.NewClient(cl).DeleteTopic(deleting, c.name)
	l.op("delete topic: %v %v", resp.Err, err)
	id, err = l.create(ctx, cl, c.name, 1, nil)
	l.op("create topic: %x %v", id, err)
	return id, err == nil
}

// useTopic writes records and reads from the beginning. A client whose broker does not know of the new topic yet may read
// the old one: what it gets of that is not its business. What the new one holds is judged at the end, on the disks.
func (l *Load) useTopic(ctx context.Context, host *Host, topic, name string, topicID [16]byte) {
	id := hex.EncodeToString(topicID[:])
	cl, err := l.client(host, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.DefaultProduceTopic(topic), kgo.RecordDeliveryTimeout(callMax), kgo.FetchMaxWait(200*time.Millisecond))
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
