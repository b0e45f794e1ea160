package sim

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/sim/check"
)

type acks bool

const (
	acksAll    acks = true // and idempotent
	acksLeader acks = false
)

// flushMax is what a producer that ends waits for what it has sent.
const flushMax = 10 * time.Second

// producer is a client that produces, one incarnation after the other.
func (l *Load) producer(ctx context.Context, r *rand.Rand, host *Host, name string, a acks) {
	for life := 1; ctx.Err() == nil; life++ {
		opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic), kgo.UnknownTopicRetries(-1),
			kgo.ProduceRequestTimeout(2 * time.Second), kgo.RequestTimeoutOverhead(time.Second)}
		if a == acksLeader {
			opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		}
		cl, err := l.client(host, opts...)
		if err != nil {
			l.tell("producer: %v", err)
			return
		}
		living, end := context.WithTimeout(ctx, lifetime(r))
		l.produce(living, r, cl, name+"."+strconv.Itoa(life), a)
		end()
		if r.IntN(2) == 0 { // the other half leaves what is in flight behind
			flushing, end := context.WithTimeout(context.WithoutCancel(ctx), flushMax)
			_ = cl.Flush(flushing)
			end()
		}
		cl.Close()
	}
}

// produce is one incarnation: bursts of records, so that batches and requests overlap, for one partition or for any.
func (l *Load) produce(ctx context.Context, r *rand.Rand, cl *kgo.Client, name string, a acks) {
	for seq := 0; rest(ctx, r, producerPause); {
		spread, partition := r.IntN(2) == 0, r.Int32N(partitions)
		for range 1 + r.IntN(burstMax) {
			if spread {
				partition = r.Int32N(partitions)
			}
			seq++
			l.send(cl, name, name+"/"+strconv.Itoa(seq), partition, a)
		}
	}
}

func (l *Load) send(cl *kgo.Client, name, value string, partition int32, a acks) {
	i := l.recordSend(check.Send{
		Partition: check.Partition{Topic: topic, Index: partition}, Producer: name, Value: value, Offset: -1, Begin: l.now(),
		Durable: a == acksAll, Idempotent: a == acksAll,
	})
	// A record that was sent must not be given up by the end of the load: its context has none.
	cl.TryProduce(context.Background(), &kgo.Record{Partition: partition, Value: []byte(value)}, func(rec *kgo.Record, err error) {
		l.recordAck(i, rec, err)
	})
}

func (l *Load) recordSend(s check.Send) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Durable && s.Topic == topic && l.waiting[s.Index] == noneWaits {
		l.waiting[s.Index] = s.Begin
	}
	l.history.Sends = append(l.history.Sends, s)
	return len(l.history.Sends) - 1
}

const (
	noneWaits time.Duration = -1
	// leftBehindMax: what a producer sent so shortly before it ended was not waiting for the cluster. Nor is what a probe was
	// refused at once, since the probe is in no hurry to ask again: a wait begins with the next record, up to a second later.
	leftBehindMax = 100 * time.Millisecond
)

// recordAck keeps what became of a record. What failed may be there all the same, so far as its producer knows.
func (l *Load) recordAck(i int, rec *kgo.Record, err error) {
	l.mu.Lock()
	s := &l.history.Sends[i]
	if err == nil {
		s.Outcome, s.Offset, s.End = check.OK, rec.Offset, l.now()
	}
	if s.Durable && s.Topic == topic {
		since := l.waiting[s.Index]
		switch {
		case err == nil:
			if since != noneWaits {
				l.gap = max(l.gap, s.End-since)
			}
			l.waiting[s.Index], l.highest[s.Index] = noneWaits, max(l.highest[s.Index], s.Offset+1)
		case since == s.Begin && l.now()-since < leftBehindMax:
			l.waiting[s.Index] = noneWaits
		}
	}
	value, index := s.Value, s.Index
	l.mu.Unlock()
	l.op("produce %s %d %d %v", value, index, rec.Offset, err)
}
