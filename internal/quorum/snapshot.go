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
	"github.com/logbahn/logbahn/internal/wire"
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

// A snapshot of our own is encoded and written beside the loop, one at a time: the image does not change, and with many
// partitions that takes long enough for an election. The loop takes the result over (covered).

// snapshotJob is what a snapshot is made of.
type snapshotJob struct {
	index, term uint64
	conf        *pb.ConfState
	voters      map[uint64]Voter
	image       *cluster.Image
}

// snapshotResult is a snapshot that is on disk.
type snapshotResult struct {
	meta  *pb.SnapshotMetadata
	bytes int64
	err   error
}

// snapshotIfDue starts a snapshot when there are enough entries for one.
func (q *Quorum) snapshotIfDue() error {
	s := &q.loop
	// After a crash the entries of the log can be enough for a snapshot before it is known again that they are committed.
	enough := max(q.cfg.SnapshotBytes, q.storage.snapshotBytes) // an image that has grown is not written for every few entries
	if s.snapshotting || q.storage.written < enough && !q.storage.wanted || s.index <= q.storage.covered {
		return nil
	}
	term, err := q.storage.memory.Term(s.index)
	if err != nil {
		return err
	}
	q.storage.written, q.storage.wanted, s.snapshotting = 0, false, true
	job := snapshotJob{index: s.index, term: term, conf: q.storage.saved.conf, voters: maps.Clone(s.voters), image: s.applied}
	q.done.Go(func() { q.snapshots <- q.storage.snapshot(job) })
	return nil
}

// awaitSnapshot takes over the snapshot that is being written, if there is one.
func (q *Quorum) awaitSnapshot() error {
	if !q.loop.snapshotting {
		return nil
	}
	return q.covered(<-q.snapshots)
}

// covered forgets the entries that a snapshot on disk covers.
func (q *Quorum) covered(r snapshotResult) error {
	q.loop.snapshotting = false
	if noSpace(r.err) {
		q.log.Error("the disk is full: no snapshot of the metadata", "err", r.err)
		q.storage.written = max(q.storage.written, q.cfg.SnapshotBytes/2) // again after half as much
		return nil
	}
	if r.err != nil {
		return r.err
	}
	return q.storage.take(r)
}

// firstKept is from where on entries stay: a follower that is a little behind is sent entries, not the snapshot.
func firstKept(index uint64) uint64 { return index - min(index, entriesKept) }

// snapshot writes a snapshot and drops the entries that it covers from the log. It runs beside the loop, which cuts no
// entry that is committed meanwhile, and installs no other snapshot.
func (s *storage) snapshot(job snapshotJob) snapshotResult {
	snap := &pb.Snapshot{Data: encodeImage(job.voters, job.image), Metadata: &pb.SnapshotMetadata{
		Index: new(job.index), Term: new(job.term), ConfState: job.conf,
	}}
	err := s.writeSnapshot(snap)
	if first := firstKept(job.index); err == nil && first > 0 {
		err = s.log.SetStartOffset(int64(first))
	}
	return snapshotResult{snap.GetMetadata(), int64(len(snap.GetData())), err}
}

// take makes a snapshot that was written beside the loop the one that raft knows.
func (s *storage) take(r snapshotResult) error {
	index := r.meta.GetIndex()
	if _, err := s.memory.CreateSnapshot(index, r.meta.GetConfState(), nil); err != nil {
		return err
	}
	s.covered, s.snapshotBytes = index, r.bytes
	s.newest.Store(&wire.EpochEnd{EndOffset: int64(index), Epoch: int32(r.meta.GetTerm())})
	if first := firstKept(index); first > 0 {
		if err := s.memory.Compact(first); err != nil && !errors.Is(err, raft.ErrCompacted) {
			return err
		}
	}
	return nil
}

// writeSnapshot writes the file and removes older ones.
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
	s.snapshotBytes = int64(len(b))
	snap, err := decodeSnapshot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore it from a backup, or, where other voters hold the metadata, remove this node and add it again with an empty directory", name, err)
	}
	return snap, nil
}

func decodeSnapshot(b []byte) (*pb.Snapshot, error) {
	_, body, err := unseal(snapshotMagic, snapshotVersion, b)
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
