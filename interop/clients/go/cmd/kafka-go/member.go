package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/segmentio/kafka-go"
)

// member is a ConsumerGroup, which shows what it is assigned, with a Reader for each partition of a generation.
type member struct {
	group     *kafka.ConsumerGroup
	bootstrap []string
	topic     string
	stop      context.CancelFunc
	ended     chan struct{}
	record    chan driver.Record
	failed    chan error

	mu                sync.Mutex
	generation        *kafka.Generation
	held              map[int32]bool
	assigned, revoked int
}

func (l *library) Join(_ context.Context, options driver.MemberOptions) (driver.Member, error) {
	if options.Assignor == driver.CooperativeSticky {
		return nil, driver.Unsupported("no cooperative assignor")
	}
	if options.Instance != "" {
		return nil, driver.Unsupported("no static membership")
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: options.Group, Brokers: l.bootstrap, Topics: []string{options.Topic}, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, HeartbeatInterval: 200 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{
		group: group, bootstrap: l.bootstrap, topic: options.Topic, stop: stop, held: map[int32]bool{},
		ended: make(chan struct{}), record: make(chan driver.Record), failed: make(chan error, 1),
	}
	go m.consume(ctx)
	return m, nil
}

func (m *member) consume(ctx context.Context) {
	defer close(m.ended)
	for {
		generation, err := m.group.Next(ctx)
		if errors.Is(err, kafka.RebalanceInProgress) {
			continue // another member came or went while this one joined: the group joins again by itself
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, kafka.ErrGroupClosed) {
				m.failed <- err
			}
			return
		}
		m.begin(generation)
		for _, assignment := range generation.Assignments[m.topic] {
			generation.Start(func(ctx context.Context) { m.read(ctx, assignment) })
		}
	}
}

func (m *member) begin(generation *kafka.Generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked += len(m.held)
	m.generation, m.held = generation, map[int32]bool{}
	m.assigned++
	for _, assignment := range generation.Assignments[m.topic] {
		m.held[int32(assignment.ID)] = true
	}
}

func (m *member) read(ctx context.Context, assignment kafka.PartitionAssignment) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: m.bootstrap, Topic: m.topic, Partition: assignment.ID, MaxWait: 100 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20,
	})
	defer r.Close()
	if err := r.SetOffset(assignment.Offset); err != nil {
		return
	}
	for {
		message, err := r.ReadMessage(ctx)
		if err != nil {
			return
		}
		select {
		case m.record <- record(message):
		case <-ctx.Done():
			return
		}
	}
}

func (m *member) Poll(ctx context.Context) ([]driver.Record, error) {
	var rs []driver.Record
	wait := time.NewTimer(100 * time.Millisecond)
	defer wait.Stop()
	for len(rs) < 100 {
		select {
		case r := <-m.record:
			rs = append(rs, r)
		case err := <-m.failed:
			return rs, err
		case <-wait.C:
			return rs, nil
		case <-ctx.Done():
			return rs, ctx.Err()
		}
	}
	return rs, nil
}

func (m *member) Assignment() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var held []int32
	for p := range m.held {
		held = append(held, p)
	}
	return held
}

func (m *member) Assigned() int { m.mu.Lock(); defer m.mu.Unlock(); return m.assigned }
func (m *member) Revoked() int  { m.mu.Lock(); defer m.mu.Unlock(); return m.revoked }

func (m *member) Commit(_ context.Context, offsets map[int32]int64) error {
	m.mu.Lock()
	generation := m.generation
	m.mu.Unlock()
	commit := map[int]int64{}
	for p, offset := range offsets {
		commit[int(p)] = offset
	}
	return generation.CommitOffsets(map[string]map[int]int64{m.topic: commit})
}

func (m *member) Leave() {
	m.stop()
	m.group.Close()
	<-m.ended
}

func (m *member) Stop() { m.Leave() }
