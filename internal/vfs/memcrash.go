package vfs

import (
	"maps"
	"math/rand/v2"
)

// Crash ends this file system as a power loss does: its handles answer ErrCrashed and its locks are gone. It returns
// what the disk holds afterwards, which is durable.
//
// What was synced is there. Of the rest, every file and directory draws its own fate from the seed: nothing, all, all
// up to some call, or calls here and there. A write that is kept can be torn, in sectors or at any byte, and one that
// is lost can still have moved the end of the file, over zeros. Two ends of one rename are kept or lost together,
// unless the directory of one of them was synced.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.die()
	c := &crash{rand: rand.New(rand.NewPCG(seed, 0)), space: &space{limit: unlimited}, seen: make(map[*node]bool)}
	c.overall = c.drawOverall()
	c.node(m.root)
	return m.next()
}

type crash struct {
	rand    *rand.Rand
	space   *space // without a limit: what is kept fitted
	seen    map[*node]bool
	overall fate // fateEach: every node draws its own
}

type fate int

const (
	fateNone    fate = iota // nothing unsynced is kept
	fateAll                 // everything is
	fatePrefix              // everything up to a call, which may be torn
	fateScatter             // calls here and there
	fateEach
)

func (c *crash) drawOverall() fate {
	switch c.rand.IntN(8) {
	case 0:
		return fateNone
	case 1:
		return fateAll
	}
	return fateEach
}

func (c *crash) node(n *node) {
	c.seen[n] = true
	if !n.dir {
		c.file(n)
		return
	}
	c.directory(n)
	for _, name := range n.names() {
		if child := n.entries[name]; !c.seen[child] {
			c.node(child)
		}
	}
}

func (c *crash) directory(d *node) {
	picked := c.pick(len(d.changes))
	for i, ch := range d.changes {
		keep := picked.keeps(c, i)
		if m := ch.move; m != nil {
			if !m.decided {
				m.decided, m.kept = true, keep
			}
			keep = m.kept
		}
		if keep {
			ch.apply(d.durable)
		}
	}
	d.changes = nil
	d.entries = maps.Clone(d.durable)
}

func (c *crash) file(n *node) {
	n.revert(c.space)
	picked := c.pick(len(n.ops))
	for i, o := range n.ops {
		b := n.opBytes[o.start:o.end]
		switch keep := picked.keeps(c, i); {
		case o.truncate && keep:
			n.cut(o.offset, c.space)
		case o.truncate:
		case keep && picked.tears(c, i):
			c.tear(n, b, o.offset)
		case keep:
			c.put(n, b, o.offset)
		case c.overall == fateEach && c.oneIn(4):
			n.size = max(n.size, o.offset+int64(len(b)))
		}
	}
	n.sync(c.space)
	n.recharge()
}

func (c *crash) put(n *node, b []byte, offset int64) {
	if _, err := n.put(b, offset, c.space); err != nil {
		panic("vfs: a crash has no limit: " + err.Error())
	}
}

// picks says which of a number of unsynced calls a crash keeps.
type picks struct {
	fate    fate
	cut     int // fatePrefix: the call at which it ends
	percent int // fateScatter: of the calls that are kept
}

func (c *crash) pick(calls int) picks {
	p := picks{fate: c.overall}
	if p.fate == fateEach {
		p.fate = []fate{fateNone, fateAll, fatePrefix, fatePrefix, fateScatter, fateScatter}[c.rand.IntN(6)]
	}
	switch p.fate {
	case fatePrefix:
		p.cut = c.rand.IntN(calls + 1)
	case fateScatter:
		p.percent = []int{10, 50, 90}[c.rand.IntN(3)]
	}
	return p
}

func (p picks) keeps(c *crash, i int) bool {
	switch p.fate {
	case fateAll:
		return true
	case fatePrefix:
		return i <= p.cut
	case fateScatter:
		return c.rand.IntN(100) < p.percent
	}
	return false
}

func (p picks) tears(c *crash, i int) bool {
	switch p.fate {
	case fatePrefix:
		return i == p.cut
	case fateScatter:
		return c.oneIn(4)
	}
	return false
}

func (c *crash) oneIn(n int) bool { return c.rand.IntN(n) == 0 }

// tear keeps a part of a write. The end of the file moves to the end of that part, or to that of the whole write.
func (c *crash) tear(n *node, b []byte, offset int64) {
	switch at := c.rand.IntN(len(b) + 1); c.rand.IntN(4) {
	case 0, 1:
		c.put(n, b[:at], offset)
	case 2:
		c.put(n, b[at:], offset+int64(at))
	default:
		c.sectors(n, b, offset)
	}
	if c.oneIn(2) {
		n.size = max(n.size, offset+int64(len(b)))
	}
}

func (c *crash) sectors(n *node, b []byte, offset int64) {
	for len(b) > 0 {
		part := b[:min(len(b), sectorSize-int(offset%sectorSize))]
		if c.oneIn(2) {
			c.put(n, part, offset)
		}
		b, offset = b[len(part):], offset+int64(len(part))
	}
}
