package cluster

// Broker is a registered broker.
type Broker struct {
	ID NodeID
	// Epoch grows with every registration in the cluster. A request that carries an older one is of an earlier life.
	Epoch int64
	// Incarnation is drawn by each run of the broker's process.
	Incarnation UUID
	Rack        string // empty when it has none
	// Fenced: silent or not caught up. Clients are not sent to it, and it is not elected.
	Fenced bool
	// Draining: it gives its leaderships away before it stops.
	Draining  bool
	Listeners []Endpoint
}

// Live tells whether the broker may become a leader.
func (b Broker) Live() bool { return !b.Fenced && !b.Draining }

// Endpoint returns the address of the listener called name.
func (b Broker) Endpoint(name string) (Endpoint, bool) {
	for _, e := range b.Listeners {
		if e.Name == name {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Endpoint is an advertised listener.
type Endpoint struct {
	Name     string // PLAINTEXT, INTERNAL, ...
	Host     string
	Port     uint16
	Security int16 // Kafka's security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// Topic is a topic with its partitions, which are numbered from 0 without a gap.
type Topic struct {
	Name       string
	ID         UUID
	Internal   bool // not to be written by clients: __consumer_offsets
	Partitions []Partition
	// Config holds the topic's own settings only, without any default. Nil when it has none.
	Config map[string]string
}

// Partition is where a partition lives and who leads it.
type Partition struct {
	// Replicas in order of preference: the first one is the preferred leader. Never empty.
	Replicas []NodeID
	// ISR is the in-sync set, a subset of Replicas, never empty.
	ISR []NodeID
	// Adding and Removing are the replicas that a reassignment brings and takes.
	Adding, Removing []NodeID
	// ELR are replicas outside of the ISR that hold everything committed all the same (KIP-966).
	ELR []NodeID
	// Leader is in the ISR, or NoLeader. It may be fenced while nobody else could lead; it then serves nobody new.
	Leader NodeID
	// LeaderEpoch grows with every incarnation of a leader, PartitionEpoch with every change of this struct.
	LeaderEpoch, PartitionEpoch int32
}

// ResourceType is the kind of a thing that has dynamic configs.
type ResourceType uint8

// The kinds of resources. The numbers are part of the stored format.
const (
	TopicResource         ResourceType = 1 // Name is the topic's
	BrokerResource        ResourceType = 2 // Name is the node id in decimal
	BrokerDefaultResource ResourceType = 3 // what holds for every broker; Name is empty
)

// Resource names something that has dynamic configs.
type Resource struct {
	Type ResourceType
	Name string
}
