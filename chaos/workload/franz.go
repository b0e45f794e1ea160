package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// franz is franz-go in this process.
type franz struct {
	config   Config
	record   *recorder
	log      *os.File
	ctx      context.Context // ends the consumers
	end      context.CancelFunc
	stop     context.CancelFunc // ends the producer
	sending  sync.WaitGroup
	reading  sync.WaitGroup
	producer *kgo.Client
}

const franzName = "franz"

// StartFranz starts the client of this process.
func StartFranz(config Config, history *History) (Client, error) {
	record, err := newRecorder(config.Dir, franzName, history)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(config.Dir, franzName+".log"))
	if err != nil {
		return nil, errors.Join(err, record.close())
	}
	f := &franz{config: config, record: record, log: log}
	f.ctx, f.end = context.WithCancel(context.Background())
	f.producer, err = kgo.NewClient(f.options(Producer(franzName),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(config.Topic), kgo.ProducerLinger(0),
		kgo.RecordDeliveryTimeout(config.Patience), kgo.ProduceRequestTimeout(requestTimeout))...)
	if err != nil {
		return nil, errors.Join(err, record.close(), log.Close())
	}
	sending, stop := context.WithCancel(f.ctx)
	f.stop = stop
	f.sending.Go(func() { f.send(sending) })
	assigned, members := Consumers(franzName)
	f.reading.Go(func() { f.readAll(assigned) })
	for i, name := range members {
		f.reading.Go(func() { f.member(name, i) })
	}
	return f, nil
}

func (*franz) Name() string { return franzName }

func (*franz) PID() int { return os.Getpid() }

func (f *franz) Dissect(w io.Writer) error {
	if err := writeLastLines(w, f.log, franzName); err != nil {
		return err
	}
	return pprof.Lookup("goroutine").WriteTo(w, stacksInFull)
}

// stacksInFull asks for what a panic prints, with the time that each goroutine has waited.
const stacksInFull = 2

func (f *franz) options(id string, more ...kgo.Opt) []kgo.Opt {
	prefix := func() string { return time.Now().UTC().Format(time.RFC3339Nano) + " " + id + " " }
	return append([]kgo.Opt{
		kgo.ClientID(id),
		kgo.SeedBrokers(strings.Split(f.config.Bootstrap, ",")...),
		kgo.WithLogger(kgo.BasicLogger(f.log, kgo.LogLevelInfo, prefix)),
		kgo.RequestTimeoutOverhead(requestTimeout), kgo.DialTimeout(requestTimeout), kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 200 * time.Millisecond }),
	}, more...)
}

// send is the producer.
func (f *franz) send(ctx context.Context) {
	tick := time.NewTicker(time.Second / time.Duration(f.config.Rate))
	defer tick.Stop()
	underWay := make([]atomic.Int32, f.config.Partitions)
	key := make([]byte, keyBytes)
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p := i % f.config.Partitions
		if underWay[p].Load() >= underWayMax {
			continue
		}
		underWay[p].Add(1)
		value := fmt.Sprintf("%s-%d", franzName, i)
		f.record.add(Event{Time: nowMicros(), Kind: Sent, Producer: franzName, Partition: int32(p), Value: value})
		f.producer.Produce(context.Background(), &kgo.Record{Partition: int32(p), Key: key, Value: []byte(value)}, func(r *kgo.Record, err error) {
			e := Event{Time: nowMicros(), Kind: Acked, Partition: int32(p), Offset: r.Offset, Value: value}
			if err != nil {
				e = Event{Time: e.Time, Kind: Unknown, Partition: int32(p), Value: value, Error: err.Error()}
			}
			f.record.add(e)
			underWay[p].Add(-1)
		})
	}
}

// readAll reads every partition from its start, by assignment.
func (f *franz) readAll(name string) {
	starts := make(map[int32]kgo.Offset, f.config.Partitions)
	for p := range int32(f.config.Partitions) {
		starts[p] = kgo.NewOffset().At(0)
		f.record.add(Event{Time: nowMicros(), Kind: Assign, Consumer: name, Partition: p})
	}
	consumer, err := kgo.NewClient(f.options(name, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{f.config.Topic: starts}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))...)
	if err != nil {
		f.problem(name, err)
		return
	}
	defer consumer.Close()
	for poll := 1; f.ctx.Err() == nil; poll++ {
		f.take(consumer.PollFetches(f.ctx), name, "", poll)
	}
}

// take records what a poll has returned.
func (f *franz) take(fetches kgo.Fetches, name, group string, poll int) {
	fetches.EachError(func(_ string, p int32, err error) {
		var dataLoss *kgo.ErrDataLoss
		if errors.As(err, &dataLoss) {
			f.problem(name, fmt.Errorf("partition %d: %w", p, err))
		}
	})
	fetches.EachRecord(func(r *kgo.Record) {
		f.record.add(Event{Time: nowMicros(), Kind: Read, Consumer: name, Group: group, Partition: r.Partition, Offset: r.Offset, Value: string(r.Value), Poll: poll})
	})
}

func (f *franz) problem(who string, err error) {
	f.record.add(Event{Time: nowMicros(), Kind: Problem, Error: who + ": " + err.Error()})
}

// Times of the members of groups.
const (
	commitEvery   = time.Second
	membershipMin = 15 * time.Second
	membershipMax = 60 * time.Second
	commitTimeout = 5 * time.Second
)

// member is one of the group's members: the second one leaves now and then.
func (f *franz) member(name string, number int) {
	for f.ctx.Err() == nil {
		ctx, cancel := f.ctx, context.CancelFunc(func() {})
		if number > 0 {
			stay := membershipMin + rand.N(membershipMax-membershipMin)
			ctx, cancel = context.WithTimeout(f.ctx, stay)
		}
		f.membership(ctx, name)
		cancel()
	}
}

// membership is the time from joining the group to leaving it.
func (f *franz) membership(ctx context.Context, name string) {
	m := &franzMember{franz: f, name: name, group: franzName}
	consumer, err := kgo.NewClient(f.options(name, kgo.ConsumerGroup(m.group), kgo.ConsumeTopics(f.config.Topic), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(250*time.Millisecond), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second),
		kgo.RebalanceTimeout(10*time.Second),
		kgo.OnPartitionsAssigned(m.assigned), kgo.OnPartitionsRevoked(m.revoked), kgo.OnPartitionsLost(m.lost))...)
	if err != nil {
		f.problem(name, err)
		return
	}
	for poll, due := 1, time.Now().Add(commitEvery); ctx.Err() == nil; poll++ {
		waiting, cancel := context.WithDeadline(ctx, due)
		fetches := consumer.PollFetches(waiting)
		cancel()
		f.take(fetches, name, m.group, poll)
		fetches.EachRecord(func(r *kgo.Record) { m.done(r) })
		if !time.Now().Before(due) {
			m.commit(ctx, consumer, m.all())
			due = time.Now().Add(commitEvery)
		}
		consumer.AllowRebalance()
	}
	consumer.CloseAllowingRebalance()
}

// franzMember is what a member has read and not committed. Its callbacks run while no poll does.
type franzMember struct {
	*franz
	name, group string

	mu   sync.Mutex
	next map[int32]int64
}

func (m *franzMember) done(r *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil {
		m.next = map[int32]int64{}
	}
	m.next[r.Partition] = r.Offset + 1
}

func (m *franzMember) all() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var partitions []int32
	for p := range m.next {
		partitions = append(partitions, p)
	}
	return partitions
}

// assigned asks what the group has committed. Who cannot be told starts somewhere.
func (m *franzMember) assigned(ctx context.Context, consumer *kgo.Client, topics map[string][]int32) {
	partitions := topics[m.config.Topic]
	if len(partitions) == 0 {
		return
	}
	begin := nowMicros()
	asking, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	committed, err := kadm.NewClient(consumer).FetchOffsetsForTopics(asking, m.group, m.config.Topic)
	for _, p := range partitions {
		start := int64(-1)
		if o, ok := committed.Lookup(m.config.Topic, p); err == nil && ok && o.Err == nil {
			m.record.add(Event{Time: nowMicros(), Begin: begin, Kind: Fetched, Group: m.group, Partition: p, Offset: o.At})
			start = max(o.At, 0)
		}
		m.record.add(Event{Time: nowMicros(), Kind: Assign, Consumer: m.name, Group: m.group, Partition: p, Offset: start})
	}
}

func (m *franzMember) revoked(ctx context.Context, consumer *kgo.Client, topics map[string][]int32) {
	m.commit(ctx, consumer, topics[m.config.Topic])
	m.forget(topics[m.config.Topic])
}

func (m *franzMember) lost(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.forget(topics[m.config.Topic])
}

func (m *franzMember) forget(partitions []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		delete(m.next, p)
	}
}

// commit commits what has been read of these partitions.
func (m *franzMember) commit(ctx context.Context, consumer *kgo.Client, partitions []int32) {
	m.mu.Lock()
	offsets := map[int32]kgo.EpochOffset{}
	for _, p := range partitions {
		if next, ok := m.next[p]; ok {
			offsets[p] = kgo.EpochOffset{Epoch: -1, Offset: next}
		}
	}
	m.mu.Unlock()
	if len(offsets) == 0 {
		return
	}
	committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	begin := nowMicros()
	failed := m.commitSync(committing, consumer, offsets)
	for p, o := range offsets {
		e := Event{Time: nowMicros(), Begin: begin, Kind: Commit, Group: m.group, Partition: p, Offset: o.Offset}
		if err := failed[p]; err != nil {
			e.Error = err.Error()
		}
		m.record.add(e)
	}
}

var errNoAnswer = errors.New("no answer")

// commitSync returns the errors of the partitions whose commit is not known to have happened.
func (m *franzMember) commitSync(ctx context.Context, consumer *kgo.Client, offsets map[int32]kgo.EpochOffset) map[int32]error {
	failed := make(map[int32]error, len(offsets))
	for p := range offsets {
		failed[p] = errNoAnswer
	}
	consumer.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{m.config.Topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				return
			}
			for _, topic := range answer.Topics {
				for _, p := range topic.Partitions {
					failed[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
				}
			}
		})
	return failed
}

func (f *franz) StopSending(ctx context.Context) error {
	f.stop()
	f.sending.Wait()
	if err := f.producer.Flush(ctx); err != nil {
		return fmt.Errorf("%s: %w", franzName, err)
	}
	f.record.add(Event{Time: nowMicros(), Kind: Stopped})
	return nil
}

func (f *franz) End(ctx context.Context) error {
	f.stop()
	f.end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.sending.Wait()
		f.reading.Wait()
		f.producer.Close()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("%s does not end", franzName)
	}
	return errors.Join(err, f.record.close(), f.log.Close())
}
