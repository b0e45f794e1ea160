package cluster

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Bounds of one list of changes of a snapshot, so that nobody holds the encoding of a whole cluster at once.
const (
	snapshotPartitionsMax = 1024
	snapshotChangesMax    = 256
)

// Snapshot yields the changes that make the image out of an empty one, in lists of bounded length. Restore reads them.
// Equal images yield equal lists.
func (m *Image) Snapshot() iter.Seq[[]Change] {
	return func(yield func([]Change) bool) {
		s := snapshotter{yield: yield}
		for _, b := range slices.SortedFunc(slices.Values(m.brokers), byEpoch) {
			s.add(RegisterBroker{Broker: b}, 0)
		}
		s.add(ReserveBrokerEpochs{m.nextBrokerEpoch}, 0)
		s.add(AllocateProducerIDs{BrokerID: NoLeader, BrokerEpoch: -1, Next: m.nextProducerID}, 0)
		for _, r := range m.ConfiguredResources() {
			values := m.configs[r]
			for _, key := range slices.Sorted(maps.Keys(values)) {
				s.add(SetConfig{r, key, new(values[key])}, 0)
			}
		}
		for t := range m.Topics() {
			s.topic(t)
		}
		s.flush()
	}
}

// byEpoch is the order in which brokers registered: the only one in which they can do so again.
func byEpoch(a, b Broker) int { return cmp.Compare(a.Epoch, b.Epoch) }

// snapshotter gathers changes until there is enough of them.
type snapshotter struct {
	yield      func([]Change) bool
	list       []Change
	partitions int
	stopped    bool
}

func (s *snapshotter) add(c Change, partitions int) {
	s.list = append(s.list, c)
	s.partitions += partitions
	if len(s.list) >= snapshotChangesMax || s.partitions >= snapshotPartitionsMax {
		s.flush()
	}
}

func (s *snapshotter) flush() {
	if len(s.list) > 0 && !s.stopped {
		s.stopped = !s.yield(s.list)
	}
	s.list, s.partitions = nil, 0
}

func (s *snapshotter) topic(t *Topic) {
	if s.stopped {
		return
	}
	head := *t
	head.Partitions = t.Partitions[:min(len(t.Partitions), snapshotPartitionsMax)]
	s.add(CreateTopic{head}, len(head.Partitions))
	for first := len(head.Partitions); first < len(t.Partitions); {
		end := min(len(t.Partitions), first+snapshotPartitionsMax)
		s.add(CreatePartitions{t.ID, int32(first), t.Partitions[first:end]}, end-first)
		first = end
	}
}

// Restore makes an image out of the lists that Snapshot yielded. Its first error is returned; one of a list that does
// not fit wraps ErrInvalidChange.
func Restore(clusterID string, offset int64, epoch int32, lists iter.Seq2[[]Change, error]) (*Image, error) {
	b := newBuilder(NewImage(clusterID))
	for list, err := range lists {
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if err := c.apply(b); err != nil {
				return nil, fmt.Errorf("%w: %T in a snapshot: %w", ErrInvalidChange, c, err)
			}
		}
	}
	b.next.offset, b.next.epoch = offset, epoch
	return b.next, nil
}
