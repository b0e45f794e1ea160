package quorum

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// fetchedSnapshot is a voter's snapshot, decoded beside the loop.
type fetchedSnapshot struct {
	snap   *pb.Snapshot
	voters map[uint64]Voter
	image  *cluster.Image
}

const snapshotPartBytes = 1 << 20

// fetchSnapshot fetches a snapshot part by part (KIP-630). It keeps no more than has come.
func (q *Quorum) fetchSnapshot(node cluster.NodeID, id wire.EpochEnd) (*fetchedSnapshot, error) {
	var file []byte
	for {
		part, err := q.fetchPart(node, id, int64(len(file)))
		if err != nil {
			return nil, fmt.Errorf("fetch of the metadata snapshot: %w", err)
		}
		if part.Size > snapshotBytesMax || part.Position != int64(len(file)) || len(part.Bytes) == 0 && part.Size > int64(len(file)) {
			return nil, fmt.Errorf("fetch of the metadata snapshot: %d bytes at %d of %d, asked for at %d",
				len(part.Bytes), part.Position, part.Size, len(file))
		}
		if file = append(file, part.Bytes...); int64(len(file)) >= part.Size {
			break
		}
	}
	snap, err := decodeSnapshot(file)
	if err != nil {
		return nil, fmt.Errorf("metadata snapshot of node %d: %w", node, err)
	}
	meta := snap.GetMetadata()
	if int64(meta.GetIndex()) != id.EndOffset || int32(meta.GetTerm()) != id.Epoch {
		return nil, fmt.Errorf("metadata snapshot of node %d: it ends at offset %d of epoch %d, not at %d of %d",
			node, meta.GetIndex(), meta.GetTerm(), id.EndOffset, id.Epoch)
	}
	f := &fetchedSnapshot{snap: snap}
	if f.voters, f.image, err = decodeImage(q.cfg.ClusterID, snap.GetData()); err != nil {
		return nil, fmt.Errorf("metadata snapshot of node %d: %w", node, err)
	}
	return f, nil
}

func (q *Quorum) fetchPart(node cluster.NodeID, id wire.EpochEnd, position int64) (*kmsg.FetchSnapshotResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.ClusterID, req.ReplicaID, req.MaxBytes, req.Version = &q.cfg.ClusterID, q.cfg.Self.NodeID, snapshotPartBytes, 1
	topic := kmsg.NewFetchSnapshotRequestTopic()
	topic.Topic = MetadataTopic
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch, p.Position, p.ReplicaDirectoryID = -1, position, q.cfg.Self.DirectoryID
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = id.EndOffset, id.Epoch
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	ctx, cancel := context.WithTimeout(q.ctx, fetchTimeout)
	defer cancel()
	answer, err := q.cfg.Request(ctx, node, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.FetchSnapshotResponse)
	if !ok || len(resp.Topics) > 1 || len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the answer is not about one partition")
	}
	if code := wire.Error(resp.ErrorCode); code != wire.None || len(resp.Topics) == 0 {
		return nil, fmt.Errorf("%v", code)
	}
	part := &resp.Topics[0].Partitions[0]
	if code := wire.Error(part.ErrorCode); code != wire.None {
		return nil, fmt.Errorf("%v", code)
	}
	return part, nil
}

// installFetched makes a voter's snapshot the beginning of what this node has. Raft does not take one that it is no member
// of: it is made anew.
func (q *Quorum) installFetched(r fetchResult) error {
	index := r.snapshot.snap.GetMetadata().GetIndex()
	if index <= q.raft.BasicStatus().GetCommit() {
		return nil
	}
	if err := q.awaitSnapshot(); err != nil {
		return err
	}
	term := max(r.snapshot.snap.GetMetadata().GetTerm(), uint64(max(r.epoch, 0)))
	if err := q.untilSpace(func() error { return q.storage.adopt(r.snapshot.snap, term) }); err != nil {
		return err
	}
	if err := q.openRaft(); err != nil {
		return err
	}
	q.replace(index, r.snapshot.voters, r.snapshot.image)
	q.follow(&raft.SoftState{RaftState: raft.StateFollower})
	q.publishStatus()
	return nil
}

// adopt installs a snapshot that did not come by raft.
func (s *storage) adopt(snap *pb.Snapshot, term uint64) error {
	if s.saved.hard.GetTerm() < term {
		hard := &pb.HardState{Term: new(term), Vote: new(uint64(0)), Commit: new(s.saved.hard.GetCommit())}
		if err := s.saveHardState(hard); err != nil {
			return err
		}
	}
	if err := s.install(snap); err != nil {
		return err
	}
	s.saved.hard.Commit = new(snap.GetMetadata().GetIndex())
	return s.memory.SetHardState(s.saved.hard)
}
