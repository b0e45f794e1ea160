package cluster

import (
	"iter"
	"maps"
	"slices"
)

// Delta is how one image differs from an earlier one, or from none. A topic that was deleted and made again under its
// name is both in Deleted and in Created, with two ids.
type Delta struct {
	Created []*Topic      // sorted by id
	Changed []TopicChange // partitions or settings, sorted by id
	Deleted []*Topic      // sorted by id
	Brokers []BrokerChange
	// Configs are the resources whose dynamic configs differ, sorted: those of created and deleted topics only if they
	// had any.
	Configs []Resource
}

// TopicChange is a topic before and after.
type TopicChange struct{ Old, New *Topic }

// BrokerChange is a registration before and after; nil where there was or is none.
type BrokerChange struct{ Old, New *Broker }

// Empty tells whether nothing differs.
func (d Delta) Empty() bool {
	return len(d.Created)+len(d.Changed)+len(d.Deleted)+len(d.Brokers)+len(d.Configs) == 0
}

// Diff compares two images of one cluster. It costs what has changed and the number of chunks, not the number of topics.
// A nil old is an empty cluster.
func Diff(old, next *Image) Delta {
	if old == nil {
		old = &Image{}
	}
	var d Delta
	diffTopics(&d, old.byID.chunks, next.byID.chunks)
	diffBrokers(&d, old.brokers, next.brokers)
	diffConfigs(&d, old.configs, next.configs)
	slices.SortFunc(d.Configs, compareResources)
	d.Configs = slices.Compact(d.Configs) // a topic made again comes twice
	return d
}

// diffTopics merges two lists sorted by id. Chunks that both sides share are passed over whole.
func diffTopics(d *Delta, old, next []*chunk[*Topic]) {
	a, b := cursor{chunks: old}, cursor{chunks: next}
	for {
		if a.sharesChunk(&b) {
			a.skipChunk()
			b.skipChunk()
			continue
		}
		x, y := a.topic(), b.topic()
		switch {
		case x == nil && y == nil:
			return
		case y == nil || x != nil && idProbe(y.ID)(x) < 0:
			d.deleted(x)
			a.step()
		case x == nil || x.ID != y.ID:
			d.created(y)
			b.step()
		default:
			if x != y {
				d.changed(x, y)
			}
			a.step()
			b.step()
		}
	}
}

func (d *Delta) deleted(t *Topic) {
	d.Deleted = append(d.Deleted, t)
	if len(t.Config) > 0 {
		d.Configs = append(d.Configs, Resource{TopicResource, t.Name})
	}
}

func (d *Delta) created(t *Topic) {
	d.Created = append(d.Created, t)
	if len(t.Config) > 0 {
		d.Configs = append(d.Configs, Resource{TopicResource, t.Name})
	}
}

func (d *Delta) changed(old, next *Topic) {
	d.Changed = append(d.Changed, TopicChange{old, next})
	if !maps.Equal(old.Config, next.Config) {
		d.Configs = append(d.Configs, Resource{TopicResource, next.Name})
	}
}

// cursor walks a list of chunks.
type cursor struct {
	chunks []*chunk[*Topic]
	place  int
}

func (c *cursor) topic() *Topic {
	if len(c.chunks) == 0 {
		return nil
	}
	return c.chunks[0].elements[c.place]
}

func (c *cursor) step() {
	if c.place++; c.place == len(c.chunks[0].elements) {
		c.skipChunk()
	}
}

func (c *cursor) skipChunk() { c.chunks, c.place = c.chunks[1:], 0 }

func (c *cursor) sharesChunk(other *cursor) bool {
	return len(c.chunks) > 0 && len(other.chunks) > 0 &&
		c.place == 0 && other.place == 0 && c.chunks[0] == other.chunks[0]
}

func diffBrokers(d *Delta, old, next []Broker) {
	for len(old) > 0 || len(next) > 0 {
		switch {
		case len(next) == 0 || len(old) > 0 && old[0].ID < next[0].ID:
			d.Brokers = append(d.Brokers, BrokerChange{Old: &old[0]})
			old = old[1:]
		case len(old) == 0 || next[0].ID < old[0].ID:
			d.Brokers = append(d.Brokers, BrokerChange{New: &next[0]})
			next = next[1:]
		default:
			if !old[0].equal(next[0]) {
				d.Brokers = append(d.Brokers, BrokerChange{Old: &old[0], New: &next[0]})
			}
			old, next = old[1:], next[1:]
		}
	}
}

func (b Broker) equal(o Broker) bool {
	return b.ID == o.ID && b.Epoch == o.Epoch && b.RegisteredAt == o.RegisteredAt && b.Incarnation == o.Incarnation &&
		b.Rack == o.Rack && b.Fenced == o.Fenced && b.Draining == o.Draining && b.Cordoned == o.Cordoned &&
		slices.Equal(b.Listeners, o.Listeners) && slices.Equal(b.Directories, o.Directories)
}

func diffConfigs(d *Delta, old, next map[Resource]map[string]string) {
	for r := range keysOfBoth(old, next) {
		if !maps.Equal(old[r], next[r]) {
			d.Configs = append(d.Configs, r)
		}
	}
}

func keysOfBoth[V any](a, b map[Resource]V) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for r := range a {
			if !yield(r) {
				return
			}
		}
		for r := range b {
			if _, ok := a[r]; !ok && !yield(r) {
				return
			}
		}
	}
}
