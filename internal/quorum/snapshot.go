package quorum

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
)

// A snapshot is a file named after its place, as Kafka names its own: the offset behind the last entry it covers and
// that entry's epoch. It holds raft's metadata and the image.
const (
	snapshotSuffix   = ".checkpoint"
	snapshotMagic    = "LBQI"
	snapshotVersion  = 1
	snapshotBytesMax = 2 << 30
)

func snapshotName(index, term uint64) string {
	return fmt.Sprintf("%020d-%010d%s", index, term, snapshotSuffix)
}

// takeSnapshot writes the image (encodeImage) at the applied index, forgets the entries that it covers, and removes older snapshots.
func (s *storage) takeSnapshot(index uint64, conf *pb.ConfState, image []byte) error {
	snap, err := s.memory.CreateSnapshot(index, conf, image)
	if err != nil {
		return err
	}
	if err := s.writeSnapshot(snap); err != nil {
		return err
	}
	// A follower that is a little behind is sent entries, not the snapshot.
	if first := index - min(index, entriesKept); first > 0 {
		if err := s.memory.Compact(first); err != nil && !errors.Is(err, raft.ErrCompacted) {
			return err
		}
		return s.log.SetStartOffset(int64(first))
	}
	return nil
}

func (s *storage) writeSnapshot(snap *pb.Snapshot) error {
	meta, err := proto.Marshal(snap.GetMetadata())
	if err != nil {
		return err
	}
	name := snapshotName(snap.GetMetadata().GetIndex(), snap.GetMetadata().GetTerm())
	sealed := seal(snapshotMagic, snapshotVersion, appendPart(appendPart(nil, meta), snap.GetData()))
	if err := vfs.WriteFileAtomic(s.fs, path.Join(s.dir, name), sealed); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	s.covered = snap.GetMetadata().GetIndex()
	names, err := s.snapshots()
	if err != nil {
		return err
	}
	for _, old := range names {
		if old < name {
			if err := s.fs.Remove(path.Join(s.dir, old)); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshots returns the names of the snapshots, oldest first.
func (s *storage) snapshots() ([]string, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, snapshotSuffix) })
	slices.SortFunc(names, cmp.Compare[string])
	return names, nil
}

// newestSnapshot returns the newest snapshot, nil when there is none. A damaged one is an error: the log before it is
// gone.
func (s *storage) newestSnapshot() (*pb.Snapshot, error) {
	names, err := s.snapshots()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	name := path.Join(s.dir, names[len(names)-1])
	b, err := vfs.ReadFile(s.fs, name, snapshotBytesMax)
	if err != nil {
		return nil, err
	}
	snap, err := decodeSnapshot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore it from a backup, or, where other voters hold the metadata, remove this node and add it again with an empty directory", name, err)
	}
	return snap, nil
}

func decodeSnapshot(b []byte) (*pb.Snapshot, error) {
	body, err := unseal(snapshotMagic, snapshotVersion, b)
	if err != nil {
		return nil, err
	}
	meta, body, err := cutPart(body)
	if err != nil {
		return nil, err
	}
	data, _, err := cutPart(body)
	if err != nil {
		return nil, err
	}
	snap := &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{}}
	if err := proto.Unmarshal(meta, snap.GetMetadata()); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return snap, nil
}

// encodeImage puts the voters' names, which raft knows by number only, in front of the image.
func encodeImage(voters map[uint64]Voter, img *cluster.Image) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(voters)))
	for _, id := range slices.Sorted(maps.Keys(voters)) {
		b = appendPart(binary.BigEndian.AppendUint64(b, id), voters[id].context())
	}
	b = binary.BigEndian.AppendUint64(b, uint64(img.Offset()))
	b = binary.BigEndian.AppendUint32(b, uint32(img.Epoch()))
	for changes := range img.Snapshot() {
		b = appendPart(b, cluster.AppendChanges(nil, changes))
	}
	return b
}

// decodeImage is the inverse of encodeImage.
func decodeImage(clusterID string, b []byte) (map[uint64]Voter, *cluster.Image, error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: no voters", errDamaged)
	}
	voters, count := map[uint64]Voter{}, binary.BigEndian.Uint32(b)
	b = b[4:]
	for range count {
		if len(b) < 8 {
			return nil, nil, fmt.Errorf("%w: a voter is cut off", errDamaged)
		}
		context, rest, err := cutPart(b[8:])
		if err != nil {
			return nil, nil, err
		}
		if voters[binary.BigEndian.Uint64(b)], err = parseVoter(context); err != nil {
			return nil, nil, err
		}
		b = rest
	}
	if len(b) < 12 {
		return nil, nil, fmt.Errorf("%w: no image", errDamaged)
	}
	offset, epoch := int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))
	img, err := cluster.Restore(clusterID, offset, epoch, changeLists(b[12:]))
	return voters, img, err
}

// changeLists yields the lists of changes that encodeImage has put one after the other.
func changeLists(b []byte) iter.Seq2[[]cluster.Change, error] {
	return func(yield func([]cluster.Change, error) bool) {
		for len(b) > 0 {
			list, rest, err := cutPart(b)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(cluster.ParseChanges(list)) {
				return
			}
			b = rest
		}
	}
}
