package cluster

import (
	"maps"
	"math"
	"slices"
)

func (RegisterBroker) kind() uint64         { return kindRegisterBroker }
func (SetBrokerState) kind() uint64         { return kindSetBrokerState }
func (UnregisterBroker) kind() uint64       { return kindUnregisterBroker }
func (ReserveBrokerEpochs) kind() uint64    { return kindReserveBrokerEpochs }
func (CreateTopic) kind() uint64            { return kindCreateTopic }
func (DeleteTopic) kind() uint64            { return kindDeleteTopic }
func (CreatePartitions) kind() uint64       { return kindCreatePartitions }
func (ChangePartition) kind() uint64        { return kindChangePartition }
func (SetConfig) kind() uint64              { return kindSetConfig }
func (AllocateProducerIDs) kind() uint64    { return kindAllocateProducerIDs }
func (RegisterBroker) version() uint64      { return 0 }
func (SetBrokerState) version() uint64      { return 0 }
func (UnregisterBroker) version() uint64    { return 0 }
func (ReserveBrokerEpochs) version() uint64 { return 0 }
func (CreateTopic) version() uint64         { return 0 }
func (DeleteTopic) version() uint64         { return 0 }
func (CreatePartitions) version() uint64    { return 0 }
func (ChangePartition) version() uint64     { return 0 }
func (SetConfig) version() uint64           { return 0 }
func (AllocateProducerIDs) version() uint64 { return 0 }

func (c RegisterBroker) encode(w *writer) {
	b := c.Broker
	w.varint(int64(b.ID))
	w.varint(b.Epoch)
	w.uuid(b.Incarnation)
	w.string(b.Rack)
	w.bool(b.Fenced)
	w.bool(b.Draining)
	w.uvarint(uint64(len(b.Listeners)))
	for _, e := range b.Listeners {
		w.string(e.Name)
		w.string(e.Host)
		w.varint(int64(e.Port))
		w.varint(int64(e.Security))
	}
}

func decodeRegisterBroker(r *reader) Change {
	b := Broker{
		ID: r.int32(), Epoch: r.varint(), Incarnation: r.uuid(), Rack: r.string(), Fenced: r.bool(), Draining: r.bool(),
	}
	for range r.count(4) {
		b.Listeners = append(b.Listeners, Endpoint{
			Name: r.string(), Host: r.string(),
			Port:     uint16(r.within(0, math.MaxUint16)),
			Security: int16(r.within(math.MinInt16, math.MaxInt16)),
		})
	}
	return RegisterBroker{b}
}

func (c SetBrokerState) encode(w *writer) {
	w.varint(int64(c.ID))
	w.varint(c.Epoch)
	w.bool(c.Fenced)
	w.bool(c.Draining)
}

func decodeSetBrokerState(r *reader) Change {
	return SetBrokerState{ID: r.int32(), Epoch: r.varint(), Fenced: r.bool(), Draining: r.bool()}
}

func (c UnregisterBroker) encode(w *writer) {
	w.varint(int64(c.ID))
	w.varint(c.Epoch)
}

func decodeUnregisterBroker(r *reader) Change {
	return UnregisterBroker{ID: r.int32(), Epoch: r.varint()}
}

func (c ReserveBrokerEpochs) encode(w *writer)   { w.varint(c.Next) }
func decodeReserveBrokerEpochs(r *reader) Change { return ReserveBrokerEpochs{r.varint()} }

func (c CreateTopic) encode(w *writer) {
	w.string(c.Topic.Name)
	w.uuid(c.Topic.ID)
	w.bool(c.Topic.Internal)
	w.partitions(c.Topic.Partitions)
	w.uvarint(uint64(len(c.Topic.Config)))
	for _, key := range slices.Sorted(maps.Keys(c.Topic.Config)) {
		w.string(key)
		w.string(c.Topic.Config[key])
	}
}

func decodeCreateTopic(r *reader) Change {
	t := Topic{Name: r.string(), ID: r.uuid(), Internal: r.bool(), Partitions: r.partitions()}
	if n := r.count(2); n > 0 {
		t.Config = make(map[string]string)
		for range n {
			key := r.string()
			t.Config[key] = r.string()
		}
	}
	return CreateTopic{t}
}

func (c DeleteTopic) encode(w *writer)   { w.uuid(c.ID) }
func decodeDeleteTopic(r *reader) Change { return DeleteTopic{r.uuid()} }

func (c CreatePartitions) encode(w *writer) {
	w.uuid(c.TopicID)
	w.varint(int64(c.First))
	w.partitions(c.Partitions)
}

func decodeCreatePartitions(r *reader) Change {
	return CreatePartitions{TopicID: r.uuid(), First: r.int32(), Partitions: r.partitions()}
}

func (c ChangePartition) encode(w *writer) {
	w.uuid(c.TopicID)
	w.varint(int64(c.Index))
	w.partition(c.Partition)
}

func decodeChangePartition(r *reader) Change {
	return ChangePartition{TopicID: r.uuid(), Index: r.int32(), Partition: r.partition()}
}

func (c SetConfig) encode(w *writer) {
	w.b = append(w.b, byte(c.Resource.Type))
	w.string(c.Resource.Name)
	w.string(c.Key)
	w.bool(c.Value != nil)
	if c.Value != nil {
		w.string(*c.Value)
	}
}

func decodeSetConfig(r *reader) Change {
	c := SetConfig{Resource: Resource{Type: ResourceType(r.byte()), Name: r.string()}, Key: r.string()}
	if r.bool() {
		c.Value = new(r.string())
	}
	return c
}

func (c AllocateProducerIDs) encode(w *writer) {
	w.varint(int64(c.BrokerID))
	w.varint(c.BrokerEpoch)
	w.varint(c.Next)
}

func decodeAllocateProducerIDs(r *reader) Change {
	return AllocateProducerIDs{BrokerID: r.int32(), BrokerEpoch: r.varint(), Next: r.varint()}
}

// partitionBytesMin is the least that an encoded partition takes: five lists and three numbers.
const partitionBytesMin = 8

func (w *writer) partitions(list []Partition) {
	w.uvarint(uint64(len(list)))
	for _, p := range list {
		w.partition(p)
	}
}

func (w *writer) partition(p Partition) {
	w.nodes(p.Replicas)
	w.nodes(p.ISR)
	w.nodes(p.Adding)
	w.nodes(p.Removing)
	w.nodes(p.ELR)
	w.varint(int64(p.Leader))
	w.varint(int64(p.LeaderEpoch))
	w.varint(int64(p.PartitionEpoch))
}

func (r *reader) partitions() []Partition {
	n := r.count(partitionBytesMin)
	if n == 0 {
		return nil
	}
	list := make([]Partition, n)
	for i := range list {
		list[i] = r.partition()
	}
	return list
}

func (r *reader) partition() Partition {
	p := Partition{
		Replicas: r.nodes(), ISR: r.nodes(), Adding: r.nodes(), Removing: r.nodes(), ELR: r.nodes(),
		Leader: r.int32(), LeaderEpoch: r.int32(), PartitionEpoch: r.int32(),
	}
	if slices.Equal(p.ISR, p.Replicas) {
		p.ISR = p.Replicas // as nearly always: one slice less per partition
	}
	return p
}
