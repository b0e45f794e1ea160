//go:build linux

package main

import (
	"github.com/logbahn/logbahn/bench/system"
)

// figure names a metric in the results.
type figure struct{ section, workload, system, metric string }

// target is what Logbahn is meant to reach: a figure, or one divided by another of the same round, at most or at least a
// limit.
type target struct {
	what         string
	above, below figure // below is zero when the figure itself is meant
	atLeast      bool
	limit        float64
}

const (
	produce1K  = "produce 1 KiB, 1 partition"
	consume1K  = "consume 1 KiB, 1 partition"
	produce1K6 = "produce 1 KiB, 6 partitions"
	produce1C  = "produce 100 B, 1 partition"
	tail1K     = "tail 1 KiB, 1 partition, 1 consumer"
	at2000     = "2000 a second"
	at500      = "500 a second"
)

// targets is the table at the top of the document.
var targets = buildTargets()

func buildTargets() []target {
	var list []target
	for _, shape := range rawShapes {
		list = append(list, atMost(1.75, "CPU per GB, "+shape.name+", of a bare receive and pwrite loop",
			figure{"raw", shape.name, system.LogbahnOS, "cpu_s_gb"}, figure{"raw", shape.name, system.BareLoop, "cpu_s_gb"}))
	}
	for _, shape := range []string{"fetch 1 x 1 MiB", "fetch 4 x 1 MiB"} {
		fetch := figure{"raw", shape, system.LogbahnOS, "cpu_s_gb"}
		list = append(list,
			atMost(1.0, "CPU per GB, "+shape+", of a bare sendfile loop", fetch, figure{"raw", shape, system.BareLoop, "cpu_s_gb"}),
			atMost(0.5, "CPU per GB, "+shape+", of kfake in memory", fetch, figure{"raw", shape, system.KfakeMemory, "cpu_s_gb"}))
	}
	client := func(workload, key, metric string) figure { return figure{"clients", workload, key, metric} }
	rate := func(key, metric string) figure { return figure{"latency", at2000, key, metric} }
	list = append(list,
		atLeast(2.5, "throughput, "+produce1K+", of kfake in memory", client(produce1K, system.LogbahnOS, "mb_s"), client(produce1K, system.KfakeMemory, "mb_s")),
		atLeast(1.2, "throughput, "+produce1K+", of kfake on disk", client(produce1K, system.LogbahnOS, "mb_s"), client(produce1K, system.KfakeDisk, "mb_s")),
		atMost(0.6, "CPU per GB, "+produce1K+", of kfake on disk", client(produce1K, system.LogbahnOS, "cpu_s_gb"), client(produce1K, system.KfakeDisk, "cpu_s_gb")),
		atLeast(1.0, "throughput, "+produce1C+", of kfake on disk", client(produce1C, system.LogbahnOS, "mb_s"), client(produce1C, system.KfakeDisk, "mb_s")),
		atMost(0.5, "CPU per GB, "+produce1C+", of kfake on disk", client(produce1C, system.LogbahnOS, "cpu_s_gb"), client(produce1C, system.KfakeDisk, "cpu_s_gb")),
		atLeast(1.3, "throughput, "+consume1K+", of kfake in memory", client(consume1K, system.LogbahnOS, "mb_s"), client(consume1K, system.KfakeMemory, "mb_s")),
		atMost(1.5, "p99 at 2,000 a second, flushed, of unflushed", rate(system.LogbahnSync, "p99_ms"), rate(system.LogbahnOS, "p99_ms")),
		atMost(0.2, "allocations of a steady produce request", figure{"start", "allocations of produce", system.LogbahnOS, "allocs_request"}, figure{}),
		atMost(5, "KB of heap and stack of an idle connection", figure{"start", "10000 idle connections", system.LogbahnSync, "kb_conn_used"}, figure{}))
	for _, pair := range []struct{ how, ours, kafka, nats string }{
		{"unflushed", system.LogbahnOS, system.KafkaDefault, system.NATS},
		{"flushed", system.LogbahnSync, system.KafkaFlush, system.NATSSync},
	} {
		list = append(list,
			atLeast(1.5, "throughput, "+produce1K+", of Apache Kafka, "+pair.how, client(produce1K, pair.ours, "mb_s"), client(produce1K, pair.kafka, "mb_s")),
			atMost(0.5, "CPU per GB, "+produce1K+", of Apache Kafka, "+pair.how, client(produce1K, pair.ours, "cpu_s_gb"), client(produce1K, pair.kafka, "cpu_s_gb")),
			atMost(0.5, "p99 at 2,000 a second of Apache Kafka, "+pair.how, rate(pair.ours, "p99_ms"), rate(pair.kafka, "p99_ms")),
			atMost(0.1, "RSS after "+produce1K+" of Apache Kafka, "+pair.how, client(produce1K, pair.ours, "rss_mb"), client(produce1K, pair.kafka, "rss_mb")),
			atLeast(5, "throughput, "+produce1K+", of NATS JetStream, "+pair.how, client(produce1K, pair.ours, "mb_s"), client(produce1K, pair.nats, "mb_s")),
			atMost(0.15, "CPU per GB, "+produce1K+", of NATS JetStream, "+pair.how, client(produce1K, pair.ours, "cpu_s_gb"), client(produce1K, pair.nats, "cpu_s_gb")))
	}
	list = append(list, atMost(0.1, "start of Apache Kafka", figure{"start", "start", system.LogbahnSync, "start_ms"},
		figure{"start", "start", system.KafkaDefault, "start_ms"}))
	return append(list, clusterTargets()...)
}

// clusterTargets are those of three nodes: what one node is to reach beside Kafka, and that writes go on within a session and
// five seconds.
func clusterTargets() []target {
	var list []target
	for _, pair := range []struct{ how, ours, kafka string }{
		{"unflushed", system.ThreeLogbahnOS, system.ThreeKafkaDefault},
		{"flushed", system.ThreeLogbahnSync, system.ThreeKafkaFlush},
	} {
		three := func(key, workload, metric string) figure { return figure{"three", workload, key, metric} }
		for _, workload := range []string{produce1K, produce1K6} {
			list = append(list,
				atLeast(1.5, "three nodes: throughput, "+workload+", of Apache Kafka, "+pair.how, three(pair.ours, workload, "mb_s"), three(pair.kafka, workload, "mb_s")),
				atMost(0.5, "three nodes: CPU per GB, "+workload+", of Apache Kafka, "+pair.how, three(pair.ours, workload, "cpu_s_gb"), three(pair.kafka, workload, "cpu_s_gb")))
		}
		list = append(list, atMost(0.5, "three nodes: p99 at 500 a second of Apache Kafka, "+pair.how,
			three(pair.ours, at500, "p99_ms"), three(pair.kafka, at500, "p99_ms")))
	}
	// The processes end, not their machines: no session has to be over first.
	for _, sessions := range []struct{ name, key string }{{"9 s", system.ThreeLogbahnSync}, {"3 s", system.ThreeLogbahnQuick}} {
		for _, dead := range []struct {
			killed string
			limit  float64
		}{{leaderKilled, 2_000}, {controllerKilled, 3_000}} {
			list = append(list, atMost(dead.limit, "ms without a write, sessions of "+sessions.name+": "+dead.killed,
				figure{"failover", dead.killed, sessions.key, "unwritten_ms"}, figure{}))
		}
	}
	for _, workload := range []string{"1000 partitions", "10000 partitions"} {
		for _, metric := range []struct {
			name, key string
			limit     float64
		}{{"RSS", "node_rss_mb", 0.1}, {"CPU", "node_cpu_pct", 0.5}} {
			list = append(list, atMost(metric.limit, metric.name+" of three nodes with "+workload+" idle, of Apache Kafka",
				figure{"idle", workload, system.ThreeLogbahnSync, metric.key}, figure{"idle", workload, system.ThreeKafkaDefault, metric.key}))
		}
	}
	return list
}

func atMost(limit float64, what string, above, below figure) target {
	return target{what: what, above: above, below: below, limit: limit}
}

func atLeast(limit float64, what string, above, below figure) target {
	return target{what: what, above: above, below: below, limit: limit, atLeast: true}
}

// measured returns the target's ratio, or its figure when it is not a ratio.
func (t *target) measured(all map[string]*Results) spread {
	r := all[t.above.section]
	return r.ratio(t.above.workload, t.above.system, t.above.metric, t.below.workload, t.below.system, t.below.metric)
}

func (t *target) met(s spread) bool {
	if t.atLeast {
		return s.median >= t.limit
	}
	return s.median <= t.limit
}

// targets writes the table of targets. A target counts as met by its median.
func (d *document) targets(all map[string]*Results) {
	d.line("## Targets\n")
	d.line("Ratios of Logbahn's figure to the one named. Met is judged by the median.\n")
	d.header("What", "Target", "Measured", "")
	for i := range targets {
		t := &targets[i]
		limit := "at most " + short(t.limit)
		if t.atLeast {
			limit = "at least " + short(t.limit)
		}
		verdict, s := "met", t.measured(all)
		switch {
		case s.n == 0:
			verdict = "not measured"
		case !t.met(s):
			verdict = "**missed**"
		}
		d.row(t.what, limit, s.String(), verdict)
	}
	d.line("\nWhy targets are missed, by profile, stands in [decisions/performance.md](decisions/performance.md).\n")
}

// ways are the three comparisons: systems that promise the same when they acknowledge.
var ways = []struct {
	name  string
	ours  string
	peers []string
}{
	{"each with its defaults (Logbahn flushes, the others do not)", system.LogbahnSync, []string{system.KafkaDefault, system.KfakeMemory, system.NATS}},
	{"nobody flushes", system.LogbahnOS, []string{system.KafkaDefault, system.KfakeMemory, system.KfakeDisk, system.NATS}},
	{"everybody flushes before the acknowledgement", system.LogbahnSync, []string{system.KafkaFlush, system.KfakeSync, system.NATSSync}},
}

// ways writes Logbahn's figures divided by those of each peer.
func (d *document) ways(all map[string]*Results) {
	clients, tail, paced := all["clients"], all["tail"], all["latency"]
	if clients == nil && tail == nil && paced == nil {
		return
	}
	d.line("## Three ways\n")
	d.line("Logbahn's figure divided by the peer's: throughput above 1 is faster, everything else below 1 is better.\n")
	for _, way := range ways {
		d.header("**"+way.name+"**", "produce MB/s", "produce CPU/GB", "consume MB/s", "consume CPU/GB", "tail MB/s", "tail CPU/GB", "RSS", "p50", "p99", "p99.9", "visible p99")
		for _, peer := range way.peers {
			cells := []string{system.Of(peer)[0].Name}
			for _, c := range []struct {
				r                *Results
				workload, metric string
			}{
				{clients, produce1K, "mb_s"}, {clients, produce1K, "cpu_s_gb"}, {clients, consume1K, "mb_s"}, {clients, consume1K, "cpu_s_gb"},
				{tail, tail1K, "mb_s"}, {tail, tail1K, "cpu_s_gb"}, {clients, produce1K, "rss_mb"}, {paced, at2000, "p50_ms"}, {paced, at2000, "p99_ms"}, {paced, at2000, "p999_ms"}, {paced, at2000, "visible_p99_ms"},
			} {
				cells = append(cells, c.r.ratio(c.workload, way.ours, c.metric, c.workload, peer, c.metric).String())
			}
			d.row(cells...)
		}
		d.line("")
	}
}
