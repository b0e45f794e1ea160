package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Three machines with model logs, a model controller and a network that delays and loses, driven by chance. What is
// checked after every step: an acknowledged record is in the flushed log of each replica that could be elected, and two
// logs are equal below the lesser high watermark.

const (
	clusterSeeds = 300
	clusterSteps = 1500
	modelMinISR  = 2
)

func TestNothingAcknowledgedIsLost(t *testing.T) {
	seeds := clusterSeeds
	if testing.Short() {
		seeds /= 5
	}
	var acked, cuts int
	for seed := range uint64(seeds) {
		c := newModelCluster(t, seed)
		for range clusterSteps {
			c.step()
			c.check()
		}
		c.settle()
		acked, cuts = acked+len(c.acked), cuts+c.cuts
	}
	t.Logf("%d records acknowledged, %d times a log was cut", acked, cuts)
	if acked < 10*seeds || cuts < seeds {
		t.Errorf("%d acknowledged, %d cuts: too little has happened to show anything", acked, cuts)
	}
}

type modelRecord struct {
	epoch int32
	value int
}

// modelNode is a broker with its disk. What is on disk outlives a crash: the first flushed records, more by chance, and
// some high watermark of before.
type modelNode struct {
	id          cluster.NodeID
	log         []modelRecord
	flushed     int
	savedHW     int64
	alive       bool
	brokerEpoch int64
	machine     Machine
	seen        int // images that it has applied
	waiting     []modelWait
}

// modelWait is a producer that waits for acks=all.
type modelWait struct {
	epoch  int32
	offset int
	value  int
}

type modelImage struct {
	Assignment
	brokers map[cluster.NodeID]modelBroker
}

type modelBroker struct {
	epoch int64
	alive bool
}

type modelCluster struct {
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	now      int64
	nodes    []*modelNode
	images   []modelImage // the last one is the controller's
	messages []func()     // on their way; run when they arrive
	acked    []modelWait
	values   int
	cuts     int
	trace    []string
}

func newModelCluster(t *testing.T, seed uint64) *modelCluster {
	c := &modelCluster{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1))}
	img := modelImage{
		Assignment: Assignment{Leader: 1, LeaderEpoch: 0, Replicas: ids(1, 2, 3), ISR: ids(1, 2, 3), MinISR: modelMinISR},
		brokers:    map[cluster.NodeID]modelBroker{},
	}
	for id := cluster.NodeID(1); id <= 3; id++ {
		img.brokers[id] = modelBroker{epoch: int64(id), alive: true}
	}
	c.images = []modelImage{img}
	for id := cluster.NodeID(1); id <= 3; id++ {
		n := &modelNode{id: id, alive: true, brokerEpoch: int64(id)}
		c.nodes = append(c.nodes, n)
		c.boot(n)
	}
	return c
}

func (c *modelCluster) failf(format string, args ...any) {
	c.t.Helper()
	for _, line := range c.trace[max(0, len(c.trace)-80):] {
		c.t.Log(line)
	}
	c.t.Fatalf("seed %d: %s", c.seed, fmt.Sprintf(format, args...))
}

func (c *modelCluster) note(format string, args ...any) {
	c.trace = append(c.trace, fmt.Sprintf(format, args...))
}

func (c *modelCluster) node() *modelNode { return c.nodes[c.rand.IntN(len(c.nodes))] }

func (c *modelCluster) newest() modelImage { return c.images[len(c.images)-1] }

// boot starts the machine of a node from its disk, with the newest image: it has registered.
func (c *modelCluster) boot(n *modelNode) {
	n.machine = New(Config{Self: n.id, LagMaxMs: 50}, Log{
		End: int64(len(n.log)), Flushed: int64(n.flushed), HighWatermark: min(n.savedHW, int64(len(n.log))),
	})
	n.waiting = nil
	n.seen = len(c.images) - 1
	c.applyNext(n)
}

func (c *modelCluster) applyNext(n *modelNode) {
	if !n.alive || n.seen == len(c.images) {
		return
	}
	img := c.images[n.seen]
	n.seen++
	c.carryOut(n, n.machine.Assigned(img.Assignment, c.now))
}

// publish makes an image; a leader that changes gets a new epoch.
func (c *modelCluster) publish(change func(*modelImage)) {
	next := c.newest()
	next.brokers = make(map[cluster.NodeID]modelBroker)
	for id, b := range c.newest().brokers {
		next.brokers[id] = b
	}
	change(&next)
	next.PartitionEpoch++
	c.images = append(c.images, next)
	c.note("image %d: leader %d epoch %d isr %v", next.PartitionEpoch, next.Leader, next.LeaderEpoch, next.ISR)
}

// elect chooses a leader from those in sync that are alive, the present one only with a new epoch.
func (img *modelImage) elect(pick func(n int) int) {
	var alive []cluster.NodeID
	for _, id := range img.ISR {
		if img.brokers[id].alive {
			alive = append(alive, id)
		}
	}
	if img.Leader, img.LeaderEpoch = -1, img.LeaderEpoch+1; len(alive) > 0 {
		img.Leader = alive[pick(len(alive))]
	}
}

// step lets one thing happen.
func (c *modelCluster) step() {
	n := c.node()
	switch dice := c.rand.IntN(1000); {
	case dice < 140:
		c.produce(n)
	case dice < 350:
		c.fetch(n)
	case dice < 780:
		c.deliver()
	case dice < 880:
		c.flush(n)
	case dice < 960:
		c.applyNext(n)
	case dice < 980:
		c.now += c.rand.Int64N(40)
		if n.alive {
			c.carryOut(n, n.machine.Tick(c.now))
		}
	case dice < 985:
		c.crash(n)
	case dice < 996:
		c.restart(n)
	default:
		c.publish(func(img *modelImage) { img.elect(c.rand.IntN) })
	}
}

func (c *modelCluster) send(message func()) {
	if c.rand.IntN(20) > 0 { // else it is lost
		c.messages = append(c.messages, message)
	}
}

func (c *modelCluster) deliver() {
	if len(c.messages) == 0 {
		return
	}
	i := c.rand.IntN(min(len(c.messages), 6)) // the oldest ones are the likeliest
	message := c.messages[i]
	c.messages = slices.Delete(c.messages, i, i+1)
	message()
}

func (c *modelCluster) produce(n *modelNode) {
	if !n.alive || !n.machine.IsLeader() || !n.machine.EnoughInSync() {
		return
	}
	c.values++
	n.log = append(n.log, modelRecord{n.machine.LeaderEpoch(), c.values})
	n.waiting = append(n.waiting, modelWait{n.machine.LeaderEpoch(), len(n.log) - 1, c.values})
	c.note("%d appends %d at %d in epoch %d", n.id, c.values, len(n.log)-1, n.machine.LeaderEpoch())
	c.carryOut(n, n.machine.Appended(int64(len(n.log)), int64(n.flushed)))
}

func (c *modelCluster) flush(n *modelNode) {
	if n.alive {
		n.flushed = len(n.log)
		c.carryOut(n, n.machine.FlushedTo(int64(n.flushed)))
	}
}

// crash loses what is not flushed, or the end of it.
func (c *modelCluster) crash(n *modelNode) {
	if !n.alive {
		return
	}
	n.alive = false
	kept := n.flushed + c.rand.IntN(len(n.log)-n.flushed+1)
	n.log, n.flushed = slices.Clone(n.log[:kept]), min(n.flushed, kept)
	n.savedHW = min(c.rand.Int64N(n.machine.HighWatermark()+1), int64(kept))
	c.note("%d crashes and keeps %d", n.id, kept)
	c.publish(func(img *modelImage) {
		img.brokers[n.id] = modelBroker{epoch: n.brokerEpoch}
		if img.Leader == n.id {
			img.elect(c.rand.IntN)
		}
	})
}

// restart registers a node anew. What recovery has found counts as flushed. One that led leads in a new epoch.
func (c *modelCluster) restart(n *modelNode) {
	if n.alive {
		return
	}
	n.alive, n.flushed = true, len(n.log)
	c.publish(func(img *modelImage) {
		n.brokerEpoch = int64(100 + len(c.images))
		img.brokers[n.id] = modelBroker{epoch: n.brokerEpoch, alive: true}
		if img.Leader == n.id || img.Leader < 0 {
			img.elect(c.rand.IntN)
		}
	})
	c.note("%d is back", n.id)
	c.boot(n)
}

// epochEnd is commitlog.EpochEndOffset of a model log: the epochs are those that have records, and a leader's own.
func (n *modelNode) epochEnd(epoch int32) EpochEnd {
	type entry struct {
		epoch int32
		start int
	}
	var entries []entry
	for at, r := range n.log {
		if len(entries) == 0 || entries[len(entries)-1].epoch != r.epoch {
			entries = append(entries, entry{r.epoch, at})
		}
	}
	if m := &n.machine; m.IsLeader() && (len(entries) == 0 || entries[len(entries)-1].epoch < m.LeaderEpoch()) {
		entries = append(entries, entry{m.LeaderEpoch(), len(n.log)})
	}
	if len(entries) == 0 || epoch > entries[len(entries)-1].epoch {
		return EpochEnd{-1, -1}
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].epoch > epoch {
			continue
		}
		if i == len(entries)-1 {
			return EpochEnd{entries[i].epoch, int64(len(n.log))}
		}
		return EpochEnd{entries[i].epoch, int64(entries[i+1].start)}
	}
	return EpochEnd{epoch, int64(entries[0].start)}
}

func (n *modelNode) epochAt(offset int64) int32 {
	if offset < 0 || offset >= int64(len(n.log)) {
		return -1
	}
	return n.log[offset].epoch
}

type modelRequest struct {
	Fetch
	lastEpoch int32 // as named, -1 when not
	endEpoch  int32 // of the last record
}

type modelAnswer struct {
	diverging *EpochEnd
	records   []modelRecord
	hw        int64
}

func (c *modelCluster) fetch(n *modelNode) {
	m := &n.machine
	if !n.alive || !m.Follows(m.LeaderEpoch()) {
		return
	}
	from, namesEpoch := m.FetchFrom()
	req := modelRequest{Fetch{ID: n.id, LeaderEpoch: m.LeaderEpoch(), BrokerEpoch: n.brokerEpoch, End: from, Flushed: m.Flushed()}, -1, n.epochAt(from - 1)}
	if namesEpoch {
		req.lastEpoch = req.endEpoch
	}
	leader, life := c.nodes[m.Leader()-1], n.brokerEpoch
	c.send(func() {
		answer, ok := c.serve(leader, req)
		if !ok {
			return
		}
		c.send(func() {
			now, _ := n.machine.FetchFrom()
			if n.alive && n.brokerEpoch == life && n.machine.Follows(req.LeaderEpoch) && now == req.End && n.epochAt(now-1) == req.endEpoch {
				c.take(n, answer)
			}
		})
	})
}

func (c *modelCluster) serve(leader *modelNode, req modelRequest) (modelAnswer, bool) {
	m := &leader.machine
	if !leader.alive || !m.IsLeader() || m.LeaderEpoch() != req.LeaderEpoch {
		return modelAnswer{}, false
	}
	if req.lastEpoch >= 0 {
		if e := leader.epochEnd(req.lastEpoch); e.Epoch < req.lastEpoch || e.EndOffset < req.End {
			return modelAnswer{diverging: &e}, true
		}
	}
	if req.End > int64(len(leader.log)) {
		return modelAnswer{}, false // out of range
	}
	b := c.images[leader.seen-1].brokers[req.ID]
	req.Eligible = b.alive && b.epoch == req.BrokerEpoch
	c.carryOut(leader, m.FollowerFetched(req.Fetch, c.now))
	records := leader.log[req.End:]
	return modelAnswer{records: slices.Clone(records[:c.rand.IntN(len(records)+1)]), hw: m.HighWatermark()}, true
}

func (c *modelCluster) take(n *modelNode, a modelAnswer) {
	m := &n.machine
	if a.diverging != nil {
		c.carryOut(n, m.Diverged(*a.diverging, n.epochEnd(a.diverging.Epoch), n.epochAt(m.HighWatermark()-1)))
		return
	}
	n.log = append(n.log, a.records...)
	m.Appended(int64(len(n.log)), int64(n.flushed))
	c.carryOut(n, m.LeaderAnswered(a.hw))
}

func (c *modelCluster) carryOut(n *modelNode, e Effects) {
	if e.LostLeadership {
		n.waiting = nil
	}
	if hw := n.machine.HighWatermark(); n.machine.IsLeader() {
		n.waiting = slices.DeleteFunc(n.waiting, func(w modelWait) bool {
			safe := w.epoch == n.machine.LeaderEpoch() && int64(w.offset) < hw
			if safe {
				c.note("%d acknowledges %d at %d", n.id, w.value, w.offset)
				c.acked = append(c.acked, w)
			}
			return safe
		})
	}
	if e.TruncateTo >= 0 {
		c.note("%d cuts from %d to %d", n.id, len(n.log), e.TruncateTo)
		n.log = n.log[:e.TruncateTo:e.TruncateTo]
		n.flushed = min(n.flushed, len(n.log))
		n.machine.Truncated(int64(len(n.log)), int64(n.flushed))
		c.cuts++
	}
	if e.Propose.ISR != nil {
		c.propose(n, e.Propose)
	}
}

// propose sends a change of the in-sync set until it is answered, each try and each answer of which may be lost.
func (c *modelCluster) propose(n *modelNode, change ISRChange) {
	life := n.brokerEpoch
	stillOpen := func() bool { return n.alive && n.brokerEpoch == life && n.machine.Proposed(change) }
	var try func()
	try = func() {
		c.messages = append(c.messages, func() { // the timer of the next try
			if stillOpen() {
				try()
			}
		})
		c.send(func() {
			taken, final := c.alter(n.id, life, change)
			c.send(func() {
				if !taken && final && stillOpen() {
					c.carryOut(n, n.machine.ProposalRefused(change))
				}
			})
		})
	}
	try()
}

// alter is the controller's AlterPartition. final tells that the change will never be made.
func (c *modelCluster) alter(leader cluster.NodeID, life int64, change ISRChange) (taken, final bool) {
	img := c.newest()
	if img.Leader != leader || img.LeaderEpoch != change.LeaderEpoch || img.PartitionEpoch != change.PartitionEpoch || img.brokers[leader].epoch != life {
		return false, false // its image says so
	}
	for _, m := range change.ISR {
		b := img.brokers[m.ID]
		if m.ID != leader && !slices.Contains(img.ISR, m.ID) && (!b.alive || m.BrokerEpoch != b.epoch) {
			return false, true
		}
	}
	c.publish(func(img *modelImage) { img.ISR = members(change) })
	return true, true
}

func (c *modelCluster) check() {
	c.t.Helper()
	img := c.newest()
	for _, w := range c.acked[max(0, len(c.acked)-40):] {
		for _, id := range img.ISR {
			n := c.nodes[id-1]
			if w.offset >= n.flushed || n.log[w.offset].value != w.value {
				c.failf("record %d at %d was acknowledged; replica %d of the in-sync set %v has %v, flushed to %d", w.value, w.offset, id, img.ISR, n.log, n.flushed)
			}
		}
	}
	for i, a := range c.nodes {
		for _, b := range c.nodes[i+1:] {
			if !a.alive || !b.alive {
				continue
			}
			for at := range min(a.machine.HighWatermark(), b.machine.HighWatermark()) {
				if a.log[at] != b.log[at] {
					c.failf("below both high watermarks, at %d, %d has %v and %d has %v", at, a.id, a.log[at], b.id, b.log[at])
				}
			}
		}
	}
}

// settle ends all faults: every record that was acknowledged is then in every log, and the logs are equal.
func (c *modelCluster) settle() {
	for _, n := range c.nodes {
		c.restart(n)
	}
	for range 200 {
		for _, n := range c.nodes {
			for n.seen < len(c.images) {
				c.applyNext(n)
			}
			c.flush(n)
			c.fetch(n)
		}
		for len(c.messages) > 0 && c.rand.IntN(50) > 0 {
			c.deliver()
		}
	}
	first := c.nodes[0]
	for _, n := range c.nodes {
		if !slices.Equal(n.log, first.log) || n.machine.HighWatermark() != int64(len(n.log)) {
			c.failf("at rest %d has %d records, %d committed; %d has %d records", n.id, len(n.log), n.machine.HighWatermark(), first.id, len(first.log))
		}
	}
	for _, w := range c.acked {
		if w.offset >= len(first.log) || first.log[w.offset].value != w.value {
			c.failf("record %d at %d was acknowledged and is gone", w.value, w.offset)
		}
	}
}
