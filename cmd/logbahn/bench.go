package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Put load on a cluster and measure it: produce, consume, end to end",
		Long: "Puts load on a cluster and measures throughput and latency. With --rate the load is open: records are due at fixed times\n" +
			"whatever the cluster does, and latency counts from the time that a record was due. Without it records are handed over\n" +
			"as fast as they are taken; latency then counts from there and is mostly the wait in the client's own queue.\n" +
			"A topic is made for the run and deleted afterwards unless --topic names one."}
	needsSubcommand(c)
	brokersFlag(c)
	c.AddCommand(benchProduce(), benchConsume(), benchE2E())
	return c
}

type benchFlags struct {
	produceFlags
	topic       string
	partitions  int32
	replicas    int16
	size        int
	rate        float64
	duration    time.Duration
	num         int64
	connections int
	linger      time.Duration
}

// Limits of what a bench may be asked for.
const (
	benchSizeMax        = 64 << 20
	benchConnectionsMax = 10_000
	benchRateMax        = 100_000_000
)

// addTarget adds what to put the load on, addLoad what the load is.
func (f *benchFlags) addTarget(c *cobra.Command) {
	c.Flags().StringVar(&f.topic, "topic", "", "an existing topic; without it one is made and deleted afterwards")
	c.Flags().Int32Var(&f.partitions, "partitions", 6, "partitions of the topic that is made")
	c.Flags().Int16Var(&f.replicas, "replicas", -1, "its replicas (-1: the broker's default)")
	c.Flags().IntVar(&f.connections, "connections", 1, "clients, each with connections of its own")
	_ = c.RegisterFlagCompletionFunc("topic", completeTopics)
	outputFlag(c)
}

func (f *benchFlags) addLoad(c *cobra.Command, rate float64) {
	c.Flags().IntVar(&f.size, "size", 1024, "bytes of a record's value, random")
	c.Flags().Float64Var(&f.rate, "rate", rate, "records per second in all (0: as fast as possible)")
	c.Flags().DurationVar(&f.duration, "duration", 10*time.Second, "how long to send")
	c.Flags().Int64Var(&f.num, "num", 0, "stop after so many records (0: after --duration)")
	c.Flags().DurationVar(&f.linger, "linger", 0, "how long the client waits for more records to a batch")
	c.Flags().StringVarP(&f.codec, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	c.Flags().StringVar(&f.acks, "acks", "all", "all, 1 or 0")
}

func (f *benchFlags) check(sizeMin int) error {
	switch {
	case f.size < sizeMin || f.size > benchSizeMax:
		return usageErrorf("--size %d: from %d to %d bytes", f.size, sizeMin, benchSizeMax)
	case !(f.rate >= 0 && f.rate <= benchRateMax):
		return usageErrorf("--rate %v: from 0 to %d records per second", f.rate, benchRateMax)
	case f.num < 0:
		return usageErrorf("--num %d: a number of records, or 0", f.num)
	case f.duration <= 0:
		return usageErrorf("--duration %v: more than nothing", f.duration)
	case f.connections < 1 || f.connections > benchConnectionsMax:
		return usageErrorf("--connections %d: from 1 to %d", f.connections, benchConnectionsMax)
	case f.linger < 0 || f.linger > time.Minute:
		return usageErrorf("--linger %v: at most a minute", f.linger)
	}
	return nil
}

// loadOptions are those of a client that sends.
func (f *benchFlags) loadOptions() ([]kgo.Opt, error) {
	f.partition = -1
	opts, err := f.options()
	return append(opts, kgo.ProducerLinger(f.linger), kgo.ProducerBatchMaxBytes(int32(max(1_000_000, f.size+1024)))), err
}

// benchResult is what a run has measured. Latencies are in milliseconds.
type benchResult struct {
	Kind         string         `json:"kind" doc:"produce, consume or e2e"`
	Topic        string         `json:"topic" doc:"topic"`
	Partitions   int            `json:"partitions" doc:"its partitions"`
	Connections  int            `json:"connections" doc:"clients"`
	Size         int            `json:"size" doc:"bytes of a value; 0: as they were"`
	Rate         float64        `json:"rate" doc:"records per second asked for; 0: as fast as possible"`
	Acks         string         `json:"acks" doc:"acks; empty for consume"`
	Codec        string         `json:"compression" doc:"compression; empty for consume"`
	Seconds      float64        `json:"seconds" doc:"from the first record to the last acknowledged or read"`
	Records      int64          `json:"records" doc:"acknowledged, or read"`
	Bytes        int64          `json:"bytes" doc:"bytes of their keys and values"`
	RecordsPerS  float64        `json:"records_per_second" doc:"records / seconds"`
	MiBPerS      float64        `json:"mib_per_second" doc:"bytes / seconds, in MiB"`
	Missing      int64          `json:"missing" doc:"e2e: acknowledged and not read within ten seconds"`
	Acknowledged *latencyObject `json:"acknowledged,omitempty" doc:"until the broker has acknowledged"`
	Received     *latencyObject `json:"received,omitempty" doc:"e2e: until a consumer has read"`
}

type latencyObject struct {
	Min  float64 `json:"min_ms" doc:"ms"`
	Mean float64 `json:"mean_ms" doc:"ms"`
	P50  float64 `json:"p50_ms" doc:"ms"`
	P90  float64 `json:"p90_ms" doc:"ms"`
	P99  float64 `json:"p99_ms" doc:"ms"`
	P999 float64 `json:"p999_ms" doc:"ms"`
	Max  float64 `json:"max_ms" doc:"ms"`
}

// latencies counts latencies from a microsecond to ten minutes with three digits. It is one goroutine's.
type latencies struct{ counts *hdrhistogram.Histogram }

const latencyMax = 10 * time.Minute

func newLatencies() *latencies {
	return &latencies{hdrhistogram.New(1, latencyMax.Microseconds(), 3)}
}

func (l *latencies) record(d time.Duration) {
	_ = l.counts.RecordValue(min(max(d.Microseconds(), 1), latencyMax.Microseconds())) // within the bounds by then
}

func summary(all []*latencies) *latencyObject {
	sum := newLatencies().counts
	for _, l := range all {
		sum.Merge(l.counts)
	}
	if sum.TotalCount() == 0 {
		return nil
	}
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return &latencyObject{Min: ms(sum.Min()), Mean: sum.Mean() / 1000, P50: ms(sum.ValueAtQuantile(50)), P90: ms(sum.ValueAtQuantile(90)),
		P99: ms(sum.ValueAtQuantile(99)), P999: ms(sum.ValueAtQuantile(99.9)), Max: ms(sum.Max())}
}

// finish fills in what follows from records, bytes and time.
func (r *benchResult) finish(took time.Duration) {
	r.Seconds = took.Seconds()
	if r.Seconds > 0 {
		r.RecordsPerS = float64(r.Records) / r.Seconds
		r.MiBPerS = float64(r.Bytes) / (1 << 20) / r.Seconds
	}
}

func (r *benchResult) show(c *cobra.Command) error {
	if !forPeople(c) {
		return show(c, r, "", nil)
	}
	load := "as fast as possible"
	if r.Rate > 0 {
		load = fmt.Sprintf("%v records/s", r.Rate)
	}
	if r.Kind == "consume" {
		load = "reading"
	} else {
		load += fmt.Sprintf(", %s values, acks %s, compression %s", bytesText(int64(r.Size)), r.Acks, r.Codec)
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s: %s, %s, %s\n\n", r.Kind, load, counted(r.Partitions, "partition"), counted(r.Connections, "connection"))
	t := newTable("RECORDS SECONDS RECORDS/S MiB/S")
	t.line(r.Records, fixed(r.Seconds), strconv.FormatFloat(r.RecordsPerS, 'f', 0, 64), fixed(r.MiBPerS))
	if err := t.write(out); err != nil || r.Acknowledged == nil && r.Received == nil {
		return err
	}
	fmt.Fprintln(out)
	t = newTable("LATENCY/MS MIN MEAN P50 P90 P99 P99.9 MAX")
	for _, l := range []struct {
		name string
		*latencyObject
	}{{"acknowledged", r.Acknowledged}, {"received", r.Received}} {
		if l.latencyObject != nil {
			t.line(l.name, fixed(l.Min), fixed(l.Mean), fixed(l.P50), fixed(l.P90), fixed(l.P99), fixed(l.P999), fixed(l.Max))
		}
	}
	return t.write(out)
}

func fixed(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// onTopic runs a bench on the topic of --topic, or on one that is made and deleted afterwards.
func (f *benchFlags) onTopic(c *cobra.Command, run func(topic string, partitions []int32) error) (err error) {
	topic := f.topic
	var partitions []int32
	if topic == "" {
		random := make([]byte, 4)
		_, _ = rand.Read(random) // never fails
		topic = "logbahn-bench-" + hex.EncodeToString(random)
		err := withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			created, err := admin.CreateTopic(ctx, f.partitions, f.replicas, nil, topic)
			return named("topic", topic, err, created.ErrMessage)
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, deleteAfter(c, topic)) }()
	}
	err = withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		t, err := findTopic(ctx, admin, topic)
		partitions = t.Partitions.Numbers()
		return err
	})
	if err != nil {
		return err
	}
	return run(topic, partitions)
}

// deleteAfter deletes the topic of a run, after Ctrl-C as well.
func deleteAfter(c *cobra.Command, topic string) error {
	addrs, err := c.Flags().GetStringSlice("brokers")
	if err != nil {
		return err
	}
	client, err := newClient(addrs)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), requestTimeout)
	defer cancel()
	if _, err := kadm.NewClient(client).DeleteTopic(ctx, topic); err != nil {
		return fmt.Errorf("topic %s of this run is left behind: %w", topic, err)
	}
	return nil
}

// connectAll makes as many clients as were asked for.
func (f *benchFlags) connectAll(c *cobra.Command, options func(i int) []kgo.Opt) (clients []*kgo.Client, closeAll func(), err error) {
	closeAll = func() {
		for _, client := range clients {
			client.Close()
		}
	}
	for i := range f.connections {
		client, err := connect(c, options(i)...)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		clients = append(clients, client)
	}
	return clients, closeAll, nil
}
