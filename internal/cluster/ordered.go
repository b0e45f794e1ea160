package cluster

import (
	"iter"
	"slices"
	"sort"
)

// chunkMax is how many elements a chunk holds before it is split. A change of one topic copies its chunk (4 KiB of
// pointers at most) and the list of chunks (8 bytes per 256 topics or so).
const chunkMax = 512

// ordered is a persistent sorted list: values of it share chunks, and an edit copies what it touches. The zero value is
// empty. The order is its caller's, by the probes it gives.
type ordered[T any] struct {
	chunks []*chunk[T]
	count  int
}

// chunk is never empty. Only the edit that owns it may change it, and that only until its image is published.
type chunk[T any] struct {
	owner    *edit
	elements []T
}

// edit marks the chunks that belong to an image under construction. It has a byte so that no two edits are one address.
type edit struct{ _ byte }

// probe compares an element with the key looked for: negative when the element comes before it.
type probe[T any] func(T) int

// seek returns the chunk and the place within it where the probed key is or would be inserted.
func (o *ordered[T]) seek(p probe[T]) (at, place int, found bool) {
	at = sort.Search(len(o.chunks), func(i int) bool {
		elements := o.chunks[i].elements
		return p(elements[len(elements)-1]) >= 0
	})
	if at == len(o.chunks) {
		if at == 0 {
			return 0, 0, false
		}
		at--
		return at, len(o.chunks[at].elements), false
	}
	elements := o.chunks[at].elements
	place = sort.Search(len(elements), func(i int) bool { return p(elements[i]) >= 0 })
	return at, place, place < len(elements) && p(elements[place]) == 0
}

func (o *ordered[T]) find(p probe[T]) (element T, found bool) {
	at, place, found := o.seek(p)
	if !found {
		return element, false
	}
	return o.chunks[at].elements[place], true
}

// all yields the elements from the probed key on, or every one when p is nil.
func (o *ordered[T]) all(p probe[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		at, place := 0, 0
		if p != nil {
			at, place, _ = o.seek(p)
		}
		for ; at < len(o.chunks); at, place = at+1, 0 {
			for _, e := range o.chunks[at].elements[place:] {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// begin returns a copy whose list of chunks may be changed.
func (o ordered[T]) begin() ordered[T] {
	o.chunks = slices.Clone(o.chunks)
	return o
}

// own returns the chunk, copied unless e made it.
func (o *ordered[T]) own(e *edit, at int) *chunk[T] {
	c := o.chunks[at]
	if c.owner != e {
		c = &chunk[T]{owner: e, elements: append(make([]T, 0, len(c.elements)+1), c.elements...)}
		o.chunks[at] = c
	}
	return c
}

// put inserts an element at the probed key, or replaces the one that is there.
func (o *ordered[T]) put(e *edit, p probe[T], element T) {
	if len(o.chunks) == 0 {
		o.chunks = []*chunk[T]{{owner: e, elements: []T{element}}}
		o.count = 1
		return
	}
	at, place, found := o.seek(p)
	c := o.own(e, at)
	if found {
		c.elements[place] = element
		return
	}
	c.elements = slices.Insert(c.elements, place, element)
	o.count++
	if len(c.elements) > chunkMax {
		half := len(c.elements) / 2
		right := &chunk[T]{owner: e, elements: slices.Clone(c.elements[half:])}
		c.elements = slices.Clone(c.elements[:half])
		o.chunks = slices.Insert(o.chunks, at+1, right)
	}
}

// remove takes the element at the probed key out.
func (o *ordered[T]) remove(e *edit, p probe[T]) {
	at, place, found := o.seek(p)
	if !found {
		return
	}
	o.count--
	c := o.own(e, at)
	c.elements = slices.Delete(c.elements, place, place+1)
	if len(c.elements) == 0 {
		o.chunks = slices.Delete(o.chunks, at, at+1)
	}
}
