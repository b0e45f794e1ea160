package ops

import (
	"net"
	"strconv"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/metrics"
)

// both writes a sample without labels under two names: Strimzi's dashboards exist for the JMX exporter and for its own
// reporter, which name the same thing differently.
func (c *scrape) both(kind metrics.Kind, names [2]string, help string, value float64) {
	for _, name := range names {
		c.One(kind, name, help, value)
	}
}

func raftNames(name string) [2]string {
	return [2]string{"kafka_server_raftmetrics_" + name, "kafka_server_raft_metrics_" + name}
}

func (c *scrape) controller() {
	q, img := c.src.Quorum(), c.src.Image()
	leads := q.Leader == c.src.NodeID
	state := "follower"
	switch {
	case leads:
		state = "leader"
	case q.Leader == cluster.NoLeader:
		state = "unattached"
	}
	c.both(metrics.Gauge, raftNames("current_leader"), "Node that leads the metadata quorum, -1 when none is known.", float64(q.Leader))
	c.both(metrics.Gauge, raftNames("current_epoch"), "Epoch of the metadata quorum.", float64(q.Epoch))
	c.both(metrics.Gauge, raftNames("high_watermark"), "Offset below which the metadata log is committed.", float64(q.HighWatermark))
	c.both(metrics.Gauge, raftNames("log_end_offset"), "Offset that the next entry of the metadata log gets.", float64(q.EndOffset))
	c.both(metrics.Gauge, raftNames("current_vote"), "Node that this one voted for in the epoch, -1 for none.", float64(q.Vote))
	appended, commitMs := c.s.rates.read(time.Now(), q)
	c.both(metrics.Gauge, raftNames("append_records_rate"), "Entries appended to the metadata log per second, over the last half minute or more.", appended)
	c.both(metrics.Gauge, raftNames("commit_latency_avg"), "Milliseconds from a proposal to its commit, on average over the last half minute or more; 0 when there was none.", commitMs)
	for _, name := range []string{"kafka_server_raftmetrics_current_state", "kafka_server_raft_metrics_current_state_info"} {
		c.Family(metrics.Gauge, name, "1, with what this node is in the metadata quorum.")
		c.Sample(1, "current_state", state)
	}
	c.One(metrics.Gauge, "kafka_controller_kafkacontroller_activecontrollercount", "1 on the node that is the controller.", boolean(leads))
	fenced := 0
	for _, b := range img.Brokers() {
		if b.Fenced {
			fenced++
		}
	}
	c.One(metrics.Gauge, "kafka_controller_kafkacontroller_activebrokercount", "Brokers that are registered and not fenced.", float64(len(img.Brokers())-fenced))
	c.One(metrics.Gauge, "kafka_controller_kafkacontroller_fencedbrokercount", "Brokers that are registered and fenced.", float64(fenced))
	c.One(metrics.Gauge, "kafka_controller_kafkacontroller_globaltopiccount", "Topics of the cluster.", float64(img.TopicCount()))
	c.One(metrics.Gauge, "kafka_controller_kafkacontroller_globalpartitioncount", "Partitions of the cluster.", float64(img.PartitionCount()))
	changes := c.s.cfg.Changes
	unclean := [2]string{"kafka_controller_controllerstats_uncleanleaderelections_total", "kafka_controller_controllerstats_uncleanleaderelectionspersec_total"}
	c.both(metrics.Counter, unclean, "Leaders elected that were not in sync, since this node started.", float64(changes.unclean.Load()))
	c.One(metrics.Counter, "kafka_controller_controllerstats_leaderelections_total", "Leaders elected, since this node started.", float64(changes.elections.Load()))
	c.One(metrics.Counter, "kafka_server_replicamanager_isrshrinks_total", "In-sync sets that lost a replica, since this node started.", float64(changes.isrShrinks.Load()))
	c.One(metrics.Counter, "kafka_server_replicamanager_isrexpands_total", "In-sync sets that gained a replica, since this node started.", float64(changes.isrGrew.Load()))
	c.One(metrics.Gauge, "kafka_brokers", "Brokers that are registered and not fenced.", float64(len(img.Brokers())-fenced))
	c.Family(metrics.Gauge, "kafka_broker_info", "1, with the address of each broker.")
	for _, b := range img.Brokers() {
		if len(b.Listeners) > 0 {
			e := b.Listeners[0]
			c.Sample(1, "id", strconv.Itoa(int(b.ID)), "address", net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
		}
	}
}
