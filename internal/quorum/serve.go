package quorum

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetch serves the committed part of the metadata log, as Kafka's voters serve it to observers (KIP-595): any node may be
// asked, and answers with the leader that it knows. It waits as the request allows while there is nothing to tell.
func (q *Quorum) Fetch(ctx context.Context, req *wire.FetchRequest) *wire.FetchResponse {
	resp := &wire.FetchResponse{Version: req.Version}
	if req.ClusterID != nil && *req.ClusterID != q.cfg.ClusterID {
		resp.Error = wire.InconsistentClusterID
		return resp
	}
	if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 || req.Topics[0].Partitions[0].Partition != 0 {
		resp.Error = wire.InvalidRequest
		return resp
	}
	topic := &req.Topics[0]
	reply := q.serve(ctx, req, &topic.Partitions[0])
	resp.Topics = []wire.FetchTopicReply{{
		Topic: topic.Topic, TopicID: topic.TopicID, Partitions: []wire.FetchPartitionReply{reply},
	}}
	return resp
}

// serveWaitMax bounds how long a fetch of the metadata waits for news, whatever it asks for.
const serveWaitMax = 30 * time.Second

func (q *Quorum) serve(ctx context.Context, req *wire.FetchRequest, want *wire.FetchPartition) wire.FetchPartitionReply {
	timer := time.NewTimer(min(time.Duration(req.MaxWaitMillis)*time.Millisecond, serveWaitMax))
	defer timer.Stop()
	for first := true; ; first = false {
		changed := q.progressed.raised()
		status := q.status.Load()
		if req.ReplicaID >= 0 && first {
			q.observers.saw(Voter{NodeID: req.ReplicaID, DirectoryID: want.ReplicaDirectoryID}, want.FetchOffset, status.HighWatermark, q.now())
		}
		reply, news := q.read(status, want, min(req.MaxBytes, want.PartitionMaxBytes, fetchBytesMax))
		if news {
			return reply
		}
		select {
		case <-changed:
			if now := q.status.Load(); now.Leader != status.Leader || now.Epoch != status.Epoch {
				reply.CurrentLeader = wire.CurrentLeader{LeaderID: now.Leader, LeaderEpoch: now.Epoch}
				return reply
			}
		case <-timer.C:
			return reply
		case <-ctx.Done():
			return reply
		case <-q.stop:
			return reply
		}
	}
}

// read reads what is committed from an offset on; news is false when there is nothing that a fetch waits for.
func (q *Quorum) read(s *Status, want *wire.FetchPartition, bytesMax int32) (reply wire.FetchPartitionReply, news bool) {
	log, offset := q.cfg.Log, want.FetchOffset
	reply = wire.NewFetchPartitionReply(0)
	reply.HighWatermark, reply.LastStableOffset, reply.LogStartOffset = s.HighWatermark, s.HighWatermark, log.StartOffset()
	reply.CurrentLeader = wire.CurrentLeader{LeaderID: s.Leader, LeaderEpoch: s.Epoch}
	start := log.StartOffset()
	switch {
	case offset < 0:
		reply.Error = wire.OffsetOutOfRange
		return reply, true
	case offset > s.HighWatermark:
		// This node is behind, or the other one has what was never committed: only who leads and knows what is can tell.
		if s.Leading && offset > log.EndOffset() {
			reply.DivergingEpoch = wire.EpochEnd{Epoch: log.LatestEpoch(), EndOffset: s.HighWatermark}
			return reply, true
		}
		return reply, false
	case offset < start || offset == start && start > 0: // what comes before start cannot be compared
		id := q.storage.newest.Load()
		if id == nil || id.EndOffset <= offset {
			reply.Error = wire.OffsetOutOfRange
			return reply, true
		}
		reply.SnapshotID = *id
		return reply, true
	case offset > 0 && want.LastFetchedEpoch >= 0 && log.EpochAt(offset-1) != want.LastFetchedEpoch:
		epoch, end := log.EpochEndOffset(want.LastFetchedEpoch, s.HighWatermark)
		if epoch < 0 && log.EpochAt(offset-1) < 0 { // a snapshot is taking the place of the log just now
			reply.Error = wire.OffsetNotAvailable
			return reply, true
		}
		reply.DivergingEpoch = wire.EpochEnd{Epoch: max(epoch, 0), EndOffset: min(max(end, 0), offset-1)}
		return reply, true
	case offset == s.HighWatermark:
		return reply, want.HighWatermark < offset // a follower that may not know how far entries are committed
	}
	records, err := q.readCommitted(offset, s.HighWatermark, int(bytesMax))
	if err != nil {
		q.log.Warn("the metadata log cannot be read for another node", "offset", offset, "err", err)
		reply.Error = wire.KafkaStorageError
		if errors.Is(err, commitlog.ErrOffsetOutOfRange) {
			reply.Error = wire.OffsetOutOfRange // the log was cut meanwhile: ask again
		}
		return reply, true
	}
	reply.Records = records
	return reply, true
}

// lastRead is what was read last for another node. What is committed does not change: it is good for every fetch of its offset.
type lastRead struct {
	offset  int64
	records wire.RecordBytes
}

// readCommitted reads from an offset on, for many nodes once: after each change all that wait for it ask for the same.
func (q *Quorum) readCommitted(offset, end int64, bytesMax int) (wire.RecordBytes, error) {
	if last := q.lastRead.Load(); last != nil && last.offset == offset && len(last.records) <= bytesMax {
		return last.records, nil
	}
	chunk, err := q.cfg.Log.Read(offset, bytesMax, end, true)
	if err != nil {
		return nil, err
	}
	defer chunk.Release()
	records, err := chunk.AppendTo(nil)
	if err == nil && len(records) > 0 {
		q.lastRead.Store(&lastRead{offset, records})
	}
	return records, err
}

// FetchSnapshot serves a part of the newest snapshot (KIP-630), one part in an answer: a request that names more of them is
// refused, since each takes memory.
func (q *Quorum) FetchSnapshot(req *kmsg.FetchSnapshotRequest) *kmsg.FetchSnapshotResponse {
	resp := req.ResponseKind().(*kmsg.FetchSnapshotResponse)
	if req.ClusterID != nil && *req.ClusterID != q.cfg.ClusterID {
		resp.ErrorCode = wire.InconsistentClusterID.Code()
		return resp
	}
	if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 {
		resp.ErrorCode = wire.InvalidRequest.Code()
		return resp
	}
	t := &req.Topics[0]
	rt := kmsg.NewFetchSnapshotResponseTopic()
	rt.Topic = t.Topic
	rt.Partitions = append(rt.Partitions, q.snapshotPart(t.Topic, &t.Partitions[0], req.MaxBytes))
	resp.Topics = append(resp.Topics, rt)
	return resp
}

func (q *Quorum) snapshotPart(topic string, p *kmsg.FetchSnapshotRequestTopicPartition, bytesMax int32) kmsg.FetchSnapshotResponseTopicPartition {
	rp := kmsg.NewFetchSnapshotResponseTopicPartition()
	rp.Partition, rp.SnapshotID.EndOffset, rp.SnapshotID.Epoch = p.Partition, p.SnapshotID.EndOffset, p.SnapshotID.Epoch
	status := q.status.Load()
	rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = status.Leader, status.Epoch
	if topic != MetadataTopic || p.Partition != 0 {
		rp.ErrorCode = wire.UnknownTopicOrPartition.Code()
		return rp
	}
	if id := q.storage.newest.Load(); id == nil || id.EndOffset != p.SnapshotID.EndOffset || id.Epoch != p.SnapshotID.Epoch {
		rp.ErrorCode = wire.SnapshotNotFound.Code()
		return rp
	}
	var code wire.Error
	rp.Size, rp.Bytes, code = q.readSnapshot(snapshotName(uint64(p.SnapshotID.EndOffset), uint64(p.SnapshotID.Epoch)), p.Position, bytesMax)
	rp.Position, rp.ErrorCode = p.Position, code.Code()
	return rp
}

func (q *Quorum) readSnapshot(name string, position int64, bytesMax int32) (size int64, part []byte, code wire.Error) {
	file, err := q.cfg.FS.OpenFile(path.Join(q.cfg.Dir, name), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, wire.SnapshotNotFound
	}
	if err == nil {
		defer file.Close()
		size, err = file.Size()
	}
	if err == nil && (position < 0 || position >= size) {
		return size, nil, wire.PositionOutOfRange
	}
	if err == nil {
		part = make([]byte, min(size-position, int64(max(bytesMax, 1)), snapshotPartBytes))
		if _, err = file.ReadAt(part, position); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		q.log.Warn("the metadata snapshot cannot be read for another node", "err", fmt.Errorf("%s: %w", name, err))
		return 0, nil, wire.KafkaStorageError
	}
	return size, part, wire.None
}

// Observer is a node that fetches the metadata log here and is no member.
type Observer struct {
	Voter
	EndOffset    int64
	LastFetch    time.Time
	LastCaughtUp time.Time // the last fetch at the end of what is committed; zero when there was none
}

const (
	observerExpiry = 5 * time.Minute // as in Kafka (OBSERVER_SESSION_TIMEOUT_MS)
	observersMax   = 10_000
)

// observers remembers who fetches.
type observers struct {
	mu struct {
		sync.Mutex
		byVoter map[Voter]Observer
	}
}

// saw notes a fetch. Voter.Address is not set.
func (o *observers) saw(v Voter, offset, highWatermark int64, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen, known := o.mu.byVoter[v]
	if !known {
		maps.DeleteFunc(o.mu.byVoter, func(_ Voter, seen Observer) bool { return now.Sub(seen.LastFetch) >= observerExpiry })
		if len(o.mu.byVoter) >= observersMax {
			return
		}
	}
	if o.mu.byVoter == nil {
		o.mu.byVoter = map[Voter]Observer{}
	}
	seen.Voter, seen.EndOffset, seen.LastFetch = v, offset, now
	if offset >= highWatermark {
		seen.LastCaughtUp = now
	}
	o.mu.byVoter[v] = seen
}

// list returns who has fetched of late and is no member, sorted.
func (o *observers) list(now time.Time, members []Member) []Observer {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]Observer, 0, len(o.mu.byVoter))
	for _, seen := range o.mu.byVoter {
		member := slices.ContainsFunc(members, func(m Member) bool { return m.Voter.is(seen.Voter) })
		if !member && now.Sub(seen.LastFetch) < observerExpiry {
			list = append(list, seen)
		}
	}
	slices.SortFunc(list, func(a, b Observer) int { return compareVoters(a.Voter, b.Voter) })
	return list
}
