package broker

import (
	"math"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetches of replicas. They read to the end of the log, say what the replica has, and count towards the in-sync set and
// the high watermark; they are no traffic of clients and take nothing of the clients' memory. They are answered when there
// are records, when the high watermark has moved, or when the replica's next request is there: it comes early to report
// what has been flushed (FlushedOffset), and asks for no records then.

// follower is what the image says of the replica that fetches.
type follower struct {
	// known: it is registered.
	known bool
	// stale: it has been registered anew since the life that fetches (KIP-903).
	stale bool
	// eligible: it may be in sync, being alive, not draining, and in the life that the image knows (KIP-841, KIP-903).
	eligible bool
}

func followerOf(img *cluster.Image, req *wire.FetchRequest) follower {
	if req.ReplicaID < 0 {
		return follower{}
	}
	b, known := img.Broker(req.ReplicaID)
	return follower{
		known:    known,
		stale:    known && req.ReplicaEpoch >= 0 && req.ReplicaEpoch < b.Epoch,
		eligible: known && b.Live() && (req.ReplicaEpoch == b.Epoch || req.ReplicaEpoch < 0),
	}
}

// nextAfter returns the channel that tells of a replica's next request, or of a proxy's, nil for clients, which may send
// ahead.
func nextAfter(conn *Conn, req *wire.FetchRequest) <-chan struct{} {
	if req.ReplicaID < 0 && !conn.Proxied || conn.Next == nil {
		return nil
	}
	next := conn.Next()
	select {
	case <-next: // this request's own
	default:
	}
	return next
}

func (c *fetchCall) isReplica() bool { return c.req.ReplicaID >= 0 }

// mayHaveSession tells whether a session may be made. Those of replicas are not bounded but by the number of brokers: who
// only says that it is one has none.
func (c *fetchCall) mayHaveSession() bool { return !c.isReplica() || c.follower.known }

// reportsOnly tells that a replica wants no records, not even a first batch.
func (c *fetchCall) reportsOnly() bool { return c.isReplica() && c.req.MaxBytes == 0 }

// countFollower tells the partition, once, what the replica has.
func (c *fetchCall) countFollower(f *fetched, want *wire.FetchPartition) {
	if !c.isReplica() || f.counted {
		return
	}
	f.counted = true
	f.partition.FollowerFetched(replica.Fetch{
		ID: c.req.ReplicaID, LeaderEpoch: f.read.LeaderEpoch, BrokerEpoch: c.req.ReplicaEpoch, Copy: want.Copy,
		Start: want.LogStartOffset, End: want.FetchOffset, Flushed: max(want.FlushedOffset, 0), Eligible: c.follower.eligible,
	})
	f.reply.HighWatermark = max(f.reply.HighWatermark, f.partition.HighWatermark())
	f.reply.LastStableOffset = f.reply.HighWatermark
}

// tellsLoss tells whether a replica says that its records are lost, and reads nothing.
func (c *fetchCall) tellsLoss(want *wire.FetchPartition) bool {
	return c.isReplica() && want.FetchOffset == wire.LostOffset && want.Copy > 0
}

// forget answers that.
func (c *fetchCall) forget(f *fetched, want *wire.FetchPartition) {
	forgotten, err := f.partition.FollowerLost(replica.Loss{
		ID: c.req.ReplicaID, LeaderEpoch: want.CurrentLeaderEpoch, BrokerEpoch: c.req.ReplicaEpoch, Copy: want.Copy,
	})
	f.read.Chunk = commitlog.Chunk{}
	f.reply = wire.NewFetchPartitionReply(want.Partition)
	f.reply.Error, f.reply.Forgotten = c.code(f, err), forgotten
}

// isNewsToFollower tells whether a replica does not know the high watermark yet that the reply has, or where the log begins.
func (c *fetchCall) isNewsToFollower(item *fetchItem, f *fetched) bool {
	if !c.isReplica() || item.want.HighWatermark == math.MaxInt64 {
		return false
	}
	told, start := item.want.HighWatermark, item.want.LogStartOffset
	if item.remembered != nil {
		told, start = max(told, item.remembered.highWatermark), max(start, item.remembered.logStart)
	}
	return f.reply.HighWatermark > told || f.reply.LogStartOffset > start
}
