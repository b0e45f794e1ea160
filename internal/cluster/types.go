package cluster

// Broker is a registered broker.
type Broker struct {
	ID NodeID
	// Epoch grows with every registration in the cluster. A request that carries an older one is of an earlier life.
	Epoch int64
	// RegisteredAt is the metadata offset of the registration: who has not got there does not know that it is registered.
	RegisteredAt int64
	// Incarnation is drawn by each run of the broker's process.
	Incarnation UUID
	Rack        string // empty when it has none
	// Fenced: silent or not caught up. Clients are not sent to it, and it is not elected.
	Fenced bool
	// Draining: it gives its leaderships away before it stops.
	Draining bool
	// Cordoned: it gets no replicas of new partitions (KIP-1066).
	Cordoned  bool
	Listeners []Endpoint
	// Directories are the ids of the directories that it keeps its replicas in; empty when it has not told.
	Directories []UUID
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
	// ISR is the in-sync set, a subset of Replicas; empty only without a leader, when all its members have lost records.
	ISR []NodeID
	// Adding and Removing are the replicas that a reassignment brings and takes.
	Adding, Removing []NodeID
	// ELR are replicas outside of the ISR that hold everything committed all the same (KIP-966).
	ELR []NodeID
	// LastKnownELR is who led last, when nobody is left in ISR and ELR; empty at any other time.
	LastKnownELR []NodeID
	// Leader is in the ISR, or NoLeader. It may be fenced while nobody else could lead; it then serves nobody new.
	Leader NodeID
	// LeaderEpoch grows with every incarnation of a leader, PartitionEpoch with every change of this struct.
	LeaderEpoch, PartitionEpoch int32
	// UncleanEpoch is the leader epoch of the last election of a replica outside of ISR and ELR, 0 when there was none.
	// What was committed in earlier epochs may be gone.
	UncleanEpoch int32
	// Recovering: the leader was elected so and has not said yet that it is done with what follows (KIP-704).
	Recovering bool
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
