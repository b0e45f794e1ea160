package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/kafkacli"
)

// How long the cluster is asked for between two looks at what is being moved.
const movePollInterval = 500 * time.Millisecond

// moveRun carries out a plan.
type moveRun struct {
	c        *cobra.Command
	client   *kgo.Client
	admin    *kadm.Client
	plan     []moveRow
	throttle int64 // bytes a second of each broker; 0: none
	wait     bool  // until everything has been moved, and led by whom the plan says

	taken []moveRow    // of the plan: what the cluster has agreed to
	left  atomic.Int64 // partitions whose replicas are still being moved
	bytes atomic.Int64 // that are still to be copied; -1: not known
}

// run returns when everything is done, or is under way without wait. What was refused is in the error.
func (m *moveRun) run(ctx context.Context) error {
	if len(m.plan) == 0 {
		return nil
	}
	if m.throttle > 0 {
		if err := m.setThrottle(ctx); err != nil {
			return err
		}
		fmt.Fprintf(m.c.ErrOrStderr(), "each broker copies %s/s at most\n", bytesText(m.throttle))
	}
	failed := m.assign(ctx)
	switch {
	case len(m.taken) == 0 && m.throttle > 0: // there is nothing that it could bound
		return outcome(0, append(failed, m.removeThrottle(ctx))...)
	case len(m.taken) == 0 || !m.wait:
		return outcome(len(m.taken), failed...)
	}
	if err := m.await(ctx); err != nil {
		m.tellLeft(ctx)
		return errors.Join(append(failed, err)...)
	}
	arrived, astray, err := m.settle(ctx)
	if err != nil {
		return errors.Join(append(failed, err)...)
	}
	failed = append(failed, astray...)
	elected, err := m.elect(ctx, arrived)
	failed = append(failed, err, m.settleLeaders(ctx, elected))
	if m.throttle > 0 {
		failed = append(failed, m.removeThrottle(ctx))
	}
	return outcome(len(arrived), failed...)
}

// within gives one request to the cluster its time.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// assign asks for the plan and notes what was taken of it.
func (m *moveRun) assign(ctx context.Context) (failed []error) {
	ctx, cancel := within(ctx)
	defer cancel()
	var req kadm.AlterPartitionAssignmentsReq
	for _, r := range m.plan {
		req.Assign(r.Topic, r.Partition, r.To)
	}
	answers, err := m.admin.AlterPartitionAssignments(ctx, req)
	if err != nil {
		return []error{err}
	}
	m.taken = slices.Clone(m.plan)
	for _, a := range answers.Sorted() {
		if a.Err != nil {
			failed = append(failed, fmt.Errorf("topic %q partition %d: %w", a.Topic, a.Partition, brokerSays(a.Err, a.ErrMessage)))
			m.taken = slices.DeleteFunc(m.taken, func(r moveRow) bool { return r.Topic == a.Topic && r.Partition == a.Partition })
		}
	}
	return failed
}

// await returns when no partition that was taken is being moved any more, and shows how it goes.
func (m *moveRun) await(ctx context.Context) error {
	m.bytes.Store(-1)
	total := int64(0)
	for _, r := range m.taken {
		total += max(r.Bytes, 0)
	}
	m.left.Store(int64(len(m.taken)))
	end := progress(m.c.ErrOrStderr(), func(elapsed time.Duration) string { return m.line(total, elapsed) })
	defer end()
	ticker := time.NewTicker(movePollInterval)
	defer ticker.Stop()
	for {
		left, err := m.look(ctx)
		if err == nil && left == 0 {
			return nil
		}
		if err != nil && ctx.Err() == nil && !isUnreachable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// tellLeft says that what is being moved does not end with the command, when that was interrupted.
func (m *moveRun) tellLeft(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	also := ""
	if m.throttle > 0 {
		also = "; the throttle stays"
	}
	fmt.Fprintf(m.c.ErrOrStderr(), "%s still being moved: `logbahn cluster move --status` shows how it goes, --cancel --execute calls it off%s\n",
		counted(int(m.left.Load()), "partition"), also)
}

func (m *moveRun) line(total int64, elapsed time.Duration) string {
	moved := len(m.taken) - int(m.left.Load())
	text := fmt.Sprintf("moving: %d of %d partitions", moved, len(m.taken))
	if left := m.bytes.Load(); left >= 0 && total > 0 {
		copied := max(total-left, 0)
		text += fmt.Sprintf(", %s of %s", bytesText(copied), bytesText(total))
		if rate := float64(copied) / max(elapsed.Seconds(), 1); rate > 0 && left > 0 {
			text += fmt.Sprintf(", %s/s, %s left", bytesText(int64(rate)), (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
		}
	}
	return text
}

// look counts what is left.
func (m *moveRun) look(ctx context.Context) (int, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	moving, err := reassignmentsOf(ctx, m.client)
	if err != nil {
		return 0, err
	}
	left := 0
	for _, r := range m.taken {
		if _, under := moving[r.Topic][r.Partition]; under {
			left++
		}
	}
	m.left.Store(int64(left))
	if left > 0 {
		m.bytes.Store(m.bytesLeft(ctx, moving))
	}
	return left, nil
}

// bytesLeft compares the new replicas with their leaders', -1 when the brokers do not tell.
func (m *moveRun) bytesLeft(ctx context.Context, moving reassigning) int64 {
	sizes, err := replicaSizes(ctx, m.admin)
	if err != nil {
		return -1
	}
	left := int64(0)
	for _, r := range m.taken {
		if _, under := moving[r.Topic][r.Partition]; !under {
			continue
		}
		for _, id := range r.adds() {
			left += max(sizes.largest(r.Topic, r.Partition)-sizes[id][r.name()], 0)
		}
	}
	return left
}

// sizesByBroker has the bytes of each replica, by broker and topic/partition.
type sizesByBroker map[int32]map[string]int64

func replicaSizes(ctx context.Context, admin *kadm.Client) (sizesByBroker, error) {
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, err
	}
	sizes := sizesByBroker{}
	dirs.Each(func(d kadm.DescribedLogDir) {
		if sizes[d.Broker] == nil {
			sizes[d.Broker] = map[string]int64{}
		}
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			sizes[d.Broker][fmt.Sprintf("%s/%d", p.Topic, p.Partition)] += p.Size
		})
	})
	return sizes, nil
}

func (s sizesByBroker) largest(topic string, partition int32) int64 {
	most := int64(0)
	for _, of := range s {
		most = max(most, of[fmt.Sprintf("%s/%d", topic, partition)])
	}
	return most
}

// elect has the preferred replicas lead, and returns those that do. That one leads already is no failure.
func (m *moveRun) elect(ctx context.Context, moved []moveRow) (elected []moveRow, err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	set := kadm.TopicsSet{}
	for _, r := range moved {
		if r.Leader != r.To[0] {
			set.Add(r.Topic, r.Partition)
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	results, err := m.admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, r := range moved {
		result, asked := results[r.Topic][r.Partition]
		switch {
		case !asked:
		case result.Err == nil, errors.Is(result.Err, kerr.ElectionNotNeeded):
			elected = append(elected, r)
		default:
			failed = append(failed, fmt.Errorf("topic %q partition %d: broker %d does not lead: %w", r.Topic, r.Partition, r.To[0], brokerSays(result.Err, result.ErrMessage)))
		}
	}
	return elected, errors.Join(failed...)
}

// moves are what a throttle has to bound: from the replicas that are there to those that are new.
func (m *moveRun) moves() []kafkacli.ReplicaMove {
	var moves []kafkacli.ReplicaMove
	for _, r := range m.plan {
		moves = append(moves, kafkacli.ReplicaMove{Topic: r.Topic, Partition: r.Partition, From: r.From, To: r.adds()})
	}
	return moves
}

func (m *moveRun) setThrottle(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return throttleError(kafkacli.ThrottleMoves(ctx, m.client, m.moves(), m.throttle))
}

func (m *moveRun) removeThrottle(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return throttleError(kafkacli.UnthrottleMoves(ctx, m.client, m.moves()))
}

func throttleError(err error) error {
	if err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	return nil
}

func (m *moveRun) topics() []string {
	var names []string
	for _, r := range m.taken {
		names = append(names, r.Topic)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
