package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// settlePatience is how long a broker may tell of partitions as they were before the end of a move.
	settlePatience = 5 * time.Second
	// settlePollInterval passes between two questions to the same broker.
	settlePollInterval = 50 * time.Millisecond
)

// view is what one broker tells of the topics of a plan, by name.
type view map[string]*kmsg.MetadataResponseTopic

// settle looks where the partitions are that are not being moved any more, and returns once every broker that answers tells
// the same: whoever is asked next does not tell of the time before. What became of those that have not arrived is in astray.
func (m *moveRun) settle(ctx context.Context) (arrived []moveRow, astray []error, err error) {
	views, err := m.views(ctx, func(v view) bool {
		for i := range m.taken {
			if v.astray(&m.taken[i]) != nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	arrived, astray = arrivals(m.taken, views)
	return arrived, astray, nil
}

// settleLeaders returns once every broker that answers tells that the preferred replicas of rows lead. That one goes on
// telling of others is no failure: a leader may have been lost again.
func (m *moveRun) settleLeaders(ctx context.Context, rows []moveRow) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := m.views(ctx, func(v view) bool {
		return !slices.ContainsFunc(rows, func(r moveRow) bool {
			at, _ := v.partition(&r)
			return at == nil || at.Leader != r.To[0]
		})
	})
	return err
}

// views asks every broker until what it tells is enough, or settlePatience has passed, and returns what each told last. It
// fails when none has answered. Each is asked itself: a client's own metadata are seconds old, and one broker's.
func (m *moveRun) views(ctx context.Context, enough func(view) bool) ([]view, error) {
	patient, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none: who is there now, after what may have been hours?
	resp, err := req.RequestWith(patient, m.client)
	if err != nil {
		return nil, err
	}
	last, failed := make([]view, len(resp.Brokers)), make([]error, len(resp.Brokers))
	var wg sync.WaitGroup
	for i, known := range resp.Brokers {
		b := m.client.Broker(int(known.NodeID))
		wg.Go(func() {
			for patient.Err() == nil {
				v, err := m.viewOf(patient, b)
				if err == nil {
					last[i] = v
					if enough(v) {
						return
					}
				} else if patient.Err() == nil {
					failed[i] = err
				}
				select {
				case <-patient.Done():
				case <-time.After(settlePollInterval):
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	told := slices.DeleteFunc(last, func(v view) bool { return v == nil })
	if len(told) == 0 {
		return nil, cmp.Or(errors.Join(failed...), errors.New("no broker tells where the partitions are"))
	}
	return told, nil
}

func (m *moveRun) viewOf(ctx context.Context, b *kgo.Broker) (view, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range m.topics() {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	resp, err := b.Request(ctx, req)
	if err != nil {
		return nil, err
	}
	v := view{}
	topics := resp.(*kmsg.MetadataResponse).Topics
	for i := range topics {
		if name := topics[i].Topic; name != nil {
			v[*name] = &topics[i]
		}
	}
	return v, nil
}

// partition returns nil where the broker does not know the partition, or may not tell.
func (v view) partition(r *moveRow) (*kmsg.MetadataResponseTopicPartition, error) {
	gone := errors.New("it has been deleted meanwhile")
	topic, told := v[r.Topic]
	if !told {
		return nil, gone
	}
	if err := kerr.ErrorForCode(topic.ErrorCode); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, gone
	} else if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(topic.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Partition == r.Partition })
	if at < 0 {
		return nil, gone
	}
	return &topic.Partitions[at], nil
}

// astray says why the partition is not where the plan has it, or nil.
func (v view) astray(r *moveRow) error {
	at, err := v.partition(r)
	if err == nil && !slices.Equal(at.Replicas, r.To) {
		err = fmt.Errorf("not moved: its replicas are %v; the move to %v was called off, or another one has taken its place", at.Replicas, r.To)
	}
	if err != nil {
		return fmt.Errorf("topic %q partition %d: %w", r.Topic, r.Partition, err)
	}
	return nil
}

// arrivals tells the partitions that are where the plan has them from the others. One broker that has seen a partition
// arrive is enough: the others are late.
func arrivals(plan []moveRow, views []view) (arrived []moveRow, astray []error) {
	for i := range plan {
		var last error
		seen := slices.ContainsFunc(views, func(v view) bool {
			last = v.astray(&plan[i])
			return last == nil
		})
		if seen {
			arrived = append(arrived, plan[i])
		} else {
			astray = append(astray, last)
		}
	}
	return arrived, astray
}
