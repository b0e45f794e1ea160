package coordinator

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/coordinator/group"
	"github.com/logbahn/logbahn/internal/record"
)

const (
	inboxCallsMax = 64 // calls that wait for the shard; more wait in their callers
	roundCallsMax = 64 // calls whose records go into one append
)

// shard is one incarnation of a coordinator. Its goroutine owns everything but what says otherwise.
type shard struct {
	cfg       *Config
	log       Log
	partition int32
	inbox     chan *call    // any goroutine
	wake      chan struct{} // any goroutine; of size 1: mu.deleted has something
	quit      chan struct{} // closed by unload
	gone      chan struct{} // closed when the goroutine ends
	batchMax  int           // bytes that one append may have; when the topic takes less later, one fails, and the next shard knows
	cause     error         // why; written before quit or gone is closed, read after gone is

	machine *group.Machine
	calls   map[uint64]*call // not yet answered
	lastID  uint64
	end     int64 // of the log, as the machine's state has it
	round   round

	owesDrop bool // offsets of deleted topics wait for a log that takes their removal

	mu struct {
		sync.Mutex
		unloaded bool
		deleted  []Topic
	}
}

// round is what the calls taken since the last append have decided.
type round struct {
	builder  *record.Builder
	replies  []reply
	appended bool // anything
}

type reply struct {
	call     *call
	response kmsg.Response
}

func newShard(cfg *Config, partition int32, log Log) *shard {
	return &shard{
		cfg:       cfg,
		log:       log,
		partition: partition,
		inbox:     make(chan *call, inboxCallsMax),
		wake:      make(chan struct{}, 1),
		quit:      make(chan struct{}),
		gone:      make(chan struct{}),
		batchMax:  min(cfg.BatchBytesMax, log.BatchBytesMax()),
		calls:     make(map[uint64]*call),
		round:     round{builder: record.NewBuilder(record.BuilderOptions{})},
	}
}

// unload ends the incarnation; err is what callers get. Any goroutine may call it, any number of times.
func (s *shard) unload(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.unloaded {
		s.mu.unloaded, s.cause = true, err
		close(s.quit)
	}
}

// topicsDeleted makes the shard remove the offsets of the topics. It does not wait.
func (s *shard) topicsDeleted(topics []Topic) {
	s.mu.Lock()
	s.mu.deleted = append(s.mu.deleted, topics...)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run is the shard's goroutine.
func (s *shard) run() {
	defer close(s.gone)
	err := s.load()
	if err == nil && !s.unloaded() { // what is half loaded must answer nobody
		err = s.serve()
	}
	if err != nil {
		s.unload(err)
	}
}

// serve returns nil when the shard is unloaded, or the error that makes its state worthless.
func (s *shard) serve() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.arm(timer)
		select {
		case <-s.quit:
			return nil
		case c := <-s.inbox:
			if err := s.take(c); err != nil {
				return err
			}
		case <-s.wake:
			if err := s.dropDeleted(); err != nil {
				return err
			}
		case <-timer.C:
			if err := s.expire(); err != nil {
				return err
			}
		}
		if err := s.endRound(); err != nil {
			return err
		}
	}
}

// take handles the call and those that wait behind it.
func (s *shard) take(c *call) error {
	for taken := 1; ; taken++ {
		if err := s.handle(c); err != nil || taken == roundCallsMax {
			return err
		}
		select {
		case c = <-s.inbox:
		default:
			return nil
		}
	}
}

// handle gives a call to the machine. What the log would not take is refused before that: to find out by the append costs the
// shard, and while too few replicas are in sync every try would have the whole partition loaded anew.
func (s *shard) handle(c *call) error {
	if writes(c.request) {
		if err := s.log.MayAppend(); errors.Is(err, ErrUnavailable) {
			c.answer <- answer{err: err}
			return nil
		}
		if s.owesDrop {
			if err := s.dropDeleted(); err != nil {
				return err
			}
		}
	}
	s.lastID++
	s.calls[s.lastID] = c
	return s.apply(s.machine.Handle(s.cfg.Now(), group.Call{ID: s.lastID, Client: c.client, Request: c.request}))
}

// writes tells of the requests that the log is written for whenever they are granted.
func writes(req kmsg.Request) bool {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest, *kmsg.OffsetDeleteRequest, *kmsg.DeleteGroupsRequest:
		return true
	case *kmsg.SyncGroupRequest:
		return len(req.GroupAssignment) > 0
	}
	return false
}

// expire handles the deadlines that have passed.
func (s *shard) expire() error {
	now := s.cfg.Now()
	for {
		at, ok := s.machine.Deadline()
		if !ok || at.After(now) {
			return nil
		}
		if err := s.apply(s.machine.Expire(now)); err != nil {
			return err
		}
	}
}

// arm sets the timer to the machine's next deadline.
func (s *shard) arm(timer *time.Timer) {
	if at, ok := s.machine.Deadline(); ok {
		timer.Reset(max(at.Sub(s.cfg.Now()), 0))
		return
	}
	timer.Stop()
}

// dropDeleted removes the offsets of topics that have been deleted, watched or not. What the log would not take now is done before
// the next request that it is written for.
func (s *shard) dropDeleted() error {
	if s.owesDrop = errors.Is(s.log.MayAppend(), ErrUnavailable); s.owesDrop {
		return nil
	}
	deleted := s.takeDeleted()
	return s.apply(s.machine.DropTopics(func(name string, id [16]byte) bool { return deleted(name, id) || s.madeAgain(name, id) }))
}

// takeDeleted returns what tells whether an offset is of a topic that has been deleted. It is asked for every offset there is.
func (s *shard) takeDeleted() func(name string, id [16]byte) bool {
	s.mu.Lock()
	deleted := s.mu.deleted
	s.mu.deleted = nil
	s.mu.Unlock()
	ids := make(map[string][][16]byte, len(deleted))
	for _, t := range deleted {
		ids[t.Name] = append(ids[t.Name], t.ID)
	}
	return func(name string, id [16]byte) bool {
		gone, named := ids[name]
		return named && (id == [16]byte{} || slices.Contains(gone, id))
	}
}

// apply replays what the machine has decided and adds it to the round.
func (s *shard) apply(r group.Result) error {
	// What one call writes goes into one batch, unless it is more than a batch may hold: then it is very many tombstones or
	// offsets, which need not arrive together.
	if err := s.makeRoom(r.Records...); err != nil {
		return err
	}
	now := s.cfg.Now().UnixMilli()
	for _, rec := range r.Records {
		if err := s.machine.Replay(rec.Key, rec.Value); err != nil {
			return err
		}
		if err := s.makeRoom(rec); err != nil {
			return err
		}
		s.round.builder.Append(record.Record{Timestamp: now, Key: rec.Key, Value: rec.Value})
	}
	for i := range r.Events {
		s.tell(&r.Events[i])
	}
	for _, rep := range r.Replies {
		if c := s.calls[rep.ID]; c != nil {
			delete(s.calls, rep.ID)
			s.round.replies = append(s.round.replies, reply{call: c, response: rep.Response})
		}
	}
	return nil
}

// tell logs what has become of a group, as Kafka's coordinator does: there is little of it.
func (s *shard) tell(e *group.Event) {
	about := []any{slog.String("group", e.Group), slog.Int("generation", int(e.Generation))}
	switch {
	case e.Reason != "":
		s.cfg.Log.Info("group rebalances", append(about, slog.String("state", e.State.String()), slog.String("reason", e.Reason))...)
	case e.Members == 0:
		s.cfg.Log.Info("group is empty", about...)
	default:
		s.cfg.Log.Info("group has a new generation", append(about, slog.Int("members", e.Members))...)
	}
}

// recordOverheadMax is the most that a record takes besides its key and value: seven varints and the attributes.
const recordOverheadMax = 40

// groupConfig is the machine's, which must not write a record that no batch can take.
func (s *shard) groupConfig() group.Config {
	cfg := s.cfg.Group
	cfg.RecordBytesMax = max(min(cfg.RecordBytesMax, s.batchMax-record.HeaderSize-recordOverheadMax), 1)
	return cfg
}

// makeRoom appends what is collected if the batch cannot take these records besides.
func (s *shard) makeRoom(records ...group.Record) error {
	size := s.round.builder.Size()
	for _, rec := range records {
		size += recordOverheadMax + len(rec.Key) + len(rec.Value)
	}
	if size <= s.batchMax {
		return nil
	}
	return s.append()
}

// endRound appends the round's records and lets its replies go.
func (s *shard) endRound() error {
	if err := s.append(); err != nil {
		return err
	}
	for i, r := range s.round.replies {
		r.call.answer <- answer{response: r.response, end: s.end, appended: s.round.appended}
		s.round.replies[i] = reply{}
	}
	s.round.replies, s.round.appended = s.round.replies[:0], false
	return nil
}

// append writes the records collected so far as one batch. If it fails, the machine has seen records that are not in the
// log, and the shard must go.
func (s *shard) append() error {
	if s.round.builder.Count() == 0 {
		return nil
	}
	end, err := s.log.Append(s.round.builder.Bytes())
	s.round.builder.Reset(record.BuilderOptions{})
	if err != nil {
		return err
	}
	s.end, s.round.appended = end, true
	return nil
}
