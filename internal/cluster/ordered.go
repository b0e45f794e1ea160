package cluster

import (
	"iter"
	"slices"
	"sort"
)

// chunkTopicsMax is how many topics a chunk holds before it is split. A change of one topic copies its chunk (4 KiB of
// pointers at most) and the list of chunks (8 bytes per 256 topics or so).
const chunkTopicsMax = 512

// ordered is a persistent sorted list of topics: values of it share chunks, and an edit copies what it touches. The
// zero value is empty. The order is its caller's, by the probes it gives.
type ordered struct {
	chunks []*chunk
	count  int
}

// chunk is never empty. Only the edit that owns it may change it, and that only until its image is published.
type chunk struct {
	owner  *edit
	topics []*Topic
}

// edit marks the chunks that belong to an image under construction. It has a byte so that no two edits are one address.
type edit struct{ _ byte }

// probe compares the key looked for with a topic's: negative when the topic comes before it.
type probe func(*Topic) int

// seek returns the chunk and the place within it where the probed key is or would be inserted.
func (o *ordered) seek(p probe) (at, place int, found bool) {
	at = sort.Search(len(o.chunks), func(i int) bool {
		topics := o.chunks[i].topics
		return p(topics[len(topics)-1]) >= 0
	})
	if at == len(o.chunks) {
		if at == 0 {
			return 0, 0, false
		}
		at--
		return at, len(o.chunks[at].topics), false
	}
	topics := o.chunks[at].topics
	place = sort.Search(len(topics), func(i int) bool { return p(topics[i]) >= 0 })
	return at, place, place < len(topics) && p(topics[place]) == 0
}

func (o *ordered) find(p probe) (*Topic, bool) {
	at, place, found := o.seek(p)
	if !found {
		return nil, false
	}
	return o.chunks[at].topics[place], true
}

// all yields the topics from the probed key on, or every one when p is nil.
func (o *ordered) all(p probe) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		at, place := 0, 0
		if p != nil {
			at, place, _ = o.seek(p)
		}
		for ; at < len(o.chunks); at, place = at+1, 0 {
			for _, t := range o.chunks[at].topics[place:] {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// begin returns a copy whose list of chunks may be changed.
func (o ordered) begin() ordered {
	o.chunks = slices.Clone(o.chunks)
	return o
}

// own returns the chunk, copied unless e made it.
func (o *ordered) own(e *edit, at int) *chunk {
	c := o.chunks[at]
	if c.owner != e {
		c = &chunk{owner: e, topics: append(make([]*Topic, 0, len(c.topics)+1), c.topics...)}
		o.chunks[at] = c
	}
	return c
}

// put inserts t at the probed key, or replaces the topic that is there.
func (o *ordered) put(e *edit, p probe, t *Topic) {
	if len(o.chunks) == 0 {
		o.chunks = []*chunk{{owner: e, topics: []*Topic{t}}}
		o.count = 1
		return
	}
	at, place, found := o.seek(p)
	c := o.own(e, at)
	if found {
		c.topics[place] = t
		return
	}
	c.topics = slices.Insert(c.topics, place, t)
	o.count++
	if len(c.topics) > chunkTopicsMax {
		half := len(c.topics) / 2
		right := &chunk{owner: e, topics: slices.Clone(c.topics[half:])}
		c.topics = slices.Clone(c.topics[:half])
		o.chunks = slices.Insert(o.chunks, at+1, right)
	}
}

// remove takes the topic at the probed key out.
func (o *ordered) remove(e *edit, p probe) {
	at, place, found := o.seek(p)
	if !found {
		return
	}
	o.count--
	c := o.own(e, at)
	c.topics = slices.Delete(c.topics, place, place+1)
	if len(c.topics) == 0 {
		o.chunks = slices.Delete(o.chunks, at, at+1)
	}
}
