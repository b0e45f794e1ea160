package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// sessionClient keeps a fetch session as Kafka's consumer does.
type sessionClient struct {
	n         *node
	version   int16
	id, epoch int32
	wanted    map[string]int64 // topic -> next offset
	told      map[string]int64 // what the session knows
	read      map[string][]string
}

// poll fetches once and takes over what came.
func (c *sessionClient) poll() error {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionID, req.SessionEpoch = c.version, 300, c.id, c.epoch
	for topic, offset := range c.wanted {
		if told, known := c.told[topic]; c.epoch == 0 || !known || told != offset {
			c.n.alsoFetch(req, topic, 0, offset)
		}
	}
	for topic := range c.told {
		if _, wanted := c.wanted[topic]; !wanted && c.epoch != 0 {
			t, _ := c.n.quorum.Image().Topic(topic)
			req.ForgottenTopics = append(req.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: topic, TopicID: t.ID, Partitions: []int32{0}})
		}
	}
	resp := c.n.fetch(req)
	switch code := wire.Error(resp.ErrorCode); code {
	case wire.None:
	case wire.FetchSessionIDNotFound:
		c.id, c.epoch = 0, 0
		return nil
	default:
		return code
	}
	if c.epoch == 0 {
		c.id = resp.SessionID
	}
	if c.epoch++; c.id == 0 {
		c.epoch = 0
	}
	c.told = make(map[string]int64)
	for topic, offset := range c.wanted {
		c.told[topic] = offset
	}
	return c.take(resp)
}

func (c *sessionClient) take(resp *kmsg.FetchResponse) error {
	for _, topic := range resp.Topics {
		name := topic.Topic
		if t, ok := c.n.quorum.Image().TopicByID(topic.TopicID); ok {
			name = t.Name
		}
		p := topic.Partitions[0]
		if p.ErrorCode != 0 {
			return fmt.Errorf("%s: %w", name, wire.Error(p.ErrorCode))
		}
		if _, wanted := c.wanted[name]; !wanted {
			return fmt.Errorf("%s was forgotten and came all the same", name)
		}
		for _, r := range records(c.n.t, p.RecordBatches) {
			if r.Offset >= c.wanted[name] {
				c.read[name] = append(c.read[name], string(r.Value))
				c.wanted[name] = r.Offset + 1
			}
		}
	}
	return nil
}

// Whatever a client adds and forgets, and whatever is produced meanwhile, it reads every record once and in order.
func TestSessionsLoseNothing(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			n := start(t)
			topics := []string{"a", "b", "c", "d"}
			for _, topic := range topics {
				n.create(topic, 1)
			}
			c := &sessionClient{n: n, version: []int16{7, 12, 13, 18}[seed%4], wanted: map[string]int64{"a": 0}, read: map[string][]string{}}
			positions, produced := map[string]int64{}, map[string][]string{}
			step := func() {
				topic := topics[rnd.IntN(len(topics))]
				switch rnd.IntN(6) {
				case 0:
					if _, on := c.wanted[topic]; on && len(c.wanted) > 1 {
						positions[topic] = c.wanted[topic]
						delete(c.wanted, topic)
					}
				case 1:
					if _, on := c.wanted[topic]; !on {
						c.wanted[topic] = positions[topic]
					}
				case 2:
					if rnd.IntN(5) == 0 {
						n.broker.sessions.remove(c.id) // evicted
					}
				default:
					v := strconv.Itoa(len(produced[topic]))
					n.produce(topic, v)
					produced[topic] = append(produced[topic], v)
				}
				if err := c.poll(); err != nil {
					t.Fatal(err)
				}
			}
			for range 60 {
				step()
			}
			for _, topic := range topics {
				if _, on := c.wanted[topic]; !on {
					c.wanted[topic] = positions[topic]
				}
			}
			for range 60 {
				if err := c.poll(); err != nil {
					t.Fatal(err)
				}
			}
			for _, topic := range topics {
				if !slices.Equal(c.read[topic], produced[topic]) {
					t.Errorf("%s: read %v, produced %v", topic, c.read[topic], produced[topic])
				}
			}
		})
	}
}

// Producers, readers and an administrator at once: what is acknowledged is read, once and in the producer's order.
func TestManyClientsAtOnce(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	const producers, each = 6, 60
	var wg sync.WaitGroup
	var producing atomic.Int32
	producing.Store(producers)
	for p := range producers {
		wg.Go(func() {
			defer producing.Add(-1)
			var flying []func() []byte // up to five, as idempotent clients pipeline
			finish := func() {
				req := kmsg.NewPtrProduceRequest()
				req.Version = 9
				if got := decode[*kmsg.ProduceResponse](n, req, flying[0]()).Topics[0].Partitions[0]; got.ErrorCode != 0 {
					t.Errorf("producer %d: %v", p, wire.Error(got.ErrorCode))
				}
				flying = flying[1:]
			}
			for i := range int32(each) {
				flying = append(flying, n.start(n.produceRequest(9, "t", 0, idempotent(int64(100+p), 0, i, fmt.Sprint(p, "/", i)))))
				if len(flying) == 5 {
					finish()
				}
			}
			for len(flying) > 0 {
				finish()
			}
		})
	}
	wg.Go(func() {
		for i := 0; producing.Load() > 0; i++ {
			name := "other" + strconv.Itoa(i%3)
			n.create(name, 2)
			n.metadata(metadataRequest(9, name))
			n.remove(name)
		}
	})
	next := map[string]int{}
	for offset := int64(0); offset < producers*each; {
		req := n.fetchRequest(12, "t", 0, offset)
		req.MaxWaitMillis, req.MinBytes = 5000, 1
		for _, r := range records(t, n.fetch(req).Topics[0].Partitions[0].RecordBatches) {
			if r.Offset < offset {
				continue
			}
			var producer string
			var i int
			if _, err := fmt.Sscanf(string(r.Value), "%1s/%d", &producer, &i); err != nil || next[producer] != i {
				t.Fatalf("offset %d: %q where %d is next (%v)", r.Offset, r.Value, next[producer], err)
			}
			next[producer]++
			offset = r.Offset + 1
		}
	}
	wg.Wait()
}

// A wait that its context ends, because the client has gone or the node stops, is answered with what there is: whether
// that is sent is the listener's matter.
func TestLongPollEndsWithItsContext(t *testing.T) {
	n := start(t)
	n.create("t", 1)
	req := n.fetchRequest(12, "t", 0, 0)
	req.MaxWaitMillis, req.MinBytes = int32(time.Hour/time.Millisecond), 1
	f := new(wire.FetchRequest)
	must(t, f, f.Decode(12, req.AppendTo(nil)))
	finish, err := n.broker.Start(t.Context(), &Request{Header: wire.RequestHeader{Key: 1, Version: 12}, Body: f, Conn: n.conn})
	must(t, finish, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	resp := finish(ctx)
	b, err := resp.AppendTo(nil)
	must(t, b, err)
	wantCode(t, "an empty reply", decode[*kmsg.FetchResponse](n, req, b).Topics[0].Partitions[0].ErrorCode, wire.None)
	resp.(interface{ Release() }).Release()
}
