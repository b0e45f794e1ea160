package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// What the load is made of.
const (
	topic       = "telematics"
	group       = "analytics"
	groupsTopic = "__consumer_offsets"
	partitions  = 3

	callMax       = 5 * time.Second // what a client waits for an answer to one call
	retryBackoff  = 250 * time.Millisecond
	producerPause = time.Second
	burstMax      = 5
	lifeMin       = 8 * time.Second // of one client, before another takes its place
	lifeJitter    = 20 * time.Second
	endMax        = 5 * time.Minute // what clients need to end, at most
)

// Load is clients at work: producers, consumers by assignment and in a group, one that asks what the group has committed, and
// some that make, change and delete topics. What they see is recorded.
type Load struct {
	cluster *Cluster
	host    []*Host
	seed    uint64

	work    context.Context // of the clients
	stop    context.CancelFunc
	working sync.WaitGroup

	mu       sync.Mutex
	clients  []*kgo.Client // that were ever started
	history  check.History
	ops      int
	told     []string                    // what clients were told that no client must be told
	waiting  [partitions]time.Duration   // since when durable records have been sent and none was acknowledged; noneWaits
	highest  [partitions]int64           // the offset behind those that were
	gap      time.Duration               // the longest such time, of any partition
	loading  int                         // answers of a group coordinator that has not loaded yet
	shared   turn                        // of the topics that several clients change
	assigned map[check.Partition][]int32 // the replicas of each partition at the end
	epoch    time.Time
	settled  bool
}

// StartLoad creates the topic, retrying until the cluster does it, and starts the clients. They work until Stop.
func StartLoad(ctx context.Context, c *Cluster, seed uint64) (*Load, error) {
	l := &Load{cluster: c, seed: seed, epoch: time.Now()}
	for i := range 3 {
		l.host = append(l.host, c.AddClient("client-"+strconv.Itoa(i+1)))
	}
	creating, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	if err := l.createTopic(creating); err != nil {
		return nil, err
	}
	l.work, l.stop = context.WithCancel(ctx)
	for p := range l.waiting {
		l.waiting[p] = noneWaits
	}
	l.begin(func(r *rand.Rand) { l.producer(l.work, r, l.host[0], "p1", acksAll) })
	l.begin(func(r *rand.Rand) { l.producer(l.work, r, l.host[1], "p2", acksAll) })
	l.begin(func(r *rand.Rand) { l.producer(l.work, r, l.host[2], "w", acksLeader) })
	l.begin(func(r *rand.Rand) { l.consumer(l.work, r, l.host[0], "c1") })
	l.begin(func(r *rand.Rand) { l.consumer(l.work, r, l.host[1], "c2") })
	l.begin(func(r *rand.Rand) { l.member(l.work, r, l.host[1], "m1") })
	l.begin(func(r *rand.Rand) { l.member(l.work, r, l.host[2], "m2") })
	l.begin(func(r *rand.Rand) { l.churn(l.work, r, l.host[0], churned) })
	l.begin(func(r *rand.Rand) { l.audit(l.work, r, l.host[1]) })
	for i, host := range []*Host{l.host[0], l.host[2]} {
		l.begin(func(r *rand.Rand) { l.administer(l.work, r, host, i) })
	}
	for p := range int32(partitions) {
		l.begin(func(r *rand.Rand) { l.probe(l.work, r, l.host[1], p) })
	}
	return l, nil
}

// begin starts a client with a source of randomness of its own.
func (l *Load) begin(client func(*rand.Rand)) {
	l.seed++
	r := rand.New(rand.NewPCG(l.seed, 3))
	l.working.Go(func() { client(r) })
}

// Stop ends the clients. What producers still have in flight is waited for. A run in which it does not come has failed.
func (l *Load) Stop() {
	l.stop()
	defer time.AfterFunc(endMax, l.abandon).Stop()
	l.working.Wait()
}

// abandon closes the clients that wait for something that does not come.
func (l *Load) abandon() {
	l.tell("clients have not ended within %v", endMax)
	l.mu.Lock()
	clients := slices.Clone(l.clients)
	l.mu.Unlock()
	for _, cl := range clients {
		if cl.Context().Err() == nil { // it is not closed
			cl.Close()
		}
	}
}

// History is what the clients saw, after Stop.
func (l *Load) History() *check.History { return &l.history }

// Ops is how many operations the clients have done.
func (l *Load) Ops() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ops
}

func (l *Load) now() time.Duration { return time.Since(l.epoch) }

// op counts an operation.
func (l *Load) op(format string, args ...any) {
	l.cluster.Trace.Countf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops++
}

// tell records what no client must be told.
func (l *Load) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.cluster.Trace.Logf("CLIENT: %s", line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, line)
}

// ask sends a request to one machine, once, and returns what it has answered.
func ask[T kmsg.Response](ctx context.Context, cl *kgo.Client, machine int, req kmsg.Request) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	resp, err := cl.SeedBrokers()[machine].Request(ctx, req)
	if err != nil {
		return none, err
	}
	return resp.(T), nil
}

func (l *Load) createTopic(ctx context.Context) error {
	cl, err := l.client(l.host[0])
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		_, err := l.create(ctx, cl, topic, partitions, map[string]*string{"segment.ms": kadm.StringPtr("5000")})
		if err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
			l.cluster.Trace.Logf("topic %s is there", topic)
			return nil
		}
		l.cluster.Trace.Logf("create topic %s: %v", topic, err)
		if ctx.Err() != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
		pause(ctx, time.Second)
	}
}

// create makes a topic and returns its id.
func (l *Load) create(ctx context.Context, cl *kgo.Client, name string, partitions int32, configs map[string]*string) (id [16]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	resp, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, -1, configs, name)
	if err == nil {
		err = resp.Err
	}
	return resp.ID, err
}

// client returns a client that finds out fast what has changed.
func (l *Load) client(host *Host, opts ...kgo.Opt) (*kgo.Client, error) {
	cl, err := l.cluster.Client(host, append([]kgo.Opt{
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(5 * time.Second),
		kgo.RequestTimeoutOverhead(3 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return retryBackoff }),
		kgo.DisableClientMetrics(),
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = append(l.clients, cl)
	return cl, nil
}

// pause waits, and tells whether there is more to do.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// rest is a pause of a client that works: up to most, or more where the load is light.
func rest(ctx context.Context, r *rand.Rand, most time.Duration) bool {
	if light {
		most *= 2
	}
	return pause(ctx, time.Duration(r.Int64N(int64(most))))
}

// lifetime draws how long a client works before another takes its place.
func lifetime(r *rand.Rand) time.Duration {
	return lifeMin + time.Duration(r.Int64N(int64(lifeJitter)))
}
