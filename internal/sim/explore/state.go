package explore

import (
	"encoding/binary"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
)

const brokers = 3 // with the node ids 1, 2 and 3, which are their places in state.nodes plus one

// state is a whole cluster at one moment. A copy made by clone shares with the original only what is never written to.
type state struct {
	nodes [brokers]node
	// images are those that not every living broker has seen, the newest last; the newest is the controller's.
	images []*cluster.Image
	// proposals are on their way to the controller.
	proposals []proposal
	// committed are the records that some leader has had below its high watermark, by offset.
	committed []entry

	// What may still happen.
	records, kills, powerLosses, fences, lags, duplicates, rots int
}

// node is one broker.
type node struct {
	up      bool
	machine replica.Machine
	log     model
	// checkpoint is the high watermark that a run ended with.
	checkpoint int64
	epoch      int64 // of the registration of this run, or of the last one
	rotten     bool  // its log is corrupt, and takes no part any more
	copy       int32 // how often the log was begun anew in this run
	forgotten  forgotten
	seen       int // which of state.images it has applied
}

// proposal is an AlterPartition request on its way.
type proposal struct {
	from        cluster.NodeID
	brokerEpoch int64
	change      replica.ISRChange
}

func (s *state) clone() *state {
	c := *s
	for i := range c.nodes {
		c.nodes[i].machine = s.nodes[i].machine.Clone()
	}
	c.images, c.proposals, c.committed = slices.Clone(s.images), slices.Clone(s.proposals), slices.Clone(s.committed)
	return &c
}

// newest is the controller's image.
func (s *state) newest() *cluster.Image { return s.images[len(s.images)-1] }

func (s *state) node(id cluster.NodeID) *node { return &s.nodes[id-1] }

// image is the one that a node has applied.
func (s *state) image(n *node) *cluster.Image { return s.images[n.seen] }

// publish makes an image the newest.
func (s *state) publish(img *cluster.Image) { s.images = append(s.images, img) }

// forget drops the images that every living broker has applied a later one of.
func (s *state) forget() {
	least := len(s.images) - 1
	for i := range s.nodes {
		if s.nodes[i].up {
			least = min(least, s.nodes[i].seen)
		}
	}
	s.images = slices.Clone(s.images[least:])
	for i := range s.nodes {
		s.nodes[i].seen = max(s.nodes[i].seen-least, 0)
	}
}

// partitionOf is the one partition there is.
func partitionOf(img *cluster.Image) *cluster.Partition {
	t, _ := img.Topic(topic)
	return &t.Partitions[0]
}

// appendState is what two equal states have in common.
func (s *state) appendState(dst []byte) []byte {
	for i := range s.nodes {
		n := &s.nodes[i]
		up := byte(0)
		if n.up {
			up = 1
			if n.rotten {
				up = 2
			}
			dst = n.machine.AppendState(dst)
		}
		dst = append(dst, byte(n.forgotten.leaderEpoch), byte(n.forgotten.partitionEpoch))
		if n.forgotten.given {
			up |= 4
		}
		dst = n.log.appendState(append(dst, up, byte(n.copy), byte(n.checkpoint), byte(n.epoch), byte(n.seen)))
	}
	dst = append(dst, byte(len(s.images)), byte(len(s.proposals)), byte(len(s.committed)))
	for _, img := range s.images {
		dst = appendImage(dst, img)
	}
	for _, p := range s.proposals {
		dst = append(dst, byte(p.from), byte(p.brokerEpoch), byte(p.change.LeaderEpoch), byte(p.change.PartitionEpoch))
		for _, m := range p.change.ISR {
			dst = append(dst, byte(m.ID), byte(m.BrokerEpoch))
		}
		dst = append(dst, 0)
	}
	for _, e := range s.committed {
		dst = append(dst, byte(e.epoch), e.value)
	}
	return append(dst, byte(s.records), byte(s.kills), byte(s.powerLosses), byte(s.fences), byte(s.lags), byte(s.duplicates), byte(s.rots))
}

func appendImage(dst []byte, img *cluster.Image) []byte {
	p := partitionOf(img)
	dst = append(dst, byte(p.Leader), byte(p.LeaderEpoch), byte(p.PartitionEpoch), byte(p.UncleanEpoch))
	for _, set := range [][]cluster.NodeID{p.ISR, p.ELR, p.LastKnownELR} {
		dst = append(dst, byte(len(set)))
		for _, id := range set {
			dst = append(dst, byte(id))
		}
	}
	for _, b := range img.Brokers() {
		flags := byte(0)
		if b.Fenced {
			flags = 1
		}
		dst = binary.AppendVarint(append(dst, byte(b.ID), flags), b.Epoch)
	}
	return dst
}
