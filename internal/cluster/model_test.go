package cluster

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

// seeds returns the seeds of a random test: LOGBAHN_SEED alone when it is set, else n of them.
func seeds(t *testing.T, n uint64) []uint64 {
	t.Helper()
	if s := os.Getenv("LOGBAHN_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(i)
	}
	return list
}

// model is the cluster as plain maps, changed in place.
type model struct {
	brokers map[NodeID]Broker
	topics  map[UUID]Topic
	configs map[Resource]map[string]string
	epoch   int64
	pid     int64
}

func newModel() *model {
	return &model{
		brokers: map[NodeID]Broker{}, topics: map[UUID]Topic{}, configs: map[Resource]map[string]string{},
	}
}

func (m *model) apply(c Change, offset int64) {
	switch c := c.(type) {
	case RegisterBroker:
		if c.Broker.RegisteredAt == 0 {
			c.Broker.RegisteredAt = offset
		}
		m.brokers[c.Broker.ID] = c.Broker
		m.epoch = c.Broker.Epoch + 1
		m.eachPartition(func(p *Partition) { m.registered(p, c) })
	case UnregisterBroker:
		delete(m.brokers, c.ID)
		m.eachPartition(func(p *Partition) {
			if p.Leader == c.ID {
				p.Leader = NoLeader
				p.LeaderEpoch++
				p.PartitionEpoch++
			}
		})
	case ClearELR:
		for id, t := range m.topics {
			for i := range t.Partitions {
				if p := &t.Partitions[i]; (c.TopicID == id || c.TopicID == ZeroUUID) && len(p.ELR) > 0 {
					p.ELR = nil
					p.PartitionEpoch++
				}
			}
		}
	case SetBrokerState:
		b := m.brokers[c.ID]
		b.Fenced, b.Draining, b.Cordoned = c.Fenced, c.Draining, c.Cordoned
		m.brokers[c.ID] = b
	case CreateTopic:
		t := c.Topic
		t.Partitions, t.Config = slices.Clone(t.Partitions), maps.Clone(t.Config)
		m.topics[t.ID] = t
	case DeleteTopic:
		delete(m.topics, c.ID)
	case CreatePartitions:
		t := m.topics[c.TopicID]
		t.Partitions = append(t.Partitions, c.Partitions...)
		m.topics[c.TopicID] = t
	case ChangePartition:
		m.topics[c.TopicID].Partitions[c.Index] = c.Partition
	case SetConfig:
		m.setConfig(c)
	case AllocateProducerIDs:
		m.pid = c.Next
	default:
		panic(fmt.Sprintf("%T", c))
	}
}

func (m *model) eachPartition(f func(*Partition)) {
	for _, t := range m.topics {
		for i := range t.Partitions {
			f(&t.Partitions[i])
		}
	}
}

// registered says in other words what a registration does to a partition.
func (m *model) registered(p *Partition, c RegisterBroker) {
	before, id := *p, c.Broker.ID
	if c.Lost == LostUnflushed && len(p.Replicas) == 1 {
		c.Lost = LostNothing
	}
	had := slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id)
	drop := func(list []NodeID) (left []NodeID) {
		for _, other := range list {
			if other != id {
				left = append(left, other)
			}
		}
		return left
	}
	if c.Lost == LostAll {
		p.LastKnownELR = drop(p.LastKnownELR)
	}
	if c.Lost != LostNothing {
		p.ISR, p.ELR = drop(p.ISR), drop(p.ELR)
		if p.Leader == id {
			p.Leader = NoLeader
		}
	}
	if before.Leader == id {
		p.LeaderEpoch++
	}
	if c.Lost == LostUnflushed && had && len(p.ISR) == 0 &&
		(before.Leader == id || p.Leader == NoLeader && len(p.ELR)+len(p.LastKnownELR) == 0) {
		p.LastKnownELR = []NodeID{id}
	}
	if had || before.Leader == id || len(before.LastKnownELR) != len(p.LastKnownELR) {
		if c.Lost != LostNothing || before.Leader == id {
			p.PartitionEpoch++
		}
	}
}

func (m *model) setConfig(c SetConfig) {
	if c.Resource.Type == TopicResource {
		for id, t := range m.topics {
			if t.Name == c.Resource.Name {
				t.Config = setKey(t.Config, c.Key, c.Value)
				m.topics[id] = t
			}
		}
		return
	}
	m.configs[c.Resource] = setKey(m.configs[c.Resource], c.Key, c.Value)
	if len(m.configs[c.Resource]) == 0 {
		delete(m.configs, c.Resource)
	}
}

// check compares everything that an image answers with the model.
func (m *model) check(t *testing.T, img *Image) {
	t.Helper()
	partitions := 0
	names := make(map[string]Topic)
	for id, want := range m.topics {
		partitions += len(want.Partitions)
		names[want.Name] = want
		got, ok := img.TopicByID(id)
		if !ok || !reflect.DeepEqual(*got, want) {
			t.Fatalf("topic %v: image has %+v, model %+v", id, got, want)
		}
		if byName, ok := img.Topic(want.Name); !ok || byName != got {
			t.Fatalf("topic %q by name is %v", want.Name, byName)
		}
	}
	var listed []string
	for topic := range img.Topics() {
		listed = append(listed, topic.Name)
	}
	if want := slices.Sorted(maps.Keys(names)); !slices.Equal(listed, want) {
		t.Fatalf("topics listed %v, want %v", listed, want)
	}
	if img.TopicCount() != len(m.topics) || img.PartitionCount() != partitions {
		t.Fatalf("%d topics, %d partitions; want %d, %d", img.TopicCount(), img.PartitionCount(), len(m.topics), partitions)
	}
	if !reflect.DeepEqual(maps.Collect(brokersByID(img)), m.brokers) {
		t.Fatalf("brokers %v, want %v", img.Brokers(), m.brokers)
	}
	for id := range NodeID(6) {
		var got, want []UUID
		for topic := range img.TopicsOf(id) {
			got = append(got, topic.ID)
		}
		for _, topic := range m.topics {
			if slices.ContainsFunc(topic.Partitions, func(p Partition) bool { return slices.Contains(p.Replicas, id) }) {
				want = append(want, topic.ID)
			}
		}
		slices.SortFunc(want, func(a, b UUID) int { return bytes.Compare(a[:], b[:]) })
		if !slices.Equal(got, want) {
			t.Fatalf("broker %d holds %v, want %v", id, got, want)
		}
	}
	if len(img.configs)+len(m.configs) > 0 && !reflect.DeepEqual(img.configs, m.configs) {
		t.Fatalf("configs %v, want %v", img.configs, m.configs)
	}
	if img.NextBrokerEpoch() != m.epoch || img.NextProducerID() != m.pid {
		t.Fatalf("next epoch %d, producer id %d; want %d, %d", img.NextBrokerEpoch(), img.NextProducerID(), m.epoch, m.pid)
	}
}

func brokersByID(img *Image) func(yield func(NodeID, Broker) bool) {
	return func(yield func(NodeID, Broker) bool) {
		for _, b := range img.Brokers() {
			if !yield(b.ID, b) {
				return
			}
		}
	}
}

// randomChange draws a change that is valid for img, or nil.
func randomChange(r *rand.Rand, img *Image) Change {
	topics := slices.Collect(img.Topics())
	if len(topics) == 0 || r.IntN(4) == 0 {
		name := fmt.Sprintf("t%03d", r.IntN(400))
		if _, ok := img.Topic(name); ok {
			return nil
		}
		return CreateTopic{Topic{Name: name, ID: randomID(r), Internal: r.IntN(9) == 0,
			Partitions: randomPartitions(r), Config: randomConfig(r)}}
	}
	topic := topics[r.IntN(len(topics))]
	switch r.IntN(9) {
	case 0:
		return RegisterBroker{Broker{ID: r.Int32N(5), Epoch: img.NextBrokerEpoch() + r.Int64N(3), Incarnation: randomID(r),
			Rack: "r" + strconv.Itoa(r.IntN(2)), Fenced: r.IntN(2) == 0, Cordoned: r.IntN(2) == 0, Directories: []UUID{randomID(r)},
			Listeners: []Endpoint{{"PLAINTEXT", "localhost", uint16(r.IntN(1 << 16)), 0}}}, Loss(r.IntN(3))}
	case 1:
		return DeleteTopic{topic.ID}
	case 2:
		return CreatePartitions{topic.ID, int32(len(topic.Partitions)), randomPartitions(r)}
	case 3, 4:
		i := r.IntN(len(topic.Partitions))
		p := randomPartitions(r)[0]
		p.LeaderEpoch = topic.Partitions[i].LeaderEpoch + 1
		p.PartitionEpoch = topic.Partitions[i].PartitionEpoch + 1
		return ChangePartition{topic.ID, int32(i), p}
	case 5, 6:
		return SetConfig{Resource{TopicResource, topic.Name}, "k" + strconv.Itoa(r.IntN(3)), randomValue(r)}
	case 7:
		return SetConfig{Resource{BrokerResource, strconv.Itoa(r.IntN(3))}, "k" + strconv.Itoa(r.IntN(3)), randomValue(r)}
	default:
		if brokers := img.Brokers(); len(brokers) > 0 && r.IntN(2) == 0 {
			b := brokers[r.IntN(len(brokers))]
			if r.IntN(4) == 0 {
				return UnregisterBroker{b.ID, b.Epoch}
			}
			return SetBrokerState{b.ID, b.Epoch, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0}
		}
		if r.IntN(3) == 0 {
			return ClearELR{[]UUID{{}, topic.ID}[r.IntN(2)]}
		}
		return AllocateProducerIDs{1, 1, img.NextProducerID() + 1000}
	}
}

func randomID(r *rand.Rand) (id UUID) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return id
}

func randomValue(r *rand.Rand) *string {
	if r.IntN(3) == 0 {
		return nil
	}
	return new(strconv.Itoa(r.IntN(5)))
}

func randomConfig(r *rand.Rand) map[string]string {
	if r.IntN(2) == 0 {
		return nil
	}
	return map[string]string{"retention.ms": strconv.Itoa(r.IntN(1000)), "cleanup.policy": "compact"}
}

func randomPartitions(r *rand.Rand) []Partition {
	list := make([]Partition, 1+r.IntN(4))
	for i := range list {
		replicas := []NodeID{0, 1, 2, 3, 4}
		r.Shuffle(5, func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })
		replicas = replicas[:1+r.IntN(4)]
		isr := slices.Clone(replicas[:1+r.IntN(len(replicas))])
		list[i] = Partition{Replicas: replicas, ISR: isr, Leader: isr[r.IntN(len(isr))]}
		if r.IntN(5) == 0 {
			list[i].Leader = NoLeader
			list[i].ELR = slices.Clone(replicas[len(replicas)-1:])
		}
	}
	return list
}
