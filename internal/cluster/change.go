package cluster

// Change is one step from an image to the next. The types below are all there are.
type Change interface {
	apply(b *builder) error
	// kind and version name the encoding of the change in the metadata log.
	kind() uint64
	version() uint64
	encode(w *writer)
}

// RegisterBroker begins a run of a broker. It raises the leader epoch and the partition epoch of every partition that
// the broker leads: an earlier run may have lost records that it had not flushed, and must not share an epoch with this
// one. Epoch is the image's NextBrokerEpoch or more. A broker that has lost records leaves the in-sync sets and what else
// says that it has them, and leads nothing any more.
type RegisterBroker struct {
	Broker Broker
	Lost   Loss
}

// Loss is what a broker has lost of its replicas between two runs. The numbers are part of the stored format.
type Loss uint8

// The kinds of losses.
const (
	LostNothing   Loss = 0 // but records that nobody has acknowledged
	LostUnflushed Loss = 1 // it was not stopped, and acknowledges what is not on disk
	LostAll       Loss = 2 // its directory is another one
)

// SetBrokerState fences or unfences a broker, begins or ends its draining, and tells whether it takes new replicas.
type SetBrokerState struct {
	ID                         NodeID
	Epoch                      int64 // of the registration that is meant
	Fenced, Draining, Cordoned bool
}

// UnregisterBroker forgets a broker. What it led has no leader then; what replicas it is named in stay as they are.
type UnregisterBroker struct {
	ID    NodeID
	Epoch int64
}

// ReserveBrokerEpochs raises the epoch of the next registration: a snapshot says so, the brokers that are left in it
// may all be older.
type ReserveBrokerEpochs struct{ Next int64 }

// CreateTopic makes a topic with its partitions and its own settings.
type CreateTopic struct{ Topic Topic }

// DeleteTopic removes a topic with its settings.
type DeleteTopic struct{ ID UUID }

// CreatePartitions adds partitions to a topic that has First of them.
type CreatePartitions struct {
	TopicID    UUID
	First      int32
	Partitions []Partition
}

// ChangePartition replaces the state of a partition. Partition.PartitionEpoch must be one more than before, its leader
// epoch must not be less, and must be more when the leader is another one.
type ChangePartition struct {
	TopicID   UUID
	Index     int32
	Partition Partition
}

// SetConfig sets a dynamic config, or removes it when Value is nil. The resource, when it is a topic, must exist.
type SetConfig struct {
	Resource Resource
	Key      string
	Value    *string
}

// ClearELR forgets the eligible leader replicas of a topic, or of every topic when TopicID is zero: they are such by the
// min.insync.replicas of the time.
type ClearELR struct{ TopicID UUID }

// AllocateProducerIDs gives the producer ids from the image's NextProducerID up to Next, exclusive, to a broker.
type AllocateProducerIDs struct {
	BrokerID    NodeID
	BrokerEpoch int64
	Next        int64
}
