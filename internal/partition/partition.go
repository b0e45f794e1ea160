package partition

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/wire"
)

// Partition is this broker's replica of one partition. See the package comment for what it promises.
type Partition struct {
	topic   string
	topicID cluster.UUID
	index   int32
	copy    int32 // how often it was begun anew in this life of the broker
	set     *Set
	cfg     *Config

	settings atomic.Pointer[Settings]

	role roleLock // shared: an append under the present epoch; alone: a change of leader or epoch
	log  *commitlog.Log

	traffic Traffic

	followed atomic.Pointer[followed] // of the fetcher that copies the leader's records here, nil when none does
	full     atomic.Bool              // its leader is told that it has no room

	highWatermark atomic.Int64 // as mu.machine has it, for readers who take no lock

	mu struct {
		sync.Mutex
		machine replica.Machine
		offline *OfflineError
		// forgotten is what the leader of leaderEpoch has answered when it was told that this replica's records are lost.
		forgotten struct {
			leaderEpoch int32 // -1: of none
			wire.Forgotten
		}
		version  uint64 // counts the changes that a reader may see
		waiting  []*ackWaiter
		watchers map[watcher]struct{}
	}
}

// Topic returns the topic's name.
func (p *Partition) Topic() string { return p.topic }

// TopicID returns the topic's id, which tells a topic from a later one of the same name.
func (p *Partition) TopicID() cluster.UUID { return p.topicID }

// Index returns the partition's number in its topic.
func (p *Partition) Index() int32 { return p.index }

// Log returns the replica's log, nil when it could not be opened.
func (p *Partition) Log() *commitlog.Log { return p.log }

// Settings returns the topic's settings as they are now. They are not to be changed.
func (p *Partition) Settings() *Settings { return p.settings.Load() }

// Offline returns why the replica is offline, nil when it is not.
func (p *Partition) Offline() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offlineLocked()
}

func (p *Partition) offlineLocked() error {
	if p.mu.offline == nil {
		return nil
	}
	return p.mu.offline
}

// HighWatermark returns the offset below which records are committed. Consumers see no more than that.
func (p *Partition) HighWatermark() int64 { return p.highWatermark.Load() }

// LastStableOffset returns the offset below which no transaction is open. Transactional batches are not accepted, so it
// is the high watermark.
func (p *Partition) LastStableOffset() int64 { return p.HighWatermark() }

// StartOffset returns the first offset of the log, 0 when it could not be opened.
func (p *Partition) StartOffset() int64 {
	if p.log == nil {
		return 0
	}
	return p.log.StartOffset()
}

// EndOffset returns the offset that the next record gets, 0 when the log could not be opened.
func (p *Partition) EndOffset() int64 {
	if p.log == nil {
		return 0
	}
	return p.log.EndOffset()
}

// LeaderEpoch returns the epoch of the present leader, -1 before the first.
func (p *Partition) LeaderEpoch() int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.machine.LeaderEpoch()
}

// Leading returns the present leader epoch and whether this replica leads in it and is online.
func (p *Partition) Leading() (epoch int32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.machine.LeaderEpoch(), p.mu.machine.IsLeader() && p.mu.offline == nil
}

// Confirmed tells whether this broker can be sure that no other one leads for its silence (Config.Confirmed), or because it
// has resigned.
func (p *Partition) Confirmed() bool {
	if !p.cfg.Confirmed() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.mu.machine.Resigns()
}

// Leader returns who leads the partition, in which epoch, as far as this replica knows; -1 when nobody does.
func (p *Partition) Leader() (cluster.NodeID, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.machine.Leader(), p.mu.machine.LeaderEpoch()
}

// InSyncFrom reports whether this replica leads and another one is in sync and has the log from offset on, and how far
// that one's goes: readers may be sent there (KIP-392).
func (p *Partition) InSyncFrom(id cluster.NodeID, offset int64) (end int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	return m.InSyncFrom(id, offset)
}

// InSync reports whether this replica leads and another one is in the in-sync set.
func (p *Partition) InSync(id cluster.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	return m.IsLeader() && slices.Contains(m.ISR(), id)
}

// inSync tells whether the image has this replica in sync.
func (p *Partition) inSync() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.mu.machine.ISR(), p.cfg.NodeID)
}

// Ack says what to wait for after an append.
type Ack struct {
	LeaderEpoch int32            // under which the records were appended
	EndOffset   int64            // after the last of them
	Acks        int16            // 0: nothing; 1: flushed here; -1 (all): below the high watermark
	Expired     <-chan time.Time // ends the wait with ErrTimeout; nil: never
}

// Wait returns nil when the records below a.EndOffset are as safe as a.Acks asks. It fails with ErrNotLeader when the
// epoch ended before, *OfflineError when the log failed before, ErrTimeout, ErrNotEnoughReplicasAfterAppend when that is
// why, or ctx's error; the records may be committed all the same, later.
func (p *Partition) Wait(ctx context.Context, a Ack) error {
	if a.Acks == 0 {
		return nil
	}
	w, err := p.enlist(a)
	if w == nil {
		return err
	}
	select {
	case err := <-w.done:
		p.set.ackWaiters.Put(w)
		return err
	case <-a.Expired:
		return p.abandon(w, ErrTimeout)
	case <-ctx.Done():
		return p.abandon(w, ctx.Err())
	}
}

// enlist puts a waiter on the list; it returns none when there is nothing to wait for.
func (p *Partition) enlist(a Ack) (*ackWaiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.leadsLocked(a.LeaderEpoch); err != nil {
		return nil, err
	}
	all := a.Acks != 1
	if p.safeLocked(a.EndOffset, all) {
		return nil, nil
	}
	w := p.set.newAckWaiter()
	w.end, w.all = a.EndOffset, all
	p.mu.waiting = append(p.mu.waiting, w)
	return w, nil
}

// abandon takes a waiter off the list. One that was answered meanwhile has its answer.
func (p *Partition) abandon(w *ackWaiter, err error) error {
	p.mu.Lock()
	i := slices.Index(p.mu.waiting, w)
	if i >= 0 {
		p.mu.waiting = slices.Delete(p.mu.waiting, i, i+1)
	}
	if err == ErrTimeout && w.all && !p.mu.machine.EnoughInSync() {
		err = ErrNotEnoughReplicasAfterAppend
	}
	p.mu.Unlock()
	if i < 0 {
		err = <-w.done
	}
	p.set.ackWaiters.Put(w)
	return err
}

// leadsLocked returns why this replica does not lead in the epoch, nil when it does.
func (p *Partition) leadsLocked(epoch int32) error {
	if err := p.offlineLocked(); err != nil {
		return err
	}
	if m := &p.mu.machine; !m.IsLeader() || m.LeaderEpoch() != epoch {
		return ErrNotLeader
	}
	return nil
}

func (p *Partition) safeLocked(end int64, all bool) bool {
	m := &p.mu.machine
	if all {
		return m.HighWatermark() >= end
	}
	return m.Flushed() >= end
}

// step feeds the machine with one event and carries out what it returns.
func (p *Partition) step(event func(*replica.Machine) replica.Effects) {
	p.mu.Lock()
	e := event(&p.mu.machine)
	p.carryOutLocked(e)
	p.mu.Unlock()
	p.propose(e)
}

func (p *Partition) propose(e replica.Effects) {
	if e.Propose.ISR != nil {
		p.set.proposals.add(p, e.Propose)
	}
}

func (p *Partition) carryOutLocked(e replica.Effects) {
	if e.LostLeadership {
		p.failWaitersLocked(ErrNotLeader)
	}
	if e.Moved {
		p.highWatermark.Store(p.mu.machine.HighWatermark())
		p.log.SetHighWatermark(p.mu.machine.HighWatermark())
	}
	p.answerWaitersLocked()
	if e.Wake {
		p.wakeLocked()
	}
}

func (p *Partition) answerWaitersLocked() {
	p.mu.waiting = slices.DeleteFunc(p.mu.waiting, func(w *ackWaiter) bool {
		safe := p.safeLocked(w.end, w.all)
		if safe {
			w.done <- nil
		}
		return safe
	})
}

func (p *Partition) failWaitersLocked(err error) {
	for _, w := range p.mu.waiting {
		w.done <- err
	}
	p.mu.waiting = slices.Delete(p.mu.waiting, 0, len(p.mu.waiting))
}

func (p *Partition) wakeLocked() {
	p.mu.version++
	for w := range p.mu.watchers {
		w.wake(p)
	}
}

// watch adds w and reports whether the partition has changed since seen.
func (p *Partition) watch(w watcher, seen uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.watchers == nil {
		p.mu.watchers = make(map[watcher]struct{})
	}
	p.mu.watchers[w] = struct{}{}
	return p.mu.version != seen
}

func (p *Partition) unwatch(w watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.watchers, w)
}

// hooks are what the log calls from its flusher, its maintenance and its scrubber.
func (p *Partition) hooks() commitlog.Hooks {
	return commitlog.Hooks{
		Flushed:     func(int64) { p.flushed() },
		Failed:      p.fail,
		Rotten:      p.rotten,
		StartOffset: func(start int64) { p.step(func(m *replica.Machine) replica.Effects { return m.StartedAt(start) }) },
	}
}

// flushed tells the machine what is on disk. The log is asked under the lock: what the flusher knows may be from before
// the log was cut.
func (p *Partition) flushed() {
	p.step(func(m *replica.Machine) replica.Effects { return m.FlushedTo(p.log.FlushedOffset()) })
	p.tellLeader()
}

// fail takes the replica offline: nothing that was not safe before will be acknowledged.
func (p *Partition) fail(err error) {
	p.mu.Lock()
	if p.mu.offline != nil {
		p.mu.Unlock()
		return
	}
	p.mu.offline = &OfflineError{Reason: err}
	p.failWaitersLocked(p.mu.offline)
	p.wakeLocked()
	e := p.mu.machine.Failed()
	p.mu.Unlock()
	p.cfg.Log.Error("replica offline", "topic", p.topic, "partition", p.index, "err", err)
	p.propose(e)
	p.tellLeader()
}

// assign takes over what the image says of this partition. An epoch that makes this replica the leader is written to
// the log before anything can be appended under it. Where that fails the replica leads all the same, for the image says so,
// and being offline asks that another one be elected.
func (p *Partition) assign(a replica.Assignment) {
	p.role.Lock()
	defer p.role.Unlock()
	if p.becomesLeader(a) {
		if err := p.log.StartEpoch(a.LeaderEpoch); err != nil {
			p.fail(err)
		}
	}
	now := p.set.sinceBegun(time.Now())
	p.step(func(m *replica.Machine) replica.Effects { return m.Assigned(a, now) })
}

func (p *Partition) becomesLeader(a replica.Assignment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu.machine
	return p.mu.offline == nil && a.Leader == p.cfg.NodeID && (a.LeaderEpoch > m.LeaderEpoch() || !m.IsLeader())
}

// retire ends the replica: the topic is gone or the partition has moved away.
func (p *Partition) retire() {
	p.role.Lock()
	defer p.role.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.mu.machine.Retired()
	p.carryOutLocked(e)
}

// tick tells the replica the time, so that followers that lag leave the in-sync set, and one that had no room looks whether
// it has by now: without records to copy nothing else would have it say so.
func (p *Partition) tick(now time.Time) {
	p.step(func(m *replica.Machine) replica.Effects { return m.Tick(p.set.sinceBegun(now)) })
	if p.full.Load() {
		p.tellLeader()
	}
}

// tellLeader has the replica's fetcher tell its leader what has changed, if it follows one.
func (p *Partition) tellLeader() {
	if f := p.followed.Load(); f != nil {
		f.fetcher.changed(f)
	}
}

// storageError marks the log's own failures as the replica's.
func storageError(err error) error {
	if errors.Is(err, commitlog.ErrStorage) {
		return &OfflineError{Reason: err}
	}
	return err
}
