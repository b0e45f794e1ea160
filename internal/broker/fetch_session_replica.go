package broker

import "github.com/logbahn/logbahn/internal/partition"

// A replica's session has thousands of partitions, most of them quiet. Its fetches look at those only that they name and
// those that have changed since they were looked at last: records were appended, the high watermark has moved, the leader
// is another one.

// copiedPartitions is what a replica's session watches. The map is guarded by the session's lock.
type copiedPartitions struct {
	changes     *partition.Changes
	byPartition map[*partition.Partition]*sessionPartition
}

func newCopiedPartitions() *copiedPartitions {
	return &copiedPartitions{changes: partition.NewChanges(), byPartition: make(map[*partition.Partition]*sessionPartition)}
}

// close ends the watching. A session that is gone already, or none, has nothing to close.
func (s *fetchSession) close() {
	if s != nil && s.copied != nil {
		s.copied.changes.Close()
	}
}

// changedLocked adds to the items what has changed and is not among them.
func (s *fetchSession) changedLocked(items []fetchItem) []fetchItem {
	there := make(map[*sessionPartition]bool, len(items))
	for i := range items {
		there[items[i].remembered] = true
	}
	for _, changed := range s.copied.changes.Take() {
		if p := s.copied.byPartition[changed]; p != nil && !there[p] {
			items = append(items, fetchItem{key: p.key, want: p.want, remembered: p, told: p.err})
		}
	}
	return items
}

// watchLocked makes at the partition of p that is watched, none when it is nil.
func (s *fetchSession) watchLocked(p *sessionPartition, at *partition.Partition) {
	if s.copied == nil || p.partition == at {
		return
	}
	if p.partition != nil {
		s.copied.changes.Unwatch(p.partition)
		delete(s.copied.byPartition, p.partition)
	}
	if p.partition = at; at != nil {
		s.copied.byPartition[at] = p
	}
}

// watch watches what the items were found to be, from the read on that found them, or from now on when none has yet. A
// client's session watches nothing.
func (s *fetchSession) watch(items []fetchItem, found []fetched) {
	if s.copied == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range items {
		p, at := items[i].remembered, found[i].partition
		if isNew := p.partition != at && at != nil; !isNew {
			s.watchLocked(p, at)
			continue
		}
		s.watchLocked(p, at)
		s.copied.changes.Watch(at, found[i].read.Version)
	}
}

// awaitsChanges tells whether the call is a replica's that has a session, which says what has changed.
func (c *fetchCall) awaitsChanges() bool { return c.session != nil && c.session.copied != nil }

// addChanged takes in what has changed while the call waits.
func (c *fetchCall) addChanged() {
	c.session.mu.Lock()
	items := c.session.changedLocked(c.items)
	c.session.mu.Unlock()
	more := len(c.found)
	c.items = items
	c.found = append(c.found, make([]fetched, len(items)-more)...)
	c.resolve(more)
}

// markOpen sees to it that the next request looks again at what this one had no room for, and where the replica is not in
// sync: it may be let in when the image says so, which is no change of the partition.
func (c *fetchCall) markOpen(s *fetchSession) {
	if s == nil || s.copied == nil {
		return
	}
	for i := range c.found {
		f := &c.found[i]
		if f.partition == nil {
			continue
		}
		unread := f.read.Chunk.Size() == 0 && f.partition.EndOffset() > c.items[i].want.FetchOffset
		if unread || !f.partition.InSync(c.req.ReplicaID) {
			s.copied.changes.Mark(f.partition)
		}
	}
}
