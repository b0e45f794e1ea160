package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// load sends records through several clients. One goroutine of each client sends; the client's own goroutine calls
// back when a record is acknowledged, and is the only one to touch that client's latencies.
type load struct {
	flags   *benchFlags
	topic   string
	clients []*kgo.Client
	// value makes the value of a record that is due at a time since the start, or notMeasured.
	value func(due time.Duration) []byte

	start     time.Time
	taken     atomic.Int64 // records that were handed out to be sent, without a rate
	acked     atomic.Int64
	bytes     atomic.Int64
	last      atomic.Int64 // when the last acknowledgement came, since the start
	latencies []*latencies

	stop   context.CancelCauseFunc // at the first record that fails: its reason is every record's
	failed sync.Once
}

// notMeasured is the time at which a record of the warm-up is due.
const notMeasured time.Duration = -1

// randomBytes is a value that no codec makes smaller.
func randomBytes(size int) []byte {
	source := rand.NewChaCha8([32]byte{})
	value := make([]byte, size)
	_, _ = source.Read(value) // never fails
	return value
}

// warmUp sends a record through each client, so that connections and metadata are there when the clock starts.
func (l *load) warmUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, client := range l.clients {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: l.topic, Value: l.value(notMeasured)}).FirstErr(); err != nil {
			return named("topic", l.topic, err, "")
		}
	}
	return nil
}

// run returns when everything that was sent is acknowledged, or the context ends, with its error.
func (l *load) run(ctx context.Context) error {
	ctx, l.stop = context.WithCancelCause(ctx)
	defer l.stop(nil)
	for range l.clients {
		l.latencies = append(l.latencies, newLatencies())
	}
	l.start = time.Now()
	var sending sync.WaitGroup
	for i, client := range l.clients {
		sending.Go(func() { l.send(ctx, i, client, l.latencies[i]) })
	}
	sending.Wait()
	for _, client := range l.clients {
		_ = client.Flush(ctx) // fails with the context, which is looked at next
	}
	if cause := context.Cause(ctx); cause != nil {
		for _, client := range l.clients {
			client.Close() // ends the callbacks: the latencies are read next
		}
		return cause
	}
	return nil
}

func (l *load) send(ctx context.Context, i int, client *kgo.Client, lat *latencies) {
	if l.flags.rate > 0 {
		l.sendAtRate(ctx, i, client, lat)
		return
	}
	for ctx.Err() == nil {
		due := time.Since(l.start)
		if n := l.taken.Add(1); l.flags.num > 0 && n > l.flags.num || l.flags.num == 0 && due >= l.flags.duration {
			return
		}
		l.sendOne(ctx, client, lat, due)
	}
}

// sendAtRate sends every n-th record of the schedule. When a record could not be sent in time, the ones behind it are
// sent at once, and their latency counts from when they were due.
func (l *load) sendAtRate(ctx context.Context, i int, client *kgo.Client, lat *latencies) {
	total := l.flags.num
	if total == 0 {
		total = int64(l.flags.rate * l.flags.duration.Seconds())
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := int64(i); n < total; n += int64(len(l.clients)) {
		due := time.Duration(float64(n) / l.flags.rate * float64(time.Second))
		if wait := due - time.Since(l.start); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.sendOne(ctx, client, lat, due)
	}
}

func (l *load) sendOne(ctx context.Context, client *kgo.Client, lat *latencies, due time.Duration) {
	r := &kgo.Record{Topic: l.topic, Value: l.value(due)}
	client.Produce(ctx, r, func(r *kgo.Record, err error) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				l.failed.Do(func() { l.stop(named("topic", l.topic, err, "")) })
			}
			return
		}
		now := time.Since(l.start)
		lat.record(now - due)
		l.acked.Add(1)
		l.bytes.Add(int64(len(r.Value)))
		l.last.Store(int64(now))
	})
}

// progress shows a line that is written over each second, on a terminal only, until the function that it returns is
// called.
func progress(stderr io.Writer, line func(elapsed time.Duration) string) (end func()) {
	if !isTerminal(stderr) {
		return func() {}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		start := time.Now()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(stderr, "\r\x1b[K%s", line(time.Since(start)))
			case <-stop:
				fmt.Fprint(stderr, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// rateLine counts from one tick to the next.
func rateLine(records, bytes *atomic.Int64) func(time.Duration) string {
	var lastRecords, lastBytes int64
	var last time.Duration
	return func(elapsed time.Duration) string {
		n, b := records.Load(), bytes.Load()
		s := (elapsed - last).Seconds()
		line := fmt.Sprintf("%3.0f s  %d records  %.0f records/s  %.1f MiB/s", elapsed.Seconds(), n, float64(n-lastRecords)/s, float64(b-lastBytes)/s/(1<<20))
		lastRecords, lastBytes, last = n, b, elapsed
		return line
	}
}
