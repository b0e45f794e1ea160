package controller

import (
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// Config is what the controller needs of its node's configuration.
type Config struct {
	// NumPartitions and ReplicationFactor are for topics that ask for -1; 1 each when 0.
	NumPartitions     int32
	ReplicationFactor int16
	// NoTopicDeletion is delete.topic.enable=false.
	NoTopicDeletion bool
	// SessionTimeoutMs is how long a broker may be silent before it is fenced; 9000 when 0.
	SessionTimeoutMs int64
	// FlushOS is flush=os: a broker that was not stopped may have lost what it had acknowledged. It is asked for brokers that do
	// not say themselves.
	FlushOS bool
	// Rebalance is auto.leader.rebalance.enable; RebalanceMs is leader.imbalance.check.interval.seconds, 300,000 when 0.
	Rebalance   bool
	RebalanceMs int64
	// Static is the node's configuration, for the configs that CreateTopics returns and the defaults of topics' own.
	Static map[string]string
	// Rand draws topic ids and where placements start; math/rand/v2.Uint64 when nil. The simulation gives a seeded one.
	Rand func() uint64
}

// partitionsPerRequestMax bounds what one request may create, as in Kafka (MAX_PARTITIONS_PER_BATCH).
const partitionsPerRequestMax = 10_000

const (
	sessionTimeoutDefaultMs = 9000
	rebalanceDefaultMs      = 300_000
)

// Machine is the controller.
type Machine struct {
	cfg      Config
	sessions sessions
	sweep    sweep
	tickedMs int64 // the last Tick
	// unsettled are brokers whose standing has changed, and some of whose partitions have still to follow.
	unsettled map[cluster.NodeID]bool
}

// New returns a controller that has heard of no broker.
func New(cfg Config) *Machine {
	if cfg.NumPartitions == 0 {
		cfg.NumPartitions = 1
	}
	if cfg.ReplicationFactor == 0 {
		cfg.ReplicationFactor = 1
	}
	if cfg.SessionTimeoutMs == 0 {
		cfg.SessionTimeoutMs = sessionTimeoutDefaultMs
	}
	if cfg.RebalanceMs == 0 {
		cfg.RebalanceMs = rebalanceDefaultMs
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Uint64
	}
	return &Machine{cfg: cfg, sessions: newSessions(cfg.SessionTimeoutMs), unsettled: make(map[cluster.NodeID]bool)}
}

// Handle returns the reply to a request, and the changes that make it true. nowMs is any clock in milliseconds, wall or
// monotonic. img includes every change that Handle has returned and that was not lost. The reply is nil for a request
// that is none of the controller's.
func (m *Machine) Handle(nowMs int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change) {
	m.sessions.pass(nowMs)
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		return m.createTopics(img, req)
	case *kmsg.DeleteTopicsRequest:
		return m.deleteTopics(img, req)
	case *kmsg.CreatePartitionsRequest:
		return m.createPartitions(img, req)
	case *kmsg.AlterConfigsRequest:
		return m.alterConfigs(img, req)
	case *kmsg.IncrementalAlterConfigsRequest:
		return m.incrementalAlterConfigs(img, req)
	case *kmsg.BrokerRegistrationRequest:
		return m.registerBroker(nowMs, img, req)
	case *kmsg.BrokerHeartbeatRequest:
		return m.brokerHeartbeat(nowMs, img, req)
	case *kmsg.UnregisterBrokerRequest:
		return m.unregisterBroker(img, req)
	case *kmsg.AlterPartitionAssignmentsRequest:
		return m.alterReassignments(img, req)
	case *kmsg.ListPartitionReassignmentsRequest:
		return listReassignments(img, req), nil
	case *kmsg.ElectLeadersRequest:
		return m.electLeaders(img, req)
	case *kmsg.AlterPartitionRequest:
		return m.alterPartition(img, req)
	case *kmsg.AllocateProducerIDsRequest:
		return allocateProducerIDs(img, req)
	}
	return nil, nil
}

// Lost says that the process of a broker's registration has ended, of which whoever says so has proof: no machine that is
// silent, and no connection that is broken, is one. Its session is over, and the next Tick does what follows of that, as
// when it had been silent for all of it. A broker that has spoken within the last silentMs lives, and one that speaks before
// the next Tick has its session again. Of another registration it says nothing.
func (m *Machine) Lost(nowMs int64, img *cluster.Image, id cluster.NodeID, epoch, silentMs int64) {
	m.sessions.pass(nowMs)
	if _, why := registered(img, id, epoch); why == nil {
		m.sessions.end(id, epoch, nowMs, silentMs)
	}
}

// refusal is why something asked for is not done.
type refusal struct {
	code wire.Error
	text string // empty where Kafka says no more than the code
}

func (r *refusal) message() *string {
	if r.text == "" {
		return nil
	}
	return &r.text
}
