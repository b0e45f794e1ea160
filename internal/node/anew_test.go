package node

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition"
)

// A replica whose log is found corrupt while its broker runs is copied anew, whether it follows or leads.
func TestCorruptReplicaIsCopiedAnew(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	c.createTopic(c.nodes[1], "rides", 1, 3)
	values := []string{"a", "b"}
	c.produce("rides", values...)
	for _, next := range []string{"c", "d"} {
		c.eventually(c.nodes[1], "all are in sync", inSync("rides", 3))
		topic, _ := c.nodes[1].quorum.Image().Topic("rides")
		at := int(topic.Partitions[0].Leader)
		if next == "c" {
			at = c.other(at)
		}
		corrupt := c.replica(at, "rides")
		corrupt.Log().Condemn(&commitlog.CorruptionError{File: "of this test"})
		c.until("the replica is another one", func() bool {
			p, there := c.nodes[at].set.Get("rides", 0)
			return there && p != corrupt && p.Offline() == nil
		})
		c.eventually(c.nodes[at], "the copy is in sync", inSync("rides", 3))
		if got := c.replica(at, "rides").EndOffset(); got < int64(len(values)) {
			t.Errorf("the copy of node %d is in sync and ends at %d, want %d", at, got, len(values))
		}
		c.produce("rides", next)
		values = append(values, next)
		if got := c.consume("rides", len(values)); !slices.Equal(got, values) {
			t.Errorf("consumed %v, want %v", got, values)
		}
	}
}

func (c *testCluster) replica(id int, topic string) *partition.Partition {
	c.t.Helper()
	p, ok := c.nodes[id].set.Get(topic, 0)
	if !ok {
		c.t.Fatalf("node %d has no replica of %s", id, topic)
	}
	return p
}
