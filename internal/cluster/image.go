package cluster

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Image is the cluster at one metadata offset.
type Image struct {
	clusterID  string
	controller NodeID
	offset     int64
	epoch      int32

	brokers    []Broker // sorted by id
	byName     ordered[*Topic]
	byID       ordered[*Topic]
	partitions int
	held       []holding // sorted by id
	// configs of everything but topics, which hold their own. Empty maps are not kept.
	configs map[Resource]map[string]string

	nextBrokerEpoch int64
	nextProducerID  int64
}

// NewImage returns the image of a cluster in which nothing has happened.
func NewImage(clusterID string) *Image {
	return &Image{clusterID: clusterID, controller: NoLeader, offset: -1}
}

// ClusterID returns the id of the cluster.
func (m *Image) ClusterID() string { return m.clusterID }

// ControllerID returns the node that leads the quorum as far as this node knows, NoLeader when it knows none. It is not
// part of the metadata log: two nodes can differ in it at one offset.
func (m *Image) ControllerID() NodeID { return m.controller }

// WithController returns the image with another controller.
func (m *Image) WithController(id NodeID) *Image {
	next := *m
	next.controller = id
	return &next
}

// Offset returns the metadata offset of the last change in the image, -1 when there is none.
func (m *Image) Offset() int64 { return m.offset }

// Epoch returns the quorum's leader epoch of the change at Offset.
func (m *Image) Epoch() int32 { return m.epoch }

// Broker returns a registered broker, fenced ones included.
func (m *Image) Broker(id NodeID) (Broker, bool) {
	i, ok := m.broker(id)
	if !ok {
		return Broker{}, false
	}
	return m.brokers[i], true
}

func (m *Image) broker(id NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.brokers, id, func(b Broker, id NodeID) int { return int(b.ID) - int(id) })
}

// Brokers returns the registered brokers, fenced ones included, sorted by id.
func (m *Image) Brokers() []Broker { return m.brokers }

// Topic returns the topic of that name.
func (m *Image) Topic(name string) (*Topic, bool) { return m.byName.find(nameProbe(name)) }

// TopicByID returns the topic of that id.
func (m *Image) TopicByID(id UUID) (*Topic, bool) { return m.byID.find(idProbe(id)) }

// Topics yields every topic, sorted by name.
func (m *Image) Topics() iter.Seq[*Topic] { return m.byName.all(nil) }

// TopicsFrom yields the topics whose name is not less than from, sorted by name.
func (m *Image) TopicsFrom(from string) iter.Seq[*Topic] { return m.byName.all(nameProbe(from)) }

// TopicCount returns the number of topics.
func (m *Image) TopicCount() int { return m.byName.count }

// PartitionCount returns the number of partitions of all topics, each counted once however many replicas it has.
func (m *Image) PartitionCount() int { return m.partitions }

// Partition returns partition index of the topic called name.
func (m *Image) Partition(name string, index int32) (Partition, bool) {
	t, ok := m.Topic(name)
	if !ok || index < 0 || int(index) >= len(t.Partitions) {
		return Partition{}, false
	}
	return t.Partitions[index], true
}

// Config returns the dynamic configs of a resource, without any default; nil when it has none.
func (m *Image) Config(r Resource) map[string]string {
	if r.Type == TopicResource {
		if t, ok := m.Topic(r.Name); ok {
			return t.Config
		}
		return nil
	}
	return m.configs[r]
}

// ConfiguredResources returns the resources other than topics that have dynamic configs, sorted.
func (m *Image) ConfiguredResources() []Resource {
	return slices.SortedFunc(maps.Keys(m.configs), compareResources)
}

// NextBrokerEpoch returns the epoch of the next registration.
func (m *Image) NextBrokerEpoch() int64 { return m.nextBrokerEpoch }

// NextProducerID returns the first producer id that no broker has been given.
func (m *Image) NextProducerID() int64 { return m.nextProducerID }

// TopicsOf yields the topics of which the broker has a replica, registered or not, sorted by topic id. It costs what it
// yields.
func (m *Image) TopicsOf(id NodeID) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		at, ok := m.holding(id)
		if !ok {
			return
		}
		for topic := range m.held[at].topics.all(nil) {
			if t, ok := m.TopicByID(topic); ok && !yield(t) {
				return
			}
		}
	}
}

func nameProbe(name string) probe[*Topic] {
	return func(t *Topic) int { return strings.Compare(t.Name, name) }
}

func idProbe(id UUID) probe[*Topic] {
	return func(t *Topic) int { return bytes.Compare(t.ID[:], id[:]) }
}

func compareResources(a, b Resource) int {
	if a.Type != b.Type {
		return int(a.Type) - int(b.Type)
	}
	return strings.Compare(a.Name, b.Name)
}
