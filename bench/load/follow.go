package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Follower is a consumer at the end of a topic, which reads what comes until it is closed.
type Follower struct {
	stop  func()
	moved chan struct{} // holds one when something has come since somebody looked

	mu      sync.Mutex
	records int64
	bytes   int64
	err     error
}

func newFollower(stop func()) *Follower {
	return &Follower{stop: stop, moved: make(chan struct{}, 1)}
}

// Close ends the consumer.
func (f *Follower) Close() { f.stop() }

func (f *Follower) add(records, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records += records
	f.bytes += bytes
	f.wake()
}

func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.wake()
}

func (f *Follower) wake() {
	select {
	case f.moved <- struct{}{}:
	default:
	}
}

// await returns the bytes of the records when so many have come.
func (f *Follower) await(ctx context.Context, records int64) (int64, error) {
	for {
		f.mu.Lock()
		have, bytes, err := f.records, f.bytes, f.err
		f.mu.Unlock()
		switch {
		case err != nil:
			return 0, fmt.Errorf("%d of %d records: %w", have, records, err)
		case have > records:
			return 0, fmt.Errorf("%d records where %d were produced", have, records)
		case have == records:
			return bytes, nil
		}
		select {
		case <-f.moved:
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d records: %w", have, records, ctx.Err())
		}
	}
}

// Tail produces until the limits while a number of consumers read from the end of the log, each of them everything, and
// returns when all have it. The result counts what was read; its time is that from the first record to the last consumer's
// last one.
func Tail(ctx context.Context, c Client, topic string, values [][]byte, consumers int, l Limits) (*Result, error) {
	var followers []*Follower
	defer func() {
		for _, f := range followers {
			f.Close()
		}
	}()
	for range consumers {
		f, err := c.Follow(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("follow: %w", err)
		}
		followers = append(followers, f)
	}
	begin := time.Now()
	produced, err := c.Produce(ctx, topic, values, l)
	if err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	acknowledged := time.Now()
	r := &Result{Records: produced.Records * int64(consumers)}
	for _, f := range followers {
		bytes, err := f.await(ctx, produced.Records)
		if err != nil {
			return nil, fmt.Errorf("follow: %w", err)
		}
		r.Bytes += bytes
	}
	r.Elapsed, r.Behind = time.Since(begin), time.Since(acknowledged)
	return r, nil
}
