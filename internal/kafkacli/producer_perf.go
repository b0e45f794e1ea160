package kafkacli

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func producerPerfTool() *tool {
	return &tool{name: "kafka-producer-perf-test", does: "This tool is used to verify the producer performance.", raw: runProducerPerf}
}

var producerPerfArguments = []argument{
	{names: []string{"--topic"}, kind: text, required: true, help: "Produce records to this topic."},
	{names: []string{"--throughput"}, kind: text, required: true, help: "About so many records a second; -1 is as many as there can be."},
	{names: []string{"--num-records"}, kind: long, value: "NUM-RECORDS", required: true, help: "Number of records to produce."},
	{names: []string{"--record-size"}, kind: integer, value: "RECORD-SIZE", group: 1, help: "Record size in bytes."},
	{names: []string{"--payload-file"}, kind: text, value: "PAYLOAD-FILE", group: 1, help: "A file of values, of which one is picked at random for each record."},
	{names: []string{"--payload-monotonic"}, group: 1, help: "The values are 0, 1, 2 and so on."},
	{names: []string{"--bootstrap-server"}, kind: text, value: "BOOTSTRAP-SERVER", help: "Where the cluster answers, host:port,..."},
	{names: []string{"--payload-delimiter"}, kind: text, value: "PAYLOAD-DELIMITER", fallback: `\n`, help: "What stands between two values of --payload-file."},
	{names: []string{"--command-property"}, kind: text, value: "PROP-NAME=PROP-VALUE", several: true, help: "Producer properties."},
	{names: []string{"--producer-props"}, kind: text, value: "PROP-NAME=PROP-VALUE", several: true, help: "(DEPRECATED) The name of --command-property before Kafka 4.2."},
	{names: []string{"--command-config"}, kind: text, value: "CONFIG-FILE", help: "A file with producer properties."},
	{names: []string{"--producer.config"}, kind: text, value: "CONFIG-FILE", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
	{names: []string{"--print-metrics"}, help: "Without effect: the summary has the figures."},
	{names: []string{"--transactional-id"}, kind: text, value: "TRANSACTIONAL-ID", help: "Produce in transactions under this id."},
	{names: []string{"--transaction-duration-ms"}, kind: long, value: "TRANSACTION-DURATION", help: "How long a transaction lasts; 3000 when only an id is given."},
	{names: []string{"--warmup-records"}, kind: long, value: "WARMUP-RECORDS", fallback: "0", help: "So many records are not counted in a second summary line."},
	{names: []string{"--reporting-interval"}, kind: long, value: "INTERVAL-MS", fallback: "5000", help: "How often to report, in milliseconds."},
}

func runProducerPerf(ctx context.Context, c *call, args []string) error {
	if len(args) == 0 {
		printUsage(c.out, c.tool.name, c.tool.does, producerPerfArguments, true)
		return nil
	}
	a, err := parseArguments(producerPerfArguments, args)
	if err == nil && a.help {
		printUsage(c.out, c.tool.name, c.tool.does, producerPerfArguments, true)
		return exitError(1)
	}
	if err == nil {
		err = checkProducerPerf(a)
	}
	if err != nil {
		return c.fail(c.tool.name, producerPerfArguments, err)
	}
	if a.has("--producer-props") {
		fmt.Fprintln(c.Stderr, "Option --producer-props has been deprecated and will be removed in a future version. Use --command-property instead.")
	}
	if a.has("--producer.config") {
		fmt.Fprintln(c.Stderr, "Option --producer.config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	return c.producePerf(ctx, a)
}

func checkProducerPerf(a *arguments) error {
	throughput, badThroughput := strconv.ParseFloat(a.text("--throughput"), 64)
	switch {
	case badThroughput != nil || math.IsNaN(throughput):
		return argumentErrorf("argument --throughput: could not convert '%s' to Double (For input string: \"%s\")", a.text("--throughput"), a.text("--throughput"))
	case a.long("--num-records") <= 0:
		return argumentErrorf("--num-records should be greater than zero.")
	case a.has("--record-size") && a.long("--record-size") <= 0:
		return argumentErrorf("--record-size should be greater than zero.")
	case a.long("--warmup-records") < 0:
		return argumentErrorf("--warmup-records must be non-negative.")
	case a.has("--command-property") && a.has("--producer-props"):
		return argumentErrorf("--command-property and --producer-props cannot be specified together.")
	case a.has("--command-config") && a.has("--producer.config"):
		return argumentErrorf("--command-config and --producer.config cannot be specified together.")
	case !a.has("--bootstrap-server") && !a.has("--command-property") && !a.has("--producer-props") && !a.has("--producer.config") && !a.has("--command-config"):
		return argumentErrorf("At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config must be specified.")
	case a.has("--transaction-duration-ms") && a.long("--transaction-duration-ms") <= 0:
		return argumentErrorf("--transaction-duration-ms should be greater than zero.")
	}
	return nil
}

func (c *call) producePerf(ctx context.Context, a *arguments) error {
	p, err := loadProperties(a.either("--command-config", "--producer.config"))
	if err != nil {
		return err
	}
	p.addPairs(append(a.all("--producer-props"), a.all("--command-property")...))
	if a.has("--bootstrap-server") {
		p["bootstrap.servers"] = a.text("--bootstrap-server")
	}
	if p["client.id"] == "" {
		p["client.id"] = "perf-producer-client"
	}
	opts, err := p.producer()
	if err != nil {
		return err
	}
	transactions := a.has("--transactional-id") || a.has("--transaction-duration-ms") || p["transactional.id"] != ""
	if transactions {
		id := a.text("--transactional-id")
		if id == "" {
			id = p["transactional.id"]
		}
		if id == "" {
			id = "performance-producer-" + randomUUID()
		}
		opts = append(opts, kgo.TransactionalID(id))
	}
	values, err := payloads(a)
	if err != nil {
		return err
	}
	if p["bootstrap.servers"] == "" {
		return failf("Missing required configuration \"bootstrap.servers\" which has no default value.")
	}
	client, err := c.connect(ctx, p["bootstrap.servers"], p, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	run := &producerPerf{call: c, client: client, a: a, value: values}
	if transactions {
		run.transaction = 3 * time.Second
		if a.has("--transaction-duration-ms") {
			run.transaction = a.milliseconds("--transaction-duration-ms")
		}
	}
	return run.run(ctx)
}

// payloads returns the values of the records, by their number.
func payloads(a *arguments) (func(n int64) []byte, error) {
	random := rand.New(rand.NewPCG(0, 0))
	switch {
	case a.has("--payload-monotonic"):
		return func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }, nil
	case a.has("--payload-file"):
		data, err := readBounded(a.text("--payload-file"), 1<<30)
		if err != nil {
			return nil, err
		}
		delimiter := a.text("--payload-delimiter")
		if delimiter == `\n` {
			delimiter = "\n"
		}
		list := bytes.Split(bytes.TrimSuffix(data, []byte(delimiter)), []byte(delimiter))
		if len(data) == 0 {
			return nil, failf("File does not exist or empty file provided.")
		}
		return func(int64) []byte { return list[random.IntN(len(list))] }, nil
	}
	size := a.long("--record-size")
	return func(int64) []byte {
		value := make([]byte, size)
		for i := range value {
			value[i] = byte('A' + random.IntN(26))
		}
		return value
	}, nil
}

type producerPerf struct {
	*call
	client      *kgo.Client
	a           *arguments
	value       func(n int64) []byte
	transaction time.Duration // how long each lasts; 0 without
}

func (r *producerPerf) run(ctx context.Context) error {
	count, warmup := r.a.long("--num-records"), r.a.long("--warmup-records")
	interval := r.a.milliseconds("--reporting-interval")
	stats := newPerfStats(r.call, count, interval, false)
	var steady *perfStats
	throttle := newThrottle(r.a.text("--throughput"))
	if warmup > 0 {
		fmt.Fprintf(r.out, "Warmup first %d records. Steady state results will print after the complete test summary.\n", warmup)
		_ = r.out.Flush()
	}
	var failures sync.Map
	begun := time.Time{}
	for n := range count {
		if ended(ctx) {
			break
		}
		if n == warmup && warmup > 0 {
			steady = newPerfStats(r.call, count-warmup, interval, true)
		}
		if r.transaction > 0 && begun.IsZero() {
			if err := r.client.BeginTransaction(); err != nil {
				return err
			}
			begun = time.Now()
		}
		sent, after := time.Now(), steady
		r.client.Produce(ctx, &kgo.Record{Topic: r.a.text("--topic"), Value: r.value(n)}, func(rec *kgo.Record, err error) {
			if err != nil {
				if _, seen := failures.LoadOrStore(err.Error(), true); !seen && !ended(ctx) {
					fmt.Fprintln(r.Stderr, produceError(err))
				}
				return
			}
			stats.record(time.Since(sent), len(rec.Value))
			if after != nil {
				after.record(time.Since(sent), len(rec.Value))
			}
		})
		throttle.wait(ctx, n+1)
		if r.transaction > 0 && (time.Since(begun) >= r.transaction || n == count-1) {
			if err := r.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
				return err
			}
			begun = time.Time{}
		}
	}
	if err := r.client.Flush(ctx); err != nil && !ended(ctx) {
		return err
	}
	stats.printTotal()
	if steady != nil {
		steady.printTotal()
	}
	return nil
}

// maxWaitSeconds bounds what a tiny rate makes wait: a year.
const maxWaitSeconds = 365 * 24 * 3600

// throttle keeps a rate.
type throttle struct {
	perSecond float64
	start     time.Time
}

func newThrottle(perSecond string) *throttle {
	rate, _ := strconv.ParseFloat(perSecond, 64)
	return &throttle{rate, time.Now()}
}

// wait returns when n records may have been sent.
func (t *throttle) wait(ctx context.Context, n int64) {
	if t.perSecond <= 0 {
		return
	}
	due := t.start.Add(time.Duration(min(float64(n)/t.perSecond, maxWaitSeconds) * float64(time.Second)))
	if d := time.Until(due); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// latenciesMax bounds how many latencies are kept for the percentiles; of more records, every so many-th is.
const latenciesMax = 500_000

// perfStats are the figures of a run; its methods may be called from everywhere at once.
type perfStats struct {
	call     *call
	steady   bool
	interval time.Duration

	mu        sync.Mutex
	start     time.Time
	sampling  int64
	latencies []int32 // ms
	count     int64
	bytes     int64
	total     time.Duration
	max       time.Duration
	window    perfWindow
}

type perfWindow struct {
	start        time.Time
	count, bytes int64
	total, max   time.Duration
}

func newPerfStats(c *call, records int64, interval time.Duration, steady bool) *perfStats {
	now := time.Now()
	return &perfStats{call: c, steady: steady, interval: interval, start: now, sampling: max(1, records/latenciesMax), window: perfWindow{start: now}}
}

func (s *perfStats) record(latency time.Duration, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count%s.sampling == 0 {
		s.latencies = append(s.latencies, int32(min(latency.Milliseconds(), math.MaxInt32)))
	}
	s.count++
	s.bytes += int64(bytes)
	s.total += latency
	s.max = max(s.max, latency)
	w := &s.window
	w.count++
	w.bytes += int64(bytes)
	w.total += latency
	w.max = max(w.max, latency)
	if now := time.Now(); now.Sub(w.start) >= s.interval {
		elapsed := now.Sub(w.start).Seconds()
		fmt.Fprintf(s.call.Stdout, "%d records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms max latency.\n", w.count,
			float64(w.count)/elapsed, float64(w.bytes)/elapsed/(1<<20), ms(w.total)/float64(w.count), ms(w.max))
		s.window = perfWindow{start: now}
	}
}

func ms(d time.Duration) float64 { return float64(d.Milliseconds()) }

func (s *perfStats) printTotal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := max(time.Since(s.start).Seconds(), 1e-3)
	slices.Sort(s.latencies)
	percentile := func(q float64) int32 {
		if len(s.latencies) == 0 {
			return 0
		}
		return s.latencies[min(int(q*float64(len(s.latencies))), len(s.latencies)-1)]
	}
	what := "records"
	if s.steady {
		what = "steady state records"
	}
	fmt.Fprintf(s.call.out, "%d %s sent, %f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, %d ms 50th, %d ms 95th, %d ms 99th, %d ms 99.9th.\n",
		s.count, what, float64(s.count)/elapsed, float64(s.bytes)/elapsed/(1<<20), ms(s.total)/math.Max(1, float64(s.count)), ms(s.max),
		percentile(0.5), percentile(0.95), percentile(0.99), percentile(0.999))
}
