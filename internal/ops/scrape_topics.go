package ops

import (
	"slices"
	"strconv"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/metrics"
	"github.com/logbahn/logbahn/internal/partition"
)

// partitionFacts is what one scrape knows of a replica on this broker and of its partition.
type partitionFacts struct {
	topic, index                  string
	start, end, highWatermark     int64
	lastStable, bytes, segments   int64
	replicas, isr, minISR         int
	leads, hasLeader, online      bool
	preferred, underMin, underISR bool
	leader                        cluster.NodeID
	traffic                       partition.TrafficCount
}

func (c *scrape) facts() []partitionFacts {
	img := c.src.Image()
	all := c.src.Partitions.All()
	facts := make([]partitionFacts, 0, len(all))
	for _, p := range all {
		t, ok := img.TopicByID(p.TopicID())
		if !ok || int(p.Index()) >= len(t.Partitions) {
			continue // it is being deleted
		}
		facts = append(facts, c.factsOf(p, &t.Partitions[p.Index()]))
	}
	return facts
}

func (c *scrape) factsOf(p *partition.Partition, at *cluster.Partition) partitionFacts {
	f := partitionFacts{
		topic: p.Topic(), index: strconv.Itoa(int(p.Index())),
		start: p.StartOffset(), end: p.EndOffset(), highWatermark: p.HighWatermark(), lastStable: p.LastStableOffset(),
		replicas: len(at.Replicas), isr: len(at.ISR), minISR: min(p.Settings().MinISR, len(at.Replicas)),
		leads: at.Leader == c.src.NodeID, hasLeader: at.Leader != cluster.NoLeader, online: p.Offline() == nil,
		leader: at.Leader, preferred: at.Leader == at.Replicas[0], traffic: p.Traffic().Count(),
	}
	f.underISR = f.isr < f.replicas
	f.underMin = f.isr < f.minISR
	if log := p.Log(); log != nil {
		f.bytes, f.segments = log.Size(), int64(log.SegmentCount())
	}
	return f
}

// partitionGauge is a gauge of every partition. only, when not nil, says which have it.
type partitionGauge struct {
	name, help string
	value      func(*partitionFacts) float64
	only       func(*partitionFacts) bool
}

func led(f *partitionFacts) bool { return f.leads }

// partitionGauges are in the order of their importance: the first ones are still written when there is no room for all.
var partitionGauges = []partitionGauge{
	{"kafka_topic_partition_current_offset", "Offset below which consumers can read.", func(f *partitionFacts) float64 { return float64(f.highWatermark) }, led},
	{"kafka_topic_partition_oldest_offset", "First offset of the partition.", func(f *partitionFacts) float64 { return float64(f.start) }, led},
	{"kafka_log_log_size", "Bytes of the replica on this broker.", func(f *partitionFacts) float64 { return float64(f.bytes) }, nil},
	{"kafka_topic_partition_in_sync_replica", "Replicas in sync.", func(f *partitionFacts) float64 { return float64(f.isr) }, nil},
	{"kafka_topic_partition_replicas", "Replicas.", func(f *partitionFacts) float64 { return float64(f.replicas) }, nil},
	{"kafka_topic_partition_under_replicated_partition", "1 when a replica is not in sync.", func(f *partitionFacts) float64 { return boolean(f.underISR) }, nil},
	{"kafka_topic_partition_leader", "Node that leads, -1 when none does.", func(f *partitionFacts) float64 { return float64(f.leader) }, nil},
	{"kafka_topic_partition_leader_is_preferred", "1 when the first replica leads.", func(f *partitionFacts) float64 { return boolean(f.preferred) }, nil},
	{"kafka_cluster_partition_underminisr", "1 when fewer replicas are in sync than min.insync.replicas.", func(f *partitionFacts) float64 { return boolean(f.underMin) }, led},
	{"kafka_cluster_partition_atminisr", "1 when just min.insync.replicas are in sync.", func(f *partitionFacts) float64 { return boolean(f.isr == f.minISR) }, led},
	{"kafka_cluster_partition_underreplicated", "1 when a replica is not in sync.", func(f *partitionFacts) float64 { return boolean(f.underISR) }, led},
	{"kafka_cluster_partition_replicascount", "Replicas.", func(f *partitionFacts) float64 { return float64(f.replicas) }, led},
	{"kafka_cluster_partition_insyncreplicascount", "Replicas in sync.", func(f *partitionFacts) float64 { return float64(f.isr) }, led},
	{"kafka_cluster_partition_laststableoffsetlag", "Records between the last stable offset and the high watermark.", func(f *partitionFacts) float64 { return float64(f.highWatermark - f.lastStable) }, led},
	{"kafka_log_log_logendoffset", "Offset that the next record gets.", func(f *partitionFacts) float64 { return float64(f.end) }, nil},
	{"kafka_log_log_logstartoffset", "First offset of the replica.", func(f *partitionFacts) float64 { return float64(f.start) }, nil},
	{"kafka_log_log_numlogsegments", "Segments of the replica.", func(f *partitionFacts) float64 { return float64(f.segments) }, nil},
}

func (c *scrape) topics() {
	facts := c.facts()
	c.replicaManager(facts)
	c.brokerTopics(facts)
	c.perTopic(facts)
	for _, g := range partitionGauges {
		if !c.room(len(facts)) {
			continue
		}
		c.Family(metrics.Gauge, g.name, g.help)
		for i := range facts {
			if f := &facts[i]; g.only == nil || g.only(f) {
				c.Sample(g.value(f), "topic", f.topic, "partition", f.index)
			}
		}
	}
	free, err := c.src.Free()
	if err == nil {
		c.Family(metrics.Gauge, "logbahn_log_dir_free_bytes", "Bytes that the data directory can still take.")
		c.SampleInt(free, "directory", c.src.Dir)
	}
}

// replicaManager writes how many partitions are in which state.
func (c *scrape) replicaManager(facts []partitionFacts) {
	count := func(of func(*partitionFacts) bool) float64 {
		n := 0
		for i := range facts {
			if of(&facts[i]) {
				n++
			}
		}
		return float64(n)
	}
	offline := count(func(f *partitionFacts) bool { return !f.online })
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"kafka_server_replicamanager_partitioncount", "Replicas on this broker.", float64(len(facts))},
		{"kafka_server_replicamanager_leadercount", "Partitions that this broker leads.", count(led)},
		{"kafka_server_replicamanager_offlinereplicacount", "Replicas on this broker that are offline.", offline},
		{"kafka_server_replicamanager_underreplicatedpartitions", "Partitions led here of which a replica is not in sync.", count(func(f *partitionFacts) bool { return f.leads && f.underISR })},
		{"kafka_server_replicamanager_underminisrpartitioncount", "Partitions led here with fewer replicas in sync than min.insync.replicas.", count(func(f *partitionFacts) bool { return f.leads && f.underMin })},
		{"kafka_server_replicamanager_atminisrpartitioncount", "Partitions led here with just min.insync.replicas in sync.", count(func(f *partitionFacts) bool { return f.leads && f.isr == f.minISR })},
		{"kafka_log_logmanager_offlinelogdirectorycount", "1 while a replica on this broker is offline because its files cannot be read or written.", min(offline, 1)},
		{"kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions that no broker serves: without a leader, or offline at it.", count(func(f *partitionFacts) bool { return !f.hasLeader || f.leads && !f.online })},
		{"kafka_controller_kafkacontroller_preferredreplicaimbalancecount", "Partitions that are not led by their first replica.", count(func(f *partitionFacts) bool { return !f.preferred })},
	} {
		c.One(metrics.Gauge, g.name, g.help, g.value)
	}
}

// topicCounter is a counter that exists for each topic, and without a topic for all: that one keeps what deleted topics
// had counted.
type topicCounter struct {
	name, help string
	value      func(*partition.TrafficCount) int64
}

var topicCounters = []topicCounter{
	{"bytesin", "Bytes of records that clients sent and that were appended.", func(t *partition.TrafficCount) int64 { return t.BytesIn }},
	{"bytesout", "Bytes of records that clients were sent.", func(t *partition.TrafficCount) int64 { return t.BytesOut }},
	{"messagesin", "Records that clients sent and that were appended.", func(t *partition.TrafficCount) int64 { return t.RecordsIn }},
	{"totalproducerequests", "Attempts to append to a partition.", func(t *partition.TrafficCount) int64 { return t.Produces }},
	{"failedproducerequests", "Attempts to append to a partition that failed.", func(t *partition.TrafficCount) int64 { return t.ProducesFailed }},
	{"totalfetchrequests", "Reads of a partition.", func(t *partition.TrafficCount) int64 { return t.Fetches }},
	{"failedfetchrequests", "Reads of a partition that failed.", func(t *partition.TrafficCount) int64 { return t.FetchesFailed }},
	{"fetchmessageconversions", "Reads for which records were converted for an old consumer.", func(t *partition.TrafficCount) int64 { return t.FetchesOfOldMessageFormat }},
}

func (c *scrape) brokerTopics(facts []partitionFacts) {
	all := c.src.Partitions.Removed()
	byTopic := map[string]*partition.TrafficCount{}
	var names []string // facts are sorted by topic
	for i := range facts {
		f := &facts[i]
		all.Add(f.traffic)
		t, ok := byTopic[f.topic]
		if !ok {
			t = &partition.TrafficCount{}
			byTopic[f.topic] = t
			names = append(names, f.topic)
		}
		t.Add(f.traffic)
	}
	for _, counter := range topicCounters {
		for _, suffix := range []string{"_total", "persec_total"} {
			c.Family(metrics.Counter, "kafka_server_brokertopicmetrics_"+counter.name+suffix, counter.help)
			c.SampleInt(counter.value(&all))
			if c.room(len(names)) {
				for _, name := range names {
					c.SampleInt(counter.value(byTopic[name]), "topic", name)
				}
			}
		}
	}
}

// perTopic writes how many partitions each topic has.
func (c *scrape) perTopic(facts []partitionFacts) {
	topics := slices.CompactFunc(slices.Clone(facts), func(a, b partitionFacts) bool { return a.topic == b.topic })
	if !c.room(len(topics)) {
		return
	}
	img := c.src.Image()
	c.Family(metrics.Gauge, "kafka_topic_partitions", "Partitions of the topic.")
	for i := range topics {
		if t, ok := img.Topic(topics[i].topic); ok {
			c.SampleInt(int64(len(t.Partitions)), "topic", t.Name)
		}
	}
}
