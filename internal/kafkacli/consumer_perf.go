package kafkacli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func consumerPerfTool() *tool {
	return &tool{
		name:      "kafka-consumer-perf-test",
		does:      "This tool is used to verify the consumer performance.",
		run:       runConsumerPerf,
		badOption: messageAndHelp,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "broker-list", kind: text, value: "broker-list", help: "What --bootstrap-server was called before Kafka 3."},
			{name: "topic", kind: text, value: "topic", help: "The topic to consume."},
			{name: "include", kind: text, value: "Java regex (String)", help: "A regular expression that names of topics match as a whole."},
			{name: "group", kind: text, value: "gid", help: "The consumer group; one with a random name otherwise."},
			{name: "fetch-size", kind: integer, value: "size", fallback: "1048576", help: "How much to fetch of a partition at a time, in bytes."},
			{name: "from-latest", help: "Without a committed offset, wait for new records."},
			{name: "socket-buffer-size", kind: integer, value: "size", fallback: "2097152", help: "The socket's receive buffer. Left to the system here."},
			{name: "command-property", kind: text, value: "prop1=val1", help: "A consumer property, key=value. Any number of times."},
			{name: "command-config", kind: text, value: "config file", help: "A file with consumer properties."},
			{name: "consumer.config", kind: text, value: "config file", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
			{name: "print-metrics", help: "Without effect: the summary has the figures."},
			{name: "show-detailed-stats", help: "A line for each interval instead of one for all."},
			{name: "timeout", kind: optionalLong, value: "milliseconds", fallback: "10000", help: "The longest time between two records."},
			{name: "num-records", kind: long, value: "count", help: "REQUIRED: how many records to consume."},
			{name: "messages", kind: long, value: "count", help: "(DEPRECATED) The name of --num-records before Kafka 4.2."},
			{name: "reporting-interval", kind: long, value: "interval_ms", fallback: "5000", help: "The interval of --show-detailed-stats in milliseconds."},
			{name: "date-format", kind: text, value: "date format", fallback: javaTime, help: "How times are printed. There is one."},
			{name: "hide-header", help: "Leave the names of the columns out."},
		},
	}
}

const (
	javaTime = "yyyy-MM-dd HH:mm:ss:SSS"
	goTime   = "2006-01-02 15:04:05.000"
)

func runConsumerPerf(ctx context.Context, c *call) error {
	o := c.opts
	if o.has("broker-list") && !o.has("bootstrap-server") {
		o.given["bootstrap-server"] = o.given["broker-list"]
	}
	if o.count("topic", "include") != 1 {
		return usage("Exactly one of the following arguments is required: [topic], [include]")
	}
	if o.count("messages", "num-records") != 1 {
		return usage("Exactly one of the following arguments is required: [messages], [num-records]")
	}
	if err := o.require("bootstrap-server"); err != nil {
		return err
	}
	if o.text("date-format") != javaTime {
		return failf("--date-format: there is %s", javaTime)
	}
	c.deprecated("Warning: --%s is deprecated. Use --%s instead.", "messages", "num-records")
	c.deprecated(consumerDeprecated, "consumer.config", "command-config")
	p, err := loadProperties(o.eitherText("command-config", "consumer.config"))
	if err != nil {
		return err
	}
	p.addPairs(o.all("command-property"))
	if p["client.id"] == "" {
		p["client.id"] = "perf-consumer-client"
	}
	run := &consumerPerf{call: c, wanted: o.long("num-records") + o.long("messages"),
		timeout: o.milliseconds("timeout"), interval: o.milliseconds("reporting-interval")}
	opts := run.clientOptions()
	if o.err != nil {
		return usage("%s", o.err)
	}
	if !o.has("hide-header") {
		first := "start.time, end.time"
		if o.has("show-detailed-stats") {
			first = "time, threadId"
		}
		fmt.Fprintf(c.out, "%s, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n", first)
	}
	client, err := c.connect(ctx, o.text("bootstrap-server"), p, opts...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	return run.run(ctx, client)
}

type consumerPerf struct {
	*call
	wanted            int64
	timeout, interval time.Duration
	start             time.Time
	joining           atomic.Int64 // ns that the group took to give partitions
}

func (r *consumerPerf) clientOptions() []kgo.Opt {
	o := r.opts
	group := o.text("group")
	if group == "" {
		group = fmt.Sprintf("perf-consumer-%d", rand.IntN(100_000))
	}
	start := kgo.NewOffset().AtStart()
	if o.has("from-latest") {
		start = kgo.NewOffset().AtEnd()
	}
	r.start = time.Now()
	opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeResetOffset(start), kgo.FetchMaxPartitionBytes(o.integer("fetch-size")),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			r.joining.CompareAndSwap(0, int64(time.Since(r.start)))
		})}
	if o.has("include") {
		return append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+o.text("include")+")$"))
	}
	return append(opts, kgo.ConsumeTopics(o.text("topic")))
}

func (r *consumerPerf) run(ctx context.Context, client *kgo.Client) error {
	r.start = time.Now()
	var count, bytes, lastCount, lastBytes int64
	lastReport, lastRecord := r.start, r.start
	for count < r.wanted && !ended(ctx) && time.Since(lastRecord) <= r.timeout {
		poll, cancel := context.WithTimeout(ctx, min(100*time.Millisecond, r.timeout))
		fetches := client.PollRecords(poll, pollRecordsMax)
		cancel()
		if err := fatal(fetches); err != nil {
			return err
		}
		now := time.Now()
		for _, record := range fetches.Records() {
			lastRecord = now
			count++
			bytes += int64(len(record.Key) + len(record.Value))
		}
		if now.Sub(lastReport) >= r.interval && fetches.NumRecords() > 0 {
			if r.opts.has("show-detailed-stats") {
				r.printInterval(now, now.Sub(lastReport), bytes, bytes-lastBytes, count, count-lastCount)
				_ = r.out.Flush()
			}
			lastReport, lastCount, lastBytes = now, count, bytes
		}
	}
	end := time.Now()
	if count < r.wanted && !ended(ctx) {
		fmt.Fprintf(r.out, "WARNING: Exiting before consuming the expected number of records: timeout (%d ms) exceeded. You can use the --timeout option to increase the timeout.\n", r.timeout.Milliseconds())
	}
	if !r.opts.has("show-detailed-stats") {
		elapsed, joining := end.Sub(r.start), min(time.Duration(r.joining.Load()), end.Sub(r.start))
		fmt.Fprintf(r.out, "%s, %s, %s, %d, %d, %s\n", perfTime(r.start), perfTime(end), perfRates(bytes, count, elapsed),
			joining.Milliseconds(), (elapsed - joining).Milliseconds(), perfSpeeds(bytes, count, elapsed-joining))
	}
	return nil
}

// perfTime prints a time as javaTime says, which has no point but a colon before the milliseconds.
func perfTime(t time.Time) string {
	s := []byte(t.Format(goTime))
	s[len(s)-4] = ':'
	return string(s)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func perfRates(bytes, count int64, elapsed time.Duration) string {
	return fmt.Sprintf("%.4f, %.4f, %d, %.4f", mib(bytes), mib(bytes)/elapsed.Seconds(), count, float64(count)/elapsed.Seconds())
}

func perfSpeeds(bytes, count int64, fetching time.Duration) string {
	seconds := max(fetching.Seconds(), 1e-3)
	return fmt.Sprintf("%.4f, %.4f", mib(bytes)/seconds, float64(count)/seconds)
}

func (r *consumerPerf) printInterval(now time.Time, elapsed time.Duration, bytes, newBytes, count, newCount int64) {
	joining := min(time.Duration(r.joining.Swap(1)), elapsed) // 1: counted
	fmt.Fprintf(r.out, "%s, 0, %.4f, %.4f, %d, %.4f, %d, %d, %s\n", perfTime(now), mib(bytes), mib(newBytes)/elapsed.Seconds(), count,
		float64(newCount)/elapsed.Seconds(), joining.Milliseconds(), (elapsed - joining).Milliseconds(), perfSpeeds(newBytes, newCount, elapsed-joining))
}
