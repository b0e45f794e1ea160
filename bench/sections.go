//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/bench/load"
	"github.com/logbahn/logbahn/bench/system"
)

// The systems by what they promise.
var (
	everything = []string{system.LogbahnSync, system.KafkaFlush, system.KfakeSync, system.NATSSync,
		system.LogbahnOS, system.KafkaDefault, system.KfakeDisk, system.KfakeMemory, system.NATS}
	bothWays = []string{system.LogbahnSync, system.KafkaFlush, system.LogbahnOS, system.KafkaDefault}
	kafkas   = []string{system.LogbahnSync, system.KafkaFlush, system.KfakeSync, system.LogbahnOS, system.KafkaDefault, system.KfakeDisk}
	unsynced = []string{system.LogbahnOS, system.KafkaDefault, system.KfakeDisk, system.NATS}
)

// sections is everything that is measured, in the order of the document.
var sections = []section{
	{
		name: "raw", title: "Raw frames", share: 4,
		about: "Produce and Fetch requests that were encoded before, five in flight on each connection (Fetch: one). The bare loop " +
			"reads a frame, writes it with pwrite and sends a canned reply; of a Fetch it sends header and 1 MiB with sendfile. " +
			"CPU is the broker's alone, for 10^9 bytes of batches. s/GB below 0.05 apart are one tick of the kernel's clock.",
		cases: []testCase{{
			systems: []string{system.BareLoop, system.LogbahnOS, system.BareAhead, system.LogbahnSync, system.KfakeMemory, system.KafkaDefault},
			run:     rawFrames,
		}},
	},
	{
		name: "clients", title: "Client libraries", share: 9,
		about: "franz-go (acks=all, idempotent, 5 ms linger) for Kafka's protocol, nats.go (asynchronous publishing, 8192 or " +
			"16 MiB in flight, file storage, a stream for a partition) for JetStream. Client and broker share the processors, so that " +
			"throughput is what both leave each other.",
		cases: []testCase{
			{systems: everything, run: produceConsume("1 KiB, 1 partition", 1<<10, 1)},
			{systems: everything, run: produceConsume("1 KiB, 6 partitions", 1<<10, 6)},
			{systems: everything, run: produceConsume("100 B, 1 partition", 100, 1)},
			{systems: everything, run: produceConsume("100 KiB, 1 partition", 100<<10, 1)},
			{systems: unsynced, rounds: 2, run: produceConsume("1 KiB, 1,000 partitions", 1<<10, 1000)},
		},
	},
	{
		name: "tail", title: "Tail reads", share: 6,
		about: "One producer as fast as it gets and consumers at the end of the log, each of which reads all of it, with the libraries " +
			"and settings of the section above; JetStream's consumers are ordered ones. MB/s is what all consumers read together, from the " +
			"first record's production to the last consumer's last; behind is how long after the last acknowledgement that was.",
		cases: []testCase{
			{systems: everything, run: tailReads(1<<10, 1, 1, 4)},
			{systems: everything, run: tailReads(1<<10, 6, 4)},
			{systems: everything, run: tailReads(100, 1, 1)},
			{systems: everything, run: tailReads(100<<10, 1, 1)},
		},
	},
	{
		name: "latency", title: "Latency at a fixed rate", share: 3,
		about: "2,000 requests a second of one record of 1 KiB to six partitions, open loop: latency counts from the time that " +
			"the request was due. Raw frames over a connection for each partition, for JetStream nats.go. A consumer follows " +
			"all partitions; visible is the time from when an append was due until the consumer had it.",
		cases: []testCase{{systems: everything, run: latency(2000)}},
	},
	{
		name: "codecs", title: "Compression", share: 4,
		about: "1 KiB records of JSON through franz-go with each codec, one partition: produced, read from the start, and read at " +
			"the end by one consumer while they are produced. Bytes are those of the values before compression. JetStream's " +
			"protocol has no compression.",
		cases: []testCase{{systems: kafkas, run: codecs}},
	},
	{
		name: "partitions", title: "Partitions", share: 8,
		about: "Raw frames of 16 KiB over four connections, dealt out to all partitions; first write is the first frame to each of " +
			"them, the other figures are those of what follows. create is the time until the broker leads all; 10,000 partitions are " +
			"created by two requests, because Kafka refuses one that makes more than 10,000 records. JetStream, which does not " +
			"speak these frames, has a row of 1,000 under client libraries.",
		cases: []testCase{
			{systems: kafkas, run: partitions(1, 10, 100)},
			{systems: kafkas, rounds: 2, run: partitions(1000)},
			{systems: bothWays, rounds: 2, patience: 4 * time.Minute, run: partitions(10000)},
		},
	},
	{
		name: "connections", title: "Connections", share: 2,
		about: "Raw frames of one 1 KiB record to six partitions, one in flight on each connection.",
		cases: []testCase{{systems: kafkas, run: connections}},
	},
	{
		name: "cold", title: "Cold reads", share: 2,
		about: "A log of 400 MB whose pages the kernel was told to forget (posix_fadvise DONTNEED), read once with Fetch requests of " +
			"1 MiB; and one of client libraries' records, read once by them. What kfake keeps in memory has no cold reads.",
		cases: []testCase{
			{systems: []string{system.LogbahnOS, system.KafkaDefault, system.KfakeDisk}, run: coldRead},
			{systems: unsynced, run: coldConsume},
		},
	},
	{
		name: "start", title: "Start and memory", share: 2.5,
		about: "From exec on an empty directory (Kafka's is formatted before the clock starts) to the first reply, and resident " +
			"memory a second later. Idle connections have had one request answered and have been silent for 21 s; used is what heap " +
			"and stacks hold for them after a garbage collection. Allocations are counted inside the broker's process.",
		cases: []testCase{
			{systems: []string{system.LogbahnSync, system.KafkaDefault, system.KfakeMemory, system.NATS}, run: startUp},
			{systems: []string{system.LogbahnOS}, run: allocations},
			{systems: []string{system.LogbahnSync, system.KafkaDefault, system.KfakeMemory}, rounds: 1, run: idleConnections(10000)},
		},
	},
	{
		name: "three", title: "Three nodes", share: 5.5,
		about: "Clusters of three processes on this machine, each broker and controller, topics of three replicas with " +
			"min.insync.replicas=2, acks=all. CPU and RSS are those of the three nodes together. Raw frames go to the partitions' leaders over " +
			"six connections with five in flight on each; the same frames to a topic of one replica on the same cluster say what replication " +
			"costs: the difference in CPU of all nodes, and its share of the whole. The fixed rate is an open loop of one record of 1 KiB a request " +
			"to six partitions, as in the section on latency. Three copies share two processors and one disk.",
		cases: []testCase{{systems: threeBothWays, patience: 2 * time.Minute, run: threeNodes}},
	},
	{
		name: "failover", title: "Failover", share: 4.5,
		about: "kill -9 of one of three nodes while franz-go writes 300 records a second to six partitions, open loop, acks=all, and reads " +
			"them; it tries again every 100 ms. No write is the longest time, from the kill on, in which some partition had no acknowledged " +
			"write; nothing read the same of the consumer; leaders the time until a node says that every partition has a living leader; in sync the " +
			"time from the killed node's start until all its replicas are in sync. Both systems take a broker for dead after 9 s without a heartbeat " +
			"by default (broker.session.timeout.ms), so that the rows of the defaults are ones of equal sessions; in those of 3 s heartbeats are sent " +
			"every 0.5 s. Logbahn does not wait for the end of the session where the machine of the process refuses connections in its place, as after " +
			"kill -9; where the machine is gone too it does. As long as a killed node is in the in-sync set, acks=all waits for it, whoever leads. The " +
			"quorums have their own times: a controller is missed after 2 s in Kafka, 0.3 to 0.6 s in Logbahn.",
		cases: []testCase{{systems: threeSessions, patience: 3 * time.Minute, run: failover}},
	},
	{
		name: "recovery", title: "Recovery", share: 8.5,
		about: "Three nodes with 1,000 and with 10,000 partitions of three replicas, in topics of 1,000, with one record of 1 KiB in each at first. " +
			"One node that is not the controller is killed (kill -9), and started when the others lead everything; killed again and started at " +
			"once; stopped by SIGTERM and started; then all three are killed and started. in sync is the time from the node's start until it is in all " +
			"in-sync sets again, with the others asked every 0.2 s; writable that until a record written to every partition is acknowledged by " +
			"all in-sync replicas; leaders that from the kill until other nodes lead everything; stop that from SIGTERM to the process's end.",
		cases: []testCase{
			{systems: threeDefaults, patience: manyPatience, run: recovery(1000)},
			{systems: threeDefaults, rounds: 1, patience: manyPatience, run: recovery(10000)},
		},
	},
	{
		name: "idle", title: "Idle partitions", share: 6,
		about: "Three nodes with partitions of three replicas, in topics of 1,000, each with one record: 5 s after the last was made, CPU in " +
			"per cent of one processor over 20 s, and RSS, the mean of the three nodes. create and first write are the times for the partitions that " +
			"are new in the row.",
		cases: []testCase{{systems: threeDefaults, patience: manyPatience, run: idlePartitions(0, 1000, 10000)}},
	},
	{
		name: "scale", title: "Past one machine", share: 1, program: scale, table: scaleTable,
		about: "A real controller and one real broker, processes of their own, among stubs that register, send heartbeats and fetch the " +
			"metadata log as brokers do, each over connections of its own, and share one image instead of applying what they fetch " +
			"(bench/scale). Partitions have three replicas in three racks, topics 10 partitions, one topic 10,000. The stubs follow the log from " +
			"when all partitions are there. All share the processors: what goes to every broker is read by this machine too. What the " +
			"figures mean for larger clusters is in docs/decisions/controller.md.",
	},
}

// manyPatience bounds what is done with thousands of partitions of one system.
const manyPatience = 6 * time.Minute

// warmUp is how long a load runs before it is measured.
func (r *round) warmUp() time.Duration {
	if r.Slow {
		return 1500 * time.Millisecond
	}
	return 300 * time.Millisecond
}

// create makes a topic over the system's protocol; the bare loops know none.
func (r *round) create(ctx context.Context, topic string, partitions int) error {
	if r.Protocol == system.Bare {
		return nil
	}
	c, err := r.client("none")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Create(ctx, topic, partitions)
}

// copies is what topics are made with: in a cluster a replica on each node, two of which have to have a record.
func (r *round) copies() load.Copies {
	if r.Size == 0 {
		return load.OneCopy
	}
	return load.Copies{Replicas: r.Size, MinInSync: 2}
}

func (r *round) client(codec string) (load.Client, error) {
	if r.Protocol == system.JetStream {
		return load.NewJetStream(r.Addr)
	}
	return load.NewKafka(r.Addrs(), r.copies(), load.Codecs[codec])
}

// rawShapes are the sizes of batches and the numbers of connections of raw produce loads.
var rawShapes = []struct {
	name           string
	conns, records int
	valueBytes     int
}{
	{"produce 1 x 930 KB", 1, 900, 1 << 10},
	{"produce 1 x 66 KB", 1, 64, 1 << 10},
	{"produce 4 x 16.6 KB", 4, 16, 1 << 10},
	{"produce 16 x 1.1 KB", 16, 1, 1 << 10},
}

const (
	rawTime  = 1200 * time.Millisecond
	rawBytes = 1500 << 20
)

func rawFrames(ctx context.Context, r *round) error {
	for i, shape := range rawShapes {
		topic := fmt.Sprintf("raw-%d", i)
		if err := r.create(ctx, topic, 1); err != nil {
			return err
		}
		l := load.ProduceLoad{Addr: r.Addr, Topic: topic, Partitions: 1, Conns: shape.conns, InFlight: 5, Acks: -1,
			Batch: load.Batch(shape.records, shape.valueBytes), Records: shape.records, Bare: r.Protocol == system.Bare,
			Limits: load.Limits{Time: r.warmUp(), Bytes: rawBytes / 4}}
		if _, err := l.Run(ctx); err != nil {
			return err
		}
		l.Limits = load.Limits{Time: rawTime, Bytes: rawBytes}
		_, m, err := r.measured(func() (*load.Result, error) { return l.Run(ctx) })
		if err != nil {
			return fmt.Errorf("%s: %w", shape.name, err)
		}
		r.record(shape.name, only(m, "mb_s", "cpu_s_gb", "cpu_us_request", "p50_ms", "p99_ms"))
	}
	return rawFetches(ctx, r, "raw-0")
}

func rawFetches(ctx context.Context, r *round, topic string) error {
	for _, shape := range []struct {
		name  string
		conns int
		bytes int32
	}{{"fetch 1 x 1 MiB", 1, 1 << 20}, {"fetch 4 x 1 MiB", 4, 1 << 20}, {"fetch 4 x 64 KiB", 4, 64 << 10}} {
		if r.Protocol == system.Bare && shape.bytes != system.BareFetchBytes {
			continue
		}
		l := load.FetchLoad{Addr: r.Addr, Topic: topic, Conns: shape.conns, BytesMax: shape.bytes, Bare: r.Protocol == system.Bare,
			Limits: load.Limits{Time: r.warmUp(), Bytes: rawBytes / 4}}
		if _, err := l.Run(ctx); err != nil {
			return err
		}
		l.Limits = load.Limits{Time: rawTime, Bytes: 2 * rawBytes}
		_, m, err := r.measured(func() (*load.Result, error) { return l.Run(ctx) })
		if err != nil {
			return fmt.Errorf("%s: %w", shape.name, err)
		}
		r.record(shape.name, only(m, "mb_s", "cpu_s_gb", "p50_ms", "p99_ms"))
	}
	return nil
}

// clientLimits bound a run with a client library.
var clientLimits = load.Limits{Time: 1200 * time.Millisecond, Bytes: 1 << 30}

// produceConsume writes and reads the same records.
func produceConsume(workload string, valueBytes, partitions int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		return r.produceConsume(ctx, workload, "none", valueBytes, partitions)
	}
}

func clientTopic(codec string, partitions int) string {
	return fmt.Sprintf("bench-%s-%d", codec, partitions)
}

func (r *round) produceConsume(ctx context.Context, workload, codec string, valueBytes, partitions int) error {
	c, err := r.client(codec)
	if err != nil {
		return err
	}
	defer c.Close()
	values := load.Values(valueBytes)
	topic := clientTopic(codec, partitions)
	if err := c.Create(ctx, topic, partitions); err != nil {
		return err
	}
	warm, err := c.Produce(ctx, topic, values, load.Limits{Time: r.warmUp(), Bytes: clientLimits.Bytes / 4})
	if err != nil {
		return err
	}
	produced, m, err := r.measured(func() (*load.Result, error) { return c.Produce(ctx, topic, values, clientLimits) })
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	m = only(m, "krecords_s", "mb_s", "cpu_s_gb")
	if rss, err := r.ResidentBytes(); err == nil {
		m["rss_mb"] = float64(rss) / 1e6
	}
	r.record("produce "+workload, m)
	_, m, err = r.measured(func() (*load.Result, error) { return c.Consume(ctx, topic, warm.Records+produced.Records) })
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	r.record("consume "+workload, only(m, "krecords_s", "mb_s", "cpu_s_gb"))
	return nil
}

// tailReads has numbers of consumers in turn read what is produced to one topic.
func tailReads(valueBytes, partitions int, consumers ...int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		c, err := r.client("none")
		if err != nil {
			return err
		}
		defer c.Close()
		const topic = "tail"
		if err := c.Create(ctx, topic, partitions); err != nil {
			return err
		}
		values := load.Values(valueBytes)
		if _, err := c.Produce(ctx, topic, values, load.Limits{Time: r.warmUp(), Bytes: clientLimits.Bytes / 4}); err != nil {
			return err
		}
		for _, n := range consumers {
			name := fmt.Sprintf("%s, %s, %s", size(valueBytes), plural(partitions, "partition"), plural(n, "consumer"))
			if err := r.tail(ctx, c, "tail "+name, topic, values, n); err != nil {
				return err
			}
		}
		return nil
	}
}

// tail measures reads at the end of a topic that has been written to before.
func (r *round) tail(ctx context.Context, c load.Client, workload, topic string, values [][]byte, consumers int) error {
	_, m, err := r.measured(func() (*load.Result, error) { return load.Tail(ctx, c, topic, values, consumers, clientLimits) })
	if err != nil {
		return fmt.Errorf("%s: %w", workload, err)
	}
	m = only(m, "krecords_s", "mb_s", "cpu_s_gb", "behind_ms")
	if rss, err := r.ResidentBytes(); err == nil {
		m["rss_mb"] = float64(rss) / 1e6
	}
	r.record(workload, m)
	return nil
}

func size(n int) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func codecs(ctx context.Context, r *round) error {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		if err := r.produceConsume(ctx, codec, codec, 1<<10, 1); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
		c, err := r.client(codec)
		if err != nil {
			return err
		}
		err = r.tail(ctx, c, "tail "+codec, clientTopic(codec, 1), load.Values(1<<10), 1)
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

const latencyPartitions = 6

func latency(rate int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		const topic = "paced"
		if err := r.create(ctx, topic, latencyPartitions); err != nil {
			return err
		}
		leaders, err := r.leaders(ctx, topic)
		if err != nil {
			return err
		}
		l := load.PacedLoad{Addr: r.Addr, Leaders: leaders, Topic: topic, Partitions: latencyPartitions, Rate: rate, Warm: time.Second,
			Time: 3 * time.Second, Batch: load.Batch(1, 1<<10)}
		if r.Slow {
			l.Warm *= 3
		}
		_, m, err := r.measured(func() (*load.Result, error) {
			if r.Protocol == system.JetStream {
				l.Batch = load.Value(1 << 10)
				return load.PacedStreams{Addr: r.Addr, Topic: topic, Load: l}.Run(ctx)
			}
			return l.Run(ctx)
		})
		if err != nil {
			return err
		}
		m["cpu_pct"] *= float64(l.Time) / float64(l.Time+l.Warm) // the processor time is that of both
		r.record(fmt.Sprintf("%d a second", rate), only(m, "p50_ms", "p99_ms", "p999_ms", "visible_p50_ms", "visible_p99_ms", "cpu_pct"))
		return nil
	}
}

// firstWritePatience bounds the first write to all partitions, which is when a log's files are made.
const firstWritePatience = time.Minute

func partitions(counts ...int) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		for _, n := range counts {
			topic := fmt.Sprintf("of-%d", n)
			begin := time.Now()
			if err := r.create(ctx, topic, n); err != nil {
				return err
			}
			created := time.Since(begin)
			l := load.ProduceLoad{Addr: r.Addr, Topic: topic, Partitions: n, Conns: 4, InFlight: 5, Acks: -1,
				Batch: load.Batch(16, 1<<10), Records: 16}
			l.Limits = load.Limits{Time: firstWritePatience, Bytes: int64(n * len(l.Batch))}
			first, err := l.Run(ctx)
			if err == nil && first.Requests < int64(n) {
				err = fmt.Errorf("%d of %d partitions were written to within %v", first.Requests, n, firstWritePatience)
			}
			if err != nil {
				return err
			}
			l.Limits = load.Limits{Time: r.warmUp(), Bytes: rawBytes / 4}
			if _, err := l.Run(ctx); err != nil {
				return err
			}
			l.Limits = load.Limits{Time: rawTime, Bytes: rawBytes}
			_, m, err := r.measured(func() (*load.Result, error) { return l.Run(ctx) })
			if err != nil {
				return err
			}
			m = only(m, "mb_s", "cpu_s_gb", "p50_ms", "p99_ms")
			m["create_ms"] = float64(created.Microseconds()) / 1e3
			m["first_ms"] = float64(first.Elapsed.Microseconds()) / 1e3
			if rss, err := r.ResidentBytes(); err == nil {
				m["rss_mb"] = float64(rss) / 1e6
			}
			r.record(fmt.Sprintf("%d partitions", n), m)
		}
		return nil
	}
}

func connections(ctx context.Context, r *round) error {
	const topic = "connections"
	if err := r.create(ctx, topic, latencyPartitions); err != nil {
		return err
	}
	for _, n := range []int{1, 10, 100, 1000} {
		l := load.ProduceLoad{Addr: r.Addr, Topic: topic, Partitions: latencyPartitions, Conns: n, InFlight: 1, Acks: -1,
			Batch: load.Batch(1, 1<<10), Records: 1, Limits: load.Limits{Time: r.warmUp(), Bytes: rawBytes / 4}}
		if _, err := l.Run(ctx); err != nil {
			return err
		}
		l.Limits = load.Limits{Time: rawTime, Bytes: rawBytes}
		_, m, err := r.measured(func() (*load.Result, error) { return l.Run(ctx) })
		if err != nil {
			return err
		}
		m = only(m, "krequests_s", "cpu_us_request", "p50_ms", "p99_ms")
		if rss, err := r.ResidentBytes(); err == nil {
			m["rss_mb"] = float64(rss) / 1e6
		}
		r.record(fmt.Sprintf("%d connections", n), m)
	}
	return nil
}

const coldBytes = 400e6

func coldRead(ctx context.Context, r *round) error {
	const topic = "cold"
	if err := r.create(ctx, topic, 1); err != nil {
		return err
	}
	fill := load.ProduceLoad{Addr: r.Addr, Topic: topic, Partitions: 1, Conns: 1, InFlight: 5, Acks: -1,
		Batch: load.Batch(200, 1<<10), Records: 200, Limits: load.Limits{Time: 20 * time.Second, Bytes: coldBytes}}
	if _, err := fill.Run(ctx); err != nil {
		return err
	}
	read := load.FetchLoad{Addr: r.Addr, Topic: topic, Conns: 1, BytesMax: 1 << 20, Once: true,
		Limits: load.Limits{Time: 20 * time.Second, Bytes: 2 * coldBytes}}
	return r.coldAndWarm("fetch", "mb_s cpu_s_gb p50_ms p99_ms", func() (*load.Result, error) { return read.Run(ctx) })
}

// coldConsume reads with the client library what it has written.
func coldConsume(ctx context.Context, r *round) error {
	const topic = "cold-client"
	c, err := r.client("none")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Create(ctx, topic, 1); err != nil {
		return err
	}
	written, err := c.Produce(ctx, topic, load.Values(1<<10), load.Limits{Time: 20 * time.Second, Bytes: coldBytes})
	if err != nil {
		return err
	}
	return r.coldAndWarm("consume", "mb_s cpu_s_gb", func() (*load.Result, error) { return c.Consume(ctx, topic, written.Records) })
}

// coldAndWarm measures a read of what the page cache does not have, and again of what it then has.
func (r *round) coldAndWarm(workload, figures string, read func() (*load.Result, error)) error {
	if err := r.DropCache(); err != nil {
		return err
	}
	for _, pages := range []string{"cold", "from the page cache"} {
		_, m, err := r.measured(read)
		if err != nil {
			return err
		}
		r.record(workload+", "+pages, only(m, strings.Fields(figures)...))
	}
	return nil
}

// sortedMillis returns durations in order, in milliseconds.
func sortedMillis(list []time.Duration) []float64 {
	var ms []float64
	for _, d := range list {
		ms = append(ms, float64(d.Microseconds())/1e3)
	}
	slices.Sort(ms)
	return ms
}
