package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// pollRecordsMax bounds a poll, so that there are many.
const pollRecordsMax = 20

// consumer is a client that reads all partitions by assignment. Each life begins somewhere in what the one before has read.
func (l *Load) consumer(ctx context.Context, r *rand.Rand, host *Host, name string) {
	next := make([]int64, partitions)
	poll := 0
	for ctx.Err() == nil {
		offsets := make(map[int32]kgo.Offset)
		for p := range int32(partitions) {
			if next[p] > 0 {
				next[p] = r.Int64N(next[p] + 1)
			}
			offsets[p] = kgo.NewOffset().At(next[p])
			l.recordReads(check.Read{Partition: check.Partition{Topic: topic, Index: p}, Consumer: name, Poll: poll, Offset: next[p], Assigned: true})
		}
		cl, err := l.client(host, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
			kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(500*time.Millisecond))
		if err != nil {
			l.tell("consumer: %v", err)
			return
		}
		living, end := context.WithTimeout(ctx, lifetime(r))
		for living.Err() == nil {
			poll++
			fetches := cl.PollRecords(living, pollRecordsMax)
			l.recordPoll(name, "", poll, fetches)
			fetches.EachRecord(func(rec *kgo.Record) { next[rec.Partition] = rec.Offset + 1 })
			rest(living, r, 200*time.Millisecond)
		}
		end()
		cl.Close()
	}
}

func (l *Load) recordReads(reads ...check.Read) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Reads = append(l.history.Reads, reads...)
}

func (l *Load) recordPoll(name, group string, poll int, fetches kgo.Fetches) {
	var reads []check.Read
	fetches.EachRecord(func(rec *kgo.Record) {
		reads = append(reads, check.Read{
			Partition: check.Partition{Topic: rec.Topic, Index: rec.Partition}, Consumer: name, Group: group, Poll: poll, Offset: rec.Offset, Value: string(rec.Value),
		})
	})
	l.recordReads(reads...)
	for _, e := range fetches.Errors() {
		var loss *kgo.ErrDataLoss
		if errors.As(e.Err, &loss) || errors.Is(e.Err, kerr.OffsetOutOfRange) {
			l.tell("%s, partition %d: %v", name, e.Partition, e.Err)
		}
	}
	l.op("poll %s %d: %s", name, poll, spans(reads))
}

// spans says which offsets a poll has returned.
func spans(reads []check.Read) string {
	text, from := "", 0
	for i := range reads {
		if i+1 == len(reads) || reads[i+1].Index != reads[i].Index {
			text += fmt.Sprintf("%d: %d to %d; ", reads[i].Index, reads[from].Offset, reads[i].Offset)
			from = i + 1
		}
	}
	return text
}

// member is a client that reads as member of the group, and commits what it has read.
func (l *Load) member(ctx context.Context, r *rand.Rand, host *Host, name string) {
	poll := 0
	for life := 1; ctx.Err() == nil; life++ {
		m := &groupMember{load: l, name: name + "." + strconv.Itoa(life), poll: &poll}
		cl, err := l.client(host, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(500*time.Millisecond),
			kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(10*time.Second),
			kgo.OnPartitionsAssigned(m.assigned), kgo.OnOffsetsFetched(m.fetched))
		if err != nil {
			l.tell("member: %v", err)
			return
		}
		living, end := context.WithTimeout(ctx, lifetime(r))
		for living.Err() == nil {
			m.work(living, cl)
			rest(living, r, 600*time.Millisecond)
		}
		end()
		cl.CloseAllowingRebalance()
	}
}

type groupMember struct {
	load *Load
	name string
	poll *int

	mu         sync.Mutex
	assignedAt time.Duration
}

func (m *groupMember) work(ctx context.Context, cl *kgo.Client) {
	*m.poll++
	fetches := cl.PollRecords(ctx, pollRecordsMax)
	m.load.recordPoll(m.name, group, *m.poll, fetches)
	if fetches.NumRecords() > 0 {
		m.commit(ctx, cl, fetches)
	}
	cl.AllowRebalance()
}

// commit commits the positions behind what a poll has returned.
func (m *groupMember) commit(ctx context.Context, cl *kgo.Client, fetches kgo.Fetches) {
	offsets := make(map[int32]kgo.EpochOffset)
	fetches.EachRecord(func(rec *kgo.Record) {
		offsets[rec.Partition] = kgo.EpochOffset{Epoch: rec.LeaderEpoch, Offset: rec.Offset + 1}
	})
	at := make(map[int32]int)
	for p := range int32(partitions) {
		if o, ok := offsets[p]; ok {
			at[p] = m.load.recordCommit(p, o.Offset)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	cl.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			m.load.op("commit %s %v %v", m.name, offsets, err)
			if err != nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					m.load.cluster.Trace.Countf("committed %s %d: %v", m.name, p.Partition, kerr.ErrorForCode(p.ErrorCode))
					if i, ok := at[p.Partition]; ok && p.ErrorCode == 0 {
						m.load.recordCommitted(i)
					}
				}
			}
		})
}

func (l *Load) recordCommit(partition int32, offset int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Commits = append(l.history.Commits, check.Commit{
		Partition: check.Partition{Topic: topic, Index: partition}, Group: group, Offset: offset, Begin: l.now(),
	})
	return len(l.history.Commits) - 1
}

func (l *Load) recordCommitted(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.history.Commits[i]
	c.Outcome, c.End = check.OK, l.now()
	c.Again = c.End-c.Begin >= retryBackoff
}

// assigned comes before the committed offsets are asked for.
func (m *groupMember) assigned(context.Context, *kgo.Client, map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assignedAt = m.load.now()
}

// fetched tells where the member is going to start.
func (m *groupMember) fetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	m.mu.Lock()
	begin := m.assignedAt
	m.mu.Unlock()
	if len(resp.Groups) == 1 {
		for _, t := range resp.Groups[0].Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					m.load.recordStart(m.name, *m.poll, p.Partition, p.Offset, begin)
				}
			}
		}
	}
	return nil
}

// recordStart keeps where a member of the group begins, and that this was the committed offset.
func (l *Load) recordStart(member string, poll int, index int32, offset int64, begin time.Duration) {
	l.cluster.Trace.Countf("fetched %s %d: %d, assigned at %v", member, index, offset, begin)
	p := check.Partition{Topic: topic, Index: index}
	l.recordFetched(check.Fetched{Partition: p, Group: group, Offset: offset, Begin: begin, End: l.now()})
	l.recordReads(check.Read{Partition: p, Consumer: member, Group: group, Poll: poll, Offset: max(offset, 0), Assigned: true})
}

func (l *Load) recordFetched(f check.Fetched) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Fetched = append(l.history.Fetched, f)
}
