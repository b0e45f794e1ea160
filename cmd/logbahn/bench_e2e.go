package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A value of an end-to-end run begins with the run's id and the time that the record was due; the rest is random.
const (
	runIDBytes  = 8
	stampBytes  = runIDBytes + 8
	e2ePatience = 10 * time.Second // for records that are acknowledged and not yet read
)

func benchE2E() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{Use: "e2e", Short: "Measure how long a record takes from producer to consumer", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn bench e2e\n  logbahn bench e2e --rate 10000 --size 100 --duration 1m -o json | jq .received.p99_ms"}
	f.addTarget(c)
	f.addLoad(c, 1000)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(stampBytes); err != nil {
			return err
		}
		if _, err := f.loadOptions(); err != nil {
			return err
		}
		return f.onTopic(c, func(topic string, partitions []int32) error { return f.endToEnd(c, topic, partitions) })
	}
	return c
}

// receiver reads what a run sends, and only that.
type receiver struct {
	id       [runIDBytes]byte
	warm     chan struct{} // one for each record of the warm-up
	received atomic.Int64
	progress chan struct{} // tells, without waiting, that something was read
}

func (f *benchFlags) endToEnd(c *cobra.Command, topic string, partitions []int32) error {
	rcv := &receiver{warm: make(chan struct{}, f.connections), progress: make(chan struct{}, 1)}
	_, _ = rand.Read(rcv.id[:]) // never fails
	l := &load{flags: f, topic: topic}
	l.value = rcv.stamper(l)
	readers, closeReaders, err := f.connectReaders(c, topic)
	if err != nil {
		return err
	}
	defer closeReaders()
	opts, err := f.loadOptions()
	if err != nil {
		return err
	}
	senders, closeSenders, err := f.connectAll(c, func(int) []kgo.Opt { return opts })
	if err != nil {
		return err
	}
	defer closeSenders()
	l.clients = senders

	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	var reading sync.WaitGroup
	defer reading.Wait()
	all := make([]*latencies, len(readers))
	for i, client := range readers {
		all[i] = newLatencies()
		reading.Go(func() { rcv.read(ctx, client, all[i]) })
	}
	if err := rcv.warmUp(ctx, l); err != nil {
		cancel()
		return err
	}
	end := progress(c.ErrOrStderr(), rateLine(&rcv.received, &l.bytes))
	err = l.run(ctx)
	missing := rcv.await(ctx, &l.acked)
	end()
	cancel()
	reading.Wait()
	r := l.result("e2e", len(partitions))
	r.Received, r.Missing = summary(all), missing
	if err == nil && missing > 0 {
		err = fmt.Errorf("%d of %d acknowledged records have not arrived within %v", missing, r.Records, e2ePatience)
	}
	return cmp.Or(r.show(c), err)
}

// connectReaders shares the partitions out, from the ends that they have now.
func (f *benchFlags) connectReaders(c *cobra.Command, topic string) ([]*kgo.Client, func(), error) {
	var ends []kadm.ListedOffset
	err := withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		found, err := admin.ListEndOffsets(ctx, topic)
		ends = listed(found)
		return cmp.Or(err, found.Error())
	})
	if err != nil {
		return nil, nil, err
	}
	own := *f
	own.connections = min(f.connections, len(ends))
	return own.connectAll(c, func(i int) []kgo.Opt {
		mine := map[int32]kgo.Offset{}
		for k, end := range ends {
			if k%own.connections == i {
				mine[end.Partition] = kgo.NewOffset().At(end.Offset)
			}
		}
		return []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: mine}), kgo.FetchMaxWait(time.Second)}
	})
}

// stamper makes values, with the time that the record is due by the clock that began with the process.
func (r *receiver) stamper(l *load) func(due time.Duration) []byte {
	filler := randomBytes(l.flags.size)
	return func(due time.Duration) []byte {
		value := bytes.Clone(filler)
		copy(value, r.id[:])
		stamp := due
		if due != notMeasured {
			stamp += l.start.Sub(started)
		}
		binary.BigEndian.PutUint64(value[runIDBytes:], uint64(stamp))
		return value
	}
}

// warmUp returns when a record of each sender has arrived.
func (r *receiver) warmUp(ctx context.Context, l *load) error {
	if err := l.warmUp(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for range l.clients {
		select {
		case <-r.warm:
		case <-ctx.Done():
			return fmt.Errorf("records of the warm-up do not arrive: %w", ctx.Err())
		}
	}
	return nil
}

func (r *receiver) read(ctx context.Context, client *kgo.Client, lat *latencies) {
	for {
		fetches := client.PollFetches(ctx)
		now := time.Now()
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		for it := fetches.RecordIter(); !it.Done(); {
			value := it.Next().Value
			if len(value) < stampBytes || !bytes.Equal(value[:runIDBytes], r.id[:]) {
				continue
			}
			due := time.Duration(binary.BigEndian.Uint64(value[runIDBytes:]))
			if due == notMeasured {
				r.warm <- struct{}{}
				continue
			}
			lat.record(now.Sub(started) - due)
			r.received.Add(1)
		}
		select {
		case r.progress <- struct{}{}:
		default:
		}
	}
}

// await waits until all that was acknowledged is read and returns how much is missing.
func (r *receiver) await(ctx context.Context, acked *atomic.Int64) int64 {
	patience := time.NewTimer(e2ePatience)
	defer patience.Stop()
	for r.received.Load() < acked.Load() {
		select {
		case <-r.progress:
		case <-patience.C:
			return acked.Load() - r.received.Load()
		case <-ctx.Done():
			return 0
		}
	}
	return 0
}
