package ops

import (
	"slices"
	"sync/atomic"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Changes counts what happens to partitions in the cluster, as this node's images tell it. The zero value is ready.
type Changes struct {
	elections, unclean  atomic.Int64
	isrShrinks, isrGrew atomic.Int64
}

// Applied counts the difference between two images. Calls must be in the order of the images; the first one, from
// nothing to what the log holds, is no change of anything.
func (c *Changes) Applied(d cluster.Delta) {
	for _, t := range d.Changed {
		for i := range min(len(t.Old.Partitions), len(t.New.Partitions)) {
			c.partition(&t.Old.Partitions[i], &t.New.Partitions[i])
		}
	}
}

func (c *Changes) partition(before, after *cluster.Partition) {
	if after.Leader != before.Leader && after.Leader != cluster.NoLeader {
		c.elections.Add(1)
	}
	if after.UncleanEpoch != before.UncleanEpoch {
		c.unclean.Add(1)
	}
	if slices.ContainsFunc(before.ISR, func(id cluster.NodeID) bool { return !slices.Contains(after.ISR, id) }) {
		c.isrShrinks.Add(1)
	}
	if slices.ContainsFunc(after.ISR, func(id cluster.NodeID) bool { return !slices.Contains(before.ISR, id) }) {
		c.isrGrew.Add(1)
	}
}
