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
func (RegisterBroker) version() uint64      { return 1 }
func (SetBrokerState) version() uint64      { return 1 }
func (UnregisterBroker) version() uint64    { return 0 }
func (ReserveBrokerEpochs) version() uint64 { return 0 }
func (DeleteTopic) version() uint64         { return 0 }
func (SetConfig) version() uint64           { return 0 }
func (AllocateProducerIDs) version() uint64 { return 0 }
func (ClearELR) kind() uint64               { return kindClearELR }
func (ClearELR) version() uint64            { return 0 }

func (c CreateTopic) version() uint64      { return partitionsVersion(c.Topic.Partitions) }
func (c CreatePartitions) version() uint64 { return partitionsVersion(c.Partitions) }
func (c ChangePartition) version() uint64  { return c.Partition.version() }

// partitionsVersion is the oldest version that can hold all of a list.
func partitionsVersion(list []Partition) (version uint64) {
	for i := range list {
		version = max(version, list[i].version())
	}
	return version
}

// version is 0 for a partition that nothing has befallen, as nearly all are: there are many, and version 1 is longer.
func (p *Partition) version() uint64 {
	if len(p.ISR) > 0 && len(p.LastKnownELR) == 0 && p.UncleanEpoch == 0 && !p.Recovering {
		return 0
	}
	return 1
}

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
	w.varint(b.RegisteredAt)
	w.bool(b.Cordoned)
	w.uvarint(uint64(len(b.Directories)))
	for _, id := range b.Directories {
		w.uuid(id)
	}
	w.b = append(w.b, byte(c.Lost))
}

func decodeRegisterBroker(r *reader, version uint64) Change {
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
	c := RegisterBroker{Broker: b}
	if version >= 1 {
		c.Broker.RegisteredAt, c.Broker.Cordoned = r.varint(), r.bool()
		for range r.count(len(UUID{})) {
			c.Broker.Directories = append(c.Broker.Directories, r.uuid())
		}
		c.Lost = Loss(r.byte())
	}
	return c
}

func (c SetBrokerState) encode(w *writer) {
	w.varint(int64(c.ID))
	w.varint(c.Epoch)
	w.bool(c.Fenced)
	w.bool(c.Draining)
	w.bool(c.Cordoned)
}

func decodeSetBrokerState(r *reader, version uint64) Change {
	c := SetBrokerState{ID: r.int32(), Epoch: r.varint(), Fenced: r.bool(), Draining: r.bool()}
	if version >= 1 {
		c.Cordoned = r.bool()
	}
	return c
}

func (c UnregisterBroker) encode(w *writer) {
	w.varint(int64(c.ID))
	w.varint(c.Epoch)
}

func decodeUnregisterBroker(r *reader, _ uint64) Change {
	return UnregisterBroker{ID: r.int32(), Epoch: r.varint()}
}

func (c ReserveBrokerEpochs) encode(w *writer)             { w.varint(c.Next) }
func decodeReserveBrokerEpochs(r *reader, _ uint64) Change { return ReserveBrokerEpochs{r.varint()} }

func (c CreateTopic) encode(w *writer) {
	w.string(c.Topic.Name)
	w.uuid(c.Topic.ID)
	w.bool(c.Topic.Internal)
	w.partitions(c.Topic.Partitions, c.version())
	w.uvarint(uint64(len(c.Topic.Config)))
	for _, key := range slices.Sorted(maps.Keys(c.Topic.Config)) {
		w.string(key)
		w.string(c.Topic.Config[key])
	}
}

func decodeCreateTopic(r *reader, version uint64) Change {
	t := Topic{Name: r.string(), ID: r.uuid(), Internal: r.bool(), Partitions: r.partitions(version)}
	if n := r.count(2); n > 0 {
		t.Config = make(map[string]string)
		for range n {
			key := r.string()
			t.Config[key] = r.string()
		}
	}
	return CreateTopic{t}
}

func (c DeleteTopic) encode(w *writer)             { w.uuid(c.ID) }
func decodeDeleteTopic(r *reader, _ uint64) Change { return DeleteTopic{r.uuid()} }

func (c CreatePartitions) encode(w *writer) {
	w.uuid(c.TopicID)
	w.varint(int64(c.First))
	w.partitions(c.Partitions, c.version())
}

func decodeCreatePartitions(r *reader, version uint64) Change {
	return CreatePartitions{TopicID: r.uuid(), First: r.int32(), Partitions: r.partitions(version)}
}

func (c ChangePartition) encode(w *writer) {
	w.uuid(c.TopicID)
	w.varint(int64(c.Index))
	w.partition(c.Partition, c.version())
}

func decodeChangePartition(r *reader, version uint64) Change {
	return ChangePartition{TopicID: r.uuid(), Index: r.int32(), Partition: r.partition(version)}
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

func decodeSetConfig(r *reader, _ uint64) Change {
	c := SetConfig{Resource: Resource{Type: ResourceType(r.byte()), Name: r.string()}, Key: r.string()}
	if r.bool() {
		c.Value = new(r.string())
	}
	return c
}

func (c ClearELR) encode(w *writer)             { w.uuid(c.TopicID) }
func decodeClearELR(r *reader, _ uint64) Change { return ClearELR{r.uuid()} }

func (c AllocateProducerIDs) encode(w *writer) {
	w.varint(int64(c.BrokerID))
	w.varint(c.BrokerEpoch)
	w.varint(c.Next)
}

func decodeAllocateProducerIDs(r *reader, _ uint64) Change {
	return AllocateProducerIDs{BrokerID: r.int32(), BrokerEpoch: r.varint(), Next: r.varint()}
}

// partitionBytesMin is the least that an encoded partition takes, in version 0: five lists and three numbers.
const partitionBytesMin = 8

func (w *writer) partitions(list []Partition, version uint64) {
	w.uvarint(uint64(len(list)))
	for _, p := range list {
		w.partition(p, version)
	}
}

func (w *writer) partition(p Partition, version uint64) {
	w.nodes(p.Replicas)
	w.nodes(p.ISR)
	w.nodes(p.Adding)
	w.nodes(p.Removing)
	w.nodes(p.ELR)
	w.varint(int64(p.Leader))
	w.varint(int64(p.LeaderEpoch))
	w.varint(int64(p.PartitionEpoch))
	if version >= 1 {
		w.nodes(p.LastKnownELR)
		w.varint(int64(p.UncleanEpoch))
		w.bool(p.Recovering)
	}
}

func (r *reader) partitions(version uint64) []Partition {
	n := r.count(partitionBytesMin)
	if n == 0 {
		return nil
	}
	list := make([]Partition, n)
	for i := range list {
		list[i] = r.partition(version)
	}
	return list
}

func (r *reader) partition(version uint64) Partition {
	p := Partition{
		Replicas: r.nodes(), ISR: r.nodes(), Adding: r.nodes(), Removing: r.nodes(), ELR: r.nodes(),
		Leader: r.int32(), LeaderEpoch: r.int32(), PartitionEpoch: r.int32(),
	}
	if version >= 1 {
		p.LastKnownELR, p.UncleanEpoch, p.Recovering = r.nodes(), r.int32(), r.bool()
	}
	if slices.Equal(p.ISR, p.Replicas) {
		p.ISR = p.Replicas // as nearly always: one slice less per partition
	}
	return p
}
