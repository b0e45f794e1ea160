package broker

import (
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// Reads from followers (KIP-392). A consumer that says where it is (client.rack) and asks a leader elsewhere is told of an
// in-sync replica in its rack, and asks that one from then on. As in Kafka with its rack-aware selector; here it is on
// whenever clients and brokers say their racks.

// copyFetchVersion is the first version whose clients may read from a follower, and know what its errors mean.
const copyFetchVersion = 11

// anyCopy tells whether a follower may answer the request.
func (c *fetchCall) anyCopy() bool {
	return c.req.ReplicaID == partition.Consumer && c.req.Version >= copyFetchVersion || c.req.ReplicaID == partition.Debugger
}

// preferredCopy returns the replica in the client's rack that the client should read from instead of this leader: the one
// that has most; -1 for none.
func (c *fetchCall) preferredCopy(f *fetched, want *wire.FetchPartition) cluster.NodeID {
	const none cluster.NodeID = -1
	if c.req.Rack == "" || c.req.ReplicaID != partition.Consumer || f.read.Diverging != nil {
		return none
	}
	if self, ok := c.img.Broker(c.b.cfg.NodeID); !ok || self.Rack == c.req.Rack {
		return none
	}
	preferred, most := none, int64(-1)
	for _, id := range f.topic.Partitions[want.Partition].Replicas {
		b, ok := c.img.Broker(id)
		if !ok || b.Rack != c.req.Rack || !b.Live() {
			continue
		}
		if _, reachable := b.Endpoint(c.r.Conn.Listener); !reachable {
			continue
		}
		if end, ok := f.partition.InSyncFrom(id, want.FetchOffset); ok && end > most {
			preferred, most = id, end
		}
	}
	return preferred
}
