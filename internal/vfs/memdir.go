package vfs

import "time"

// directory is the entries of a directory node: what is seen, what is durable, and what leads from there to here.
type directory struct {
	entries map[string]*node
	durable map[string]*node
	changes []change
}

// change is one step of a directory: a name leads to a node, or to nothing.
type change struct {
	name string
	node *node // nil: removed
	move *move // not nil: one half of a rename, which a crash keeps or drops as a whole
}

// move ties the two halves of a rename. Once one of them is durable on its own (SyncDir of one directory of two), the
// other one is still at the mercy of the crash.
type move struct {
	decided, kept bool
}

// setEntry makes name lead to n, or to nothing. The space is needed only where a file can go.
func (d *node) setEntry(name string, n *node, s *space) {
	d.change(change{name: name, node: n}, s)
}

func moveEntry(from *node, oldname string, to *node, newname string, s *space) {
	n, m := from.entries[oldname], &move{}
	to.change(change{name: newname, node: n, move: m}, s)
	from.change(change{name: oldname, move: m}, s)
}

func (d *node) change(c change, s *space) {
	old := d.entries[c.name]
	c.apply(d.entries)
	if c.node != nil {
		c.node.links++
	}
	if old != nil {
		old.links--
		old.unref(s)
	}
	d.modTime = time.Now()
	d.changes = append(d.changes, c)
	if len(d.changes) >= pendingOpsMax {
		d.syncEntries()
	}
}

func (c change) apply(entries map[string]*node) {
	if c.node == nil {
		delete(entries, c.name)
		return
	}
	entries[c.name] = c.node
}

func (d *node) removeEntries(s *space) {
	for _, name := range d.names() {
		d.entries[name].removeEntries(s)
		d.setEntry(name, nil, s)
	}
}

func (d *node) syncEntries() {
	for _, c := range d.changes {
		c.apply(d.durable)
	}
	clear(d.changes)
	d.changes = d.changes[:0]
}
