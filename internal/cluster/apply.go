package cluster

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/logbahn/logbahn/internal/seeded"
)

// ErrInvalidChange means that a list of changes does not fit the image it was applied to.
var ErrInvalidChange = errors.New("invalid change of the metadata")

// PartitionsMax bounds the partitions of one topic: a change of one copies the topic.
const PartitionsMax = 1 << 20

// Apply returns the image after the changes, which stand at one offset of the metadata log, and how it differs from m.
// Offset must be greater than that of m. An error wraps ErrInvalidChange, and m is as good as before in any case.
func (m *Image) Apply(changes []Change, offset int64, epoch int32) (*Image, Delta, error) {
	if offset <= m.offset {
		return nil, Delta{}, fmt.Errorf("%w: offset %d does not come after %d", ErrInvalidChange, offset, m.offset)
	}
	b := newBuilder(m)
	b.next.offset, b.next.epoch = offset, epoch
	for i, c := range changes {
		if err := c.apply(b); err != nil {
			return nil, Delta{}, fmt.Errorf("%w: change %d (%T) at offset %d: %w", ErrInvalidChange, i, c, offset, err)
		}
	}
	return b.next, Diff(m, b.next), nil
}

// builder makes an image out of another. What it changes it copies first, once.
type builder struct {
	next       *Image
	edit       *edit
	ownBrokers bool
	ownConfigs bool
	ownHeld    map[NodeID]bool // nil: the list itself is shared
	owned      map[UUID]*Topic // the topics that were copied or made here: they may be written to
}

func newBuilder(m *Image) *builder {
	next := *m
	next.byName, next.byID = m.byName.begin(), m.byID.begin()
	return &builder{next: &next, edit: new(edit), owned: make(map[UUID]*Topic)}
}

func (b *builder) brokers() []Broker {
	if !b.ownBrokers {
		b.next.brokers = slices.Clone(b.next.brokers)
		b.ownBrokers = true
	}
	return b.next.brokers
}

// topic returns a topic that may be written to.
func (b *builder) topic(id UUID) (*Topic, error) {
	if t, ok := b.owned[id]; ok {
		return t, nil
	}
	old, ok := b.next.TopicByID(id)
	if !ok {
		return nil, fmt.Errorf("no topic has id %s", id)
	}
	t := *old
	t.Partitions = slices.Clone(old.Partitions)
	t.Config = maps.Clone(old.Config)
	b.put(&t)
	return &t, nil
}

func (b *builder) put(t *Topic) {
	b.owned[t.ID] = t
	b.next.byName.put(b.edit, nameProbe(t.Name), t)
	b.next.byID.put(b.edit, idProbe(t.ID), t)
}

func (c RegisterBroker) apply(b *builder) error {
	broker := c.Broker
	switch {
	case broker.ID < 0:
		return fmt.Errorf("node id %d", broker.ID)
	case broker.Epoch < b.next.nextBrokerEpoch || broker.Epoch == math.MaxInt64:
		return fmt.Errorf("broker epoch %d where %d is next", broker.Epoch, b.next.nextBrokerEpoch)
	case c.Lost > LostAll:
		return fmt.Errorf("unknown loss %d", c.Lost)
	}
	if broker.RegisteredAt == 0 { // only a snapshot says otherwise
		broker.RegisteredAt = max(b.next.offset, 0)
	}
	b.next.nextBrokerEpoch = broker.Epoch + 1
	list := b.brokers()
	if at, ok := b.next.broker(broker.ID); ok {
		list[at] = broker
	} else {
		b.next.brokers = slices.Insert(list, at, broker)
	}
	return b.eachPartition(broker.ID, func(p *Partition) bool {
		next, changed := p.registered(broker.ID, c.Lost)
		*p = next
		return changed
	})
}

// registered is what becomes of a partition when broker id begins another run.
func (p Partition) registered(id NodeID, lost Loss) (Partition, bool) {
	if lost == LostUnflushed && len(p.Replicas) == 1 {
		lost = LostNothing // there is nobody whom it could mislead
	}
	led := p.Leader == id
	known := slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id)
	switch {
	case lost == LostAll && slices.Contains(p.LastKnownELR, id):
		p.LastKnownELR = nil
	case lost == LostNothing && !led, !led && !known:
		return p, false
	}
	if led && !seeded.Is(seeded.KeepEpochAtRegistration) {
		p.LeaderEpoch++
	}
	if lost != LostNothing {
		p.ISR, p.ELR = without(p.ISR, id), without(p.ELR, id)
		if led {
			p.Leader = NoLeader
		}
		last := p.Leader == NoLeader && len(p.ISR)+len(p.ELR)+len(p.LastKnownELR) == 0
		if lost == LostUnflushed && (led && len(p.ISR) == 0 || known && last) {
			p.LastKnownELR = []NodeID{id}
		}
	}
	p.PartitionEpoch++
	return p, true
}

// without returns list without id, nil when that leaves nothing, and list itself when id is not in it.
func without(list []NodeID, id NodeID) []NodeID {
	if !slices.Contains(list, id) {
		return list
	}
	if len(list) == 1 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), func(other NodeID) bool { return other == id })
}

// eachPartition changes the partitions that have a replica on the broker: change tells whether it has changed the one it
// is given, which is a copy.
func (b *builder) eachPartition(holder NodeID, change func(*Partition) bool) error {
	for t := range b.next.TopicsOf(holder) {
		var own *Topic
		for i := range t.Partitions {
			p := t.Partitions[i]
			if !slices.Contains(p.Replicas, holder) || !change(&p) {
				continue
			}
			if p.LeaderEpoch < 0 || p.PartitionEpoch < 0 {
				return fmt.Errorf("the epochs of %s-%d are used up", t.Name, i)
			}
			if own == nil {
				var err error
				if own, err = b.topic(t.ID); err != nil {
					return err
				}
			}
			own.Partitions[i] = p
		}
	}
	return nil
}

func (b *builder) registration(id NodeID, epoch int64) (*Broker, error) {
	at, ok := b.next.broker(id)
	if !ok {
		return nil, fmt.Errorf("broker %d is not registered", id)
	}
	if have := b.next.brokers[at].Epoch; have != epoch {
		return nil, fmt.Errorf("broker %d is registered with epoch %d, not %d", id, have, epoch)
	}
	return &b.brokers()[at], nil
}

func (c SetBrokerState) apply(b *builder) error {
	broker, err := b.registration(c.ID, c.Epoch)
	if err != nil {
		return err
	}
	broker.Fenced, broker.Draining, broker.Cordoned = c.Fenced, c.Draining, c.Cordoned
	return nil
}

func (c UnregisterBroker) apply(b *builder) error {
	if _, err := b.registration(c.ID, c.Epoch); err != nil {
		return err
	}
	at, _ := b.next.broker(c.ID)
	b.next.brokers = slices.Delete(b.brokers(), at, at+1)
	return b.eachPartition(c.ID, func(p *Partition) bool {
		led := p.Leader == c.ID
		if led {
			p.Leader = NoLeader
			p.LeaderEpoch++
			p.PartitionEpoch++
		}
		return led
	})
}

func (c ReserveBrokerEpochs) apply(b *builder) error {
	if c.Next < b.next.nextBrokerEpoch {
		return fmt.Errorf("broker epoch %d is next already", b.next.nextBrokerEpoch)
	}
	b.next.nextBrokerEpoch = c.Next
	return nil
}

func (c AllocateProducerIDs) apply(b *builder) error {
	if c.Next < b.next.nextProducerID {
		return fmt.Errorf("producer id %d is next already", b.next.nextProducerID)
	}
	b.next.nextProducerID = c.Next
	return nil
}

func (c SetConfig) apply(b *builder) error {
	if c.Key == "" {
		return errors.New("a config without a name")
	}
	switch c.Resource.Type {
	case TopicResource:
		return c.applyToTopic(b)
	case BrokerResource, BrokerDefaultResource:
	default:
		return fmt.Errorf("unknown type of resource %d", c.Resource.Type)
	}
	if !b.ownConfigs {
		b.next.configs = maps.Clone(b.next.configs)
		b.ownConfigs = true
	}
	values := setKey(maps.Clone(b.next.configs[c.Resource]), c.Key, c.Value)
	if len(values) == 0 {
		delete(b.next.configs, c.Resource)
		return nil
	}
	if b.next.configs == nil {
		b.next.configs = make(map[Resource]map[string]string)
	}
	b.next.configs[c.Resource] = values
	return nil
}

func (c SetConfig) applyToTopic(b *builder) error {
	old, ok := b.next.Topic(c.Resource.Name)
	if !ok {
		return fmt.Errorf("no topic is called %q", c.Resource.Name)
	}
	t, err := b.topic(old.ID)
	if err != nil {
		return err
	}
	t.Config = setKey(t.Config, c.Key, c.Value)
	return nil
}

// setKey changes values, which the caller owns, and returns nil for an empty map.
func setKey(values map[string]string, key string, value *string) map[string]string {
	if value == nil {
		delete(values, key)
		if len(values) == 0 {
			return nil
		}
		return values
	}
	if values == nil {
		values = make(map[string]string)
	}
	values[key] = *value
	return values
}
