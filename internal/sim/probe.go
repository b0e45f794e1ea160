package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/sim/check"
)

// probePatience is what a probe waits for one machine.
const probePatience = time.Second

// probe is a client that writes single records with acks=all to one partition, to whichever machine takes them: it shows from
// when on writes are possible again, where a producer still waits for a machine that is silent.
func (l *Load) probe(ctx context.Context, r *rand.Rand, host *Host, partition int32) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 12) // the last that names topics
	cl, err := l.client(host, kgo.MaxVersions(versions))
	if err != nil {
		l.tell("probe: %v", err)
		return
	}
	defer cl.Close()
	leads, sent := 0, 0
	for rest(ctx, r, time.Second) {
		for range l.cluster.Machines {
			sent++
			if l.probeOnce(ctx, cl, leads, partition, fmt.Sprintf("probe-%d", partition), sent) || ctx.Err() != nil {
				break
			}
			leads = (leads + 1) % len(l.cluster.Machines)
		}
	}
}

// probeOnce tells whether a machine has acknowledged a record.
func (l *Load) probeOnce(ctx context.Context, cl *kgo.Client, machine int, partition int32, name string, number int) bool {
	s := check.Send{
		Partition: check.Partition{Topic: topic, Index: partition}, Producer: name, Value: name + "/" + strconv.Itoa(number), Offset: -1, Begin: l.now(),
		Durable: true,
	}
	i := l.recordSend(s)
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	resp, err := ask[*kmsg.ProduceResponse](ctx, cl, machine, produceRequest(topic, [16]byte{}, partition, []byte(s.Value)))
	rec := &kgo.Record{Offset: -1}
	if err == nil {
		p := resp.Topics[0].Partitions[0]
		rec.Offset, err = p.BaseOffset, kerr.ErrorForCode(p.ErrorCode)
	}
	l.recordAck(i, rec, err)
	return err == nil
}

// produceRequest asks for one record to be written with acks=all.
func produceRequest(topic string, id [16]byte, partition int32, value []byte) *kmsg.ProduceRequest {
	b := record.NewBuilder(record.BuilderOptions{})
	b.Append(record.Record{Value: value})
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(callMax.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, slices.Clone(b.Bytes())
	t.Topic, t.TopicID, t.Partitions = topic, id, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}
