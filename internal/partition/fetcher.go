package partition

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/wire"
)

// fetcher copies the partitions that one other broker leads. Its loop asks for all of them in one long poll, in an
// incremental session (KIP-227): a request names what has changed since the last one only. What an answer holds is
// appended; the flusher makes it durable, and how far it has got is told with the next request, or, while a long poll
// waits, by a report (fetch_report.go).
//
// A partition with an error leaves the session and comes back after the backoff; the others go on.
type fetcher struct {
	cfg    *Config
	leader cluster.NodeID
	wake   chan struct{} // there is something to fetch, where there was nothing
	report chan struct{} // there is something to report while a long poll waits

	// The loop's own.
	session  fetchSession
	failures int
	byKey    map[idKey]*followed // as in the session
	delayed  []*followed         // out of the session until their time has come
	req      wire.FetchRequest   // its memory is used again

	mu struct {
		sync.Mutex
		followed map[*Partition]*followed
		changed  []*followed // what the next request has to look at
		polling  bool        // a request is out that has not got what changed since
	}
}

// followed is one partition of a fetcher.
type followed struct {
	fetcher   *fetcher
	partition *Partition

	// Guarded by the fetcher's mu.
	queued  bool // in changed
	gone    bool
	anew    bool      // the assignment is new: errors of the last one are forgotten
	retryAt time.Time // zero: it takes part

	// The loop's own.
	sent      wire.FetchPartition
	inSession bool
	refused   bool // since it was named: the leader's session may not watch it, and has to hear of it again
	lastError error

	// The reporter's own.
	reported wire.FetchPartition
}

func newFetcher(cfg *Config, leader cluster.NodeID) *fetcher {
	f := &fetcher{cfg: cfg, leader: leader, wake: make(chan struct{}, 1), report: make(chan struct{}, 1), byKey: make(map[idKey]*followed)}
	f.mu.followed = make(map[*Partition]*followed)
	return f
}

// add takes a partition, or one that is there already in another epoch.
func (f *fetcher) add(p *Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.mu.followed[p]
	if x == nil {
		x = &followed{fetcher: f, partition: p}
		f.mu.followed[p] = x
		p.followed.Store(x)
	}
	x.anew = true
	f.changedLocked(x)
}

func (f *fetcher) remove(x *followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.followed, x.partition)
	x.gone = true
	f.changedLocked(x)
}

// changed says that a partition has something else to tell its leader, as that more of it is on disk. It does not wait.
func (f *fetcher) changed(x *followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changedLocked(x)
}

// changedLocked queues a partition for the next request, and has it reported when that is not due.
func (f *fetcher) changedLocked(x *followed) {
	if !x.queued {
		x.queued = true
		f.mu.changed = append(f.mu.changed, x)
	}
	if f.mu.polling {
		signal(f.report)
	}
	signal(f.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is already on its way
	}
}

// run is the loop.
func (f *fetcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		req, wait := f.request(time.Now())
		if req == nil {
			f.rest(ctx, wait)
			continue
		}
		resp, release, err := f.cfg.Fetch(ctx, f.leader, req)
		f.answered()
		if err == nil {
			err = f.take(resp)
			release()
		}
		if err == nil {
			f.failures = 0
			continue
		}
		f.startAnew()
		if ctx.Err() != nil {
			return
		}
		f.failures++
		if f.failures == 1 || f.failures%retriesPerLine == 0 {
			f.cfg.Log.Warn("fetching from the leader failed", "leader", f.leader, "tries", f.failures, "err", err)
		}
		pause(ctx, f.backoff())
	}
}

// retriesPerLine thins the log while a leader is away.
const retriesPerLine = 60

// backoff grows to the configured one, so that a leader which restarts is found soon, and differs from follower to
// follower.
func (f *fetcher) backoff() time.Duration {
	d := min(f.cfg.Replication.Backoff, 20*time.Millisecond<<min(f.failures, 10))
	return d/2 + rand.N(d/2+1)
}

// rest waits until there is something to fetch.
func (f *fetcher) rest(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-f.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// answered says that the long poll is over: what changes from now on is in the next request.
func (f *fetcher) answered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.polling = false
}

// startAnew forgets the session. The next request names all partitions.
func (f *fetcher) startAnew() {
	f.session = fetchSession{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.byKey {
		x.inSession = false
	}
	clear(f.byKey)
	for _, x := range f.mu.followed {
		if !x.queued {
			x.queued = true
			f.mu.changed = append(f.mu.changed, x)
		}
	}
}

// take handles an answer. An error is one of the whole answer.
func (f *fetcher) take(resp *wire.FetchResponse) error {
	if resp.Error != wire.None {
		return resp.Error
	}
	f.session.answered(resp.SessionID)
	var changed []*followed
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			reply := &t.Partitions[j]
			x := f.byKey[idKey{t.TopicID, reply.Partition}]
			if x == nil {
				continue // it was removed, and its forgetting has crossed with this
			}
			f.takePartition(x, reply)
			changed = append(changed, x)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range changed {
		if !x.queued {
			x.queued = true
			f.mu.changed = append(f.mu.changed, x)
		}
	}
	return nil
}

// takePartition gives an answer to the replica. After an error the partition rests for the backoff.
func (f *fetcher) takePartition(x *followed, reply *wire.FetchPartitionReply) {
	err := x.partition.takeFetched(x.sent, reply)
	if err == nil {
		x.partition.copied(len(reply.RecordData()))
		x.lastError = nil
		return
	}
	x.refused = true
	backoff := f.cfg.Replication.Backoff
	if waitsForImage(err) { // which is on its way, here or there
		backoff = min(backoff, imagePause)
	}
	f.mu.Lock()
	x.retryAt = time.Now().Add(backoff/2 + rand.N(backoff/2+1))
	f.mu.Unlock()
	if x.lastError == nil || x.lastError.Error() != err.Error() {
		f.cfg.Log.Log(context.Background(), levelOf(err), "replica does not follow its leader", "topic", x.partition.topic, "partition", x.partition.index,
			"leader", f.leader, "offset", x.sent.FetchOffset, "epoch", x.sent.CurrentLeaderEpoch, "err", err)
	}
	x.lastError = err
}

// imagePause is the longest pause while the leader's image and this broker's differ.
const imagePause = 50 * time.Millisecond

func waitsForImage(err error) bool {
	return slices.ContainsFunc([]wire.Error{wire.NotLeaderOrFollower, wire.FencedLeaderEpoch, wire.UnknownLeaderEpoch, wire.UnknownTopicID, wire.UnknownTopicOrPartition, wire.ReplicaNotAvailable},
		func(code wire.Error) bool { return errors.Is(err, code) })
}

// levelOf tells what happens in a healthy cluster from what somebody has to look at.
func levelOf(err error) slog.Level {
	switch {
	case waitsForImage(err):
		return slog.LevelDebug
	case errors.Is(err, errCorruptAnswer), errors.Is(err, commitlog.ErrInvalidBatch):
		return slog.LevelError
	}
	return slog.LevelWarn
}
