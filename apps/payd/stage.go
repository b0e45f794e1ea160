package payd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// work is what a stage does with the records of its partitions. The stage calls one method at a time.
type work interface {
	// begin prepares for partitions and returns the offsets to go on from; a partition that is absent goes on from
	// the group's commit. It is called without any record in flight for these partitions.
	begin(ctx context.Context, partitions []int32) (map[int32]int64, error)
	// take handles one record and returns what to write.
	take(r *kgo.Record) []*kgo.Record
	// settle is called between polls. It returns what else to write, and then what may be written once everything
	// before it is safe. last asks for all there is, since the partitions are about to go.
	settle(now time.Time, last bool) (out, then []*kgo.Record)
	// end forgets partitions.
	end(partitions []int32)
}

// stage is one member of a consumer group: it reads a topic, works, writes, and commits what is written.
type stage struct {
	config *Config
	group  string
	topic  string
	client *kgo.Client

	mu     sync.Mutex // held around every call of work
	work   work
	broken bool // work has taken records whose results are not written: it must not be saved
}

const (
	pollRecordsMax = 2000
	pollEvery      = 100 * time.Millisecond // between polls that bring little, so that commits come in groups
	pollWait       = time.Second            // so that settle is called when nothing arrives
	stopTimeout    = 3 * time.Second        // for writing the last results, and again for leaving the group
	// How long the group waits for a member that was killed; brokers allow no less.
	sessionTimeout   = 6 * time.Second
	rebalanceTimeout = 15 * time.Second
)

// runStage runs a stage until the context ends. A stage that fails begins again from what is written.
func runStage(ctx context.Context, config *Config, group, topic string, newWork func() work) {
	const retryAfter = time.Second
	for {
		s := &stage{config: config, group: group, topic: topic, work: newWork()}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		config.Log.Warn("stage begins again", "group", group, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
}

func (s *stage) run(ctx context.Context) error {
	// What has been polled is written and left in order even when ctx ends, but a log that is gone must not hold us.
	writing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTimeout, giveUp) })()
	client, err := s.config.newClient(s.group, kgo.WithContext(writing),
		kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(sessionTimeout), kgo.HeartbeatInterval(sessionTimeout/4), kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(s.begin),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { s.end(lost) }),
	)
	if err != nil {
		return err
	}
	s.client = client
	defer client.CloseAllowingRebalance()
	for {
		if err := s.poll(ctx, writing); err != nil {
			return err
		}
	}
}

// poll handles what one poll brings, and makes it safe.
func (s *stage) poll(ctx, writing context.Context) error {
	defer s.client.AllowRebalance()
	bounded, cancel := context.WithTimeout(ctx, pollWait)
	fetches := s.client.PollRecords(bounded, pollRecordsMax)
	cancel()
	if err := fetchError(ctx, fetches); err != nil {
		return err
	}
	if err := s.handle(writing, fetches, false); err != nil {
		return err
	}
	if n := fetches.NumRecords(); n == 0 || n > pollRecordsMax/4 {
		return nil
	}
	select {
	case <-ctx.Done():
	case <-time.After(pollEvery):
	}
	return nil
}

// handle works on the fetched records, writes, and commits.
func (s *stage) handle(ctx context.Context, fetches kgo.Fetches, last bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return fmt.Errorf("payd: group %s: an earlier write failed", s.group)
	}
	s.broken = true
	var out []*kgo.Record
	fetches.EachRecord(func(r *kgo.Record) { out = append(out, s.work.take(r)...) })
	more, then := s.work.settle(time.Now(), last)
	for _, records := range [][]*kgo.Record{append(out, more...), then} {
		if err := write(ctx, s.client, records); err != nil {
			return fmt.Errorf("payd: group %s writes: %w", s.group, err)
		}
	}
	s.broken = false
	if err := s.client.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("payd: group %s commits: %w", s.group, err)
	}
	return nil
}

func (s *stage) begin(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	var partitions []int32
	for p := range offsets[s.topic] {
		partitions = append(partitions, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	resume, err := s.work.begin(ctx, partitions)
	if err != nil {
		if ctx.Err() == nil { // else it ends
			s.config.Log.Warn("stage cannot begin", "group", s.group, "error", err)
		}
		return nil, err
	}
	for p, offset := range resume {
		offsets[s.topic][p] = kgo.NewOffset().At(offset)
	}
	return offsets, nil
}

// revoked makes everything safe before the partitions go to another member, or nowhere.
func (s *stage) revoked(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.handle(ctx, nil, true); err != nil {
		s.config.Log.Warn("stage gives up partitions without saving", "group", s.group, "error", err)
	}
	s.end(revoked)
}

func (s *stage) end(partitions map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work.end(partitions[s.topic])
}
