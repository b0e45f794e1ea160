package quorum

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync/atomic"
	"syscall"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// entriesKept is how many entries stay behind a snapshot for followers that are a little late.
const entriesKept = 1000

// storage is raft's storage: the metadata log, quorum-state and the snapshots on disk, and the entries since the last
// snapshot in memory as well, which is what raft reads. It belongs to the loop, but for what says otherwise.
type storage struct {
	fs      vfs.FS
	dir     string
	log     *commitlog.Log
	memory  *raft.MemoryStorage // its snapshot has no data: that is in the file
	saved   state               // as in quorum-state, but for the commit index and the members, which may be newer
	builder *record.Builder
	buffer  []byte
	acked   *acknowledged
	covered uint64 // the index of the newest snapshot, 0 without one
	// written counts the bytes of entries since the last snapshot; snapshotBytes is the size of that.
	written, snapshotBytes int64
	// opened is the snapshot that was there at the start, until it is used.
	opened *pb.Snapshot
	// settled is the last but one change of the members in the log that was opened. It is committed, since a leader makes no
	// change before the one before it is: and it must be known, since votes are counted among the members of the last.
	settled uint64
	// wanted says that a follower needs a snapshot which knows the members of now.
	wanted bool
	// newest names the newest snapshot, for any goroutine; nil without one.
	newest atomic.Pointer[wire.EpochEnd]
}

// openStorage reads what an earlier run has left. Anything that contradicts itself is an error that says what to do.
func openStorage(fsys vfs.FS, dir string, log *commitlog.Log) (*storage, error) {
	s := &storage{fs: fsys, dir: dir, log: log, memory: raft.NewMemoryStorage(), builder: record.NewBuilder(record.BuilderOptions{})}
	var err error
	if s.saved, err = readState(fsys, dir); err != nil {
		return nil, err
	}
	if s.opened, err = s.newestSnapshot(); err != nil {
		return nil, err
	}
	if s.opened != nil {
		if err := s.cover(s.opened.GetMetadata()); err != nil {
			return nil, err
		}
	}
	if s.acked, err = openAcknowledged(fsys, dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.acked.close())
	}
	return s, nil
}

// cover makes a snapshot that is on disk the beginning of what raft reads.
func (s *storage) cover(meta *pb.SnapshotMetadata) error {
	s.covered = meta.GetIndex()
	s.newest.Store(&wire.EpochEnd{EndOffset: int64(meta.GetIndex()), Epoch: int32(meta.GetTerm())})
	if s.saved.confIndex < meta.GetIndex() {
		s.saved.conf, s.saved.confIndex = meta.GetConfState(), meta.GetIndex()
	}
	return s.memory.ApplySnapshot(&pb.Snapshot{Metadata: meta})
}

// load reads the entries behind the snapshot and compares what the files say of each other.
func (s *storage) load() error {
	log, dir := s.log, s.dir
	last := max(uint64(log.EndOffset()), s.covered)
	if err := s.acked.check(last, dir); err != nil {
		return err
	}
	if committed := s.saved.hard.GetCommit(); committed > last {
		return fmt.Errorf("%w: the metadata log ends at offset %d, and what is below %d was committed: restore %s from a backup, or, where other voters hold the metadata, remove this node and add it again with an empty directory", errDamaged, last, committed, dir)
	}
	if start := log.StartOffset(); start > int64(s.covered) {
		return fmt.Errorf("the metadata log begins at offset %d and no snapshot covers what was before: restore %s from a backup", start, dir)
	}
	if err := s.resetStale(); err != nil {
		return err
	}
	if err := s.readEntries(s.covered); err != nil {
		return err
	}
	if err := s.reconcile(); err != nil {
		return err
	}
	return s.acked.set(uint64(log.EndOffset()))
}

// resetStale empties a log that a leader's snapshot was to replace when this node stopped in between: it ends before the
// snapshot, or has another entry where the snapshot ends.
func (s *storage) resetStale() error {
	at := int64(s.covered)
	short := s.log.EndOffset() < at
	epoch := s.log.EpochAt(at - 1)
	other := s.opened != nil && s.log.StartOffset() < at && epoch >= 0 && epoch != int32(s.opened.GetMetadata().GetTerm())
	if !short && !other {
		return nil
	}
	if err := s.acked.lower(s.covered); err != nil {
		return err
	}
	return s.log.ResetTo(at)
}

// readEntries loads the entries behind the snapshot into memory.
func (s *storage) readEntries(covered uint64) error {
	if s.log.EndOffset() <= int64(covered) {
		return nil
	}
	var entries []*pb.Entry
	var before uint64 // the last change of the members so far
	for batch, err := range s.log.Batches(int64(covered)) {
		if err != nil {
			return damagedLog(s.dir, err)
		}
		e, err := readEntry(batch)
		if err != nil {
			return damagedLog(s.dir, err)
		}
		if want := covered + uint64(len(entries)) + 1; e.GetIndex() != want {
			return damagedLog(s.dir, fmt.Errorf("%w: offset %d where %d should be", errDamaged, e.GetIndex()-1, want-1))
		}
		if changesMembers(e) {
			s.settled, before = before, e.GetIndex()
		}
		entries = append(entries, e)
		s.written += int64(len(batch))
	}
	return s.memory.Append(entries)
}

// damagedLog says what to do about a metadata log in dir that cannot be read.
func damagedLog(dir string, err error) error {
	return fmt.Errorf("metadata log: %w: restore %s from a backup, or, where other voters hold the metadata, remove this node and add it again with an empty directory", err, dir)
}

// reconcile brings the saved state and the log together: quorum-state is written when the term or the vote change, so its
// commit is behind that of the log.
func (s *storage) reconcile() error {
	last, err := s.memory.LastIndex()
	if err != nil {
		return err
	}
	if last == 0 && len(s.saved.conf.GetVoters()) > 0 {
		return fmt.Errorf("the metadata log is empty although this node has had members of the quorum in it: restore %s from a backup; or, where other voters hold the metadata, remove this node and add it again with an empty directory", s.dir)
	}
	if last == 0 { // it may have voted already, for the voter that has begun the cluster
		s.saved.hard.Commit = new(uint64(0))
		return s.memory.SetHardState(s.saved.hard)
	}
	lastTerm, err := s.memory.Term(last)
	if err != nil {
		return err
	}
	if s.saved.hard.GetTerm() == 0 && lastTerm == beginTerm && s.covered == 0 { // begin was cut off
		return s.restart()
	}
	if term := s.saved.hard.GetTerm(); term < lastTerm {
		return fmt.Errorf("%s: %w: it is of term %d or missing, and the metadata log has entries of term %d: this node no longer knows how it voted; as the only voter it can be started from a backup of the data directory, among others remove it and add it again with an empty one", path.Join(s.dir, stateFile), errDamaged, term, lastTerm)
	}
	s.saved.hard.Commit = new(max(s.saved.hard.GetCommit(), s.covered, s.settled))
	return s.memory.SetHardState(s.saved.hard)
}

// beginTerm is the term of the entries that a cluster begins with. The first leader is of a later one.
const beginTerm = 1

// begin writes what a cluster begins with: an entry for each voter, the same on all of them and so committed. quorum-state
// comes last: without it, nothing has begun.
func (s *storage) begin(voters []Voter) error {
	voters = slices.SortedFunc(slices.Values(voters), func(v, w Voter) int { return cmp.Compare(v.RaftID(), w.RaftID()) })
	entries, conf := make([]*pb.Entry, 0, len(voters)), &pb.ConfState{}
	for i, v := range voters {
		v.Address = "" // what a node is told of the others may differ from what they are told
		change := &pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(v.RaftID()), Context: v.context()}
		data, err := proto.Marshal(change)
		if err != nil {
			return err
		}
		index := uint64(i) + 1
		entries = append(entries, &pb.Entry{Type: pb.EntryConfChange.Enum(), Term: new(uint64(beginTerm)), Index: new(index), Data: data})
		conf.Voters = append(conf.Voters, v.RaftID())
	}
	if err := s.append(entries); err != nil {
		return err
	}
	n := uint64(len(voters))
	s.saved = state{hard: &pb.HardState{Term: new(uint64(beginTerm)), Vote: new(uint64(0)), Commit: new(n)}, conf: conf, confIndex: n}
	if err := s.saveState(); err != nil {
		return err
	}
	return s.memory.SetHardState(s.saved.hard)
}

// restart empties the log of a cluster that has not begun.
func (s *storage) restart() error {
	if err := s.acked.lower(0); err != nil {
		return err
	}
	s.memory, s.written = raft.NewMemoryStorage(), 0
	return s.log.ResetTo(0)
}

func (s *storage) empty() (bool, error) {
	last, err := s.memory.LastIndex()
	return last == 0, err
}

// save makes what a Ready demands durable: the vote first, then the snapshot, then the entries, then that a change of the
// members is committed, which a voter must know when it counts votes again. After an error for want of space it may be
// called again.
func (s *storage) save(rd raft.Ready) error {
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := s.saveHardState(rd.HardState); err != nil {
			return err
		}
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := s.install(rd.Snapshot); err != nil {
			return err
		}
	}
	if len(rd.Entries) > 0 {
		if err := s.append(rd.Entries); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(rd.CommittedEntries, changesMembers) {
		return s.saveState()
	}
	return nil
}

func changesMembers(e *pb.Entry) bool { return e.GetType() != pb.EntryNormal }

// saveHardState writes quorum-state when the term or the vote has changed. The commit index alone is not worth a sync: it
// is found again. On disk stays the one of before: the new one may be about entries that come with it, and where these are to
// be, others may lie still.
func (s *storage) saveHardState(hard *pb.HardState) error {
	old := s.saved.hard
	if (old.GetTerm() != hard.GetTerm() || old.GetVote() != hard.GetVote()) && !seeded.Is(seeded.VoteBeforeSync) {
		onDisk := s.saved
		onDisk.hard = &pb.HardState{Term: new(hard.GetTerm()), Vote: new(hard.GetVote()), Commit: new(old.GetCommit())}
		if err := writeState(s.fs, s.dir, onDisk); err != nil {
			return err
		}
	}
	s.saved.hard = proto.Clone(hard).(*pb.HardState)
	return s.memory.SetHardState(s.saved.hard)
}

// saveState writes quorum-state. The entries that are committed must be on disk.
func (s *storage) saveState() error { return writeState(s.fs, s.dir, s.saved) }

// install replaces everything by a leader's snapshot.
func (s *storage) install(snap *pb.Snapshot) error {
	index := snap.GetMetadata().GetIndex()
	if err := s.acked.lower(index); err != nil {
		return err
	}
	if err := s.writeSnapshot(snap); err != nil {
		return err
	}
	if err := s.log.ResetTo(int64(index)); err != nil {
		return err
	}
	if err := s.acked.set(index); err != nil {
		return err
	}
	s.written = 0
	return s.cover(snap.GetMetadata())
}

// append writes entries where raft wants them, over an end that another leader has overruled, and syncs them.
func (s *storage) append(entries []*pb.Entry) error {
	offset := int64(entries[0].GetIndex()) - 1
	if offset < s.log.EndOffset() {
		if err := s.acked.lower(uint64(offset)); err != nil {
			return err
		}
		if err := s.log.TruncateSuffix(offset); err != nil {
			return err
		}
	}
	s.buffer = s.buffer[:0]
	for _, e := range entries {
		var err error
		if s.buffer, err = appendEntry(s.buffer, s.builder, e); err != nil {
			return err
		}
	}
	if _, err := s.log.AppendReplica(s.buffer); err != nil {
		return err
	}
	if !seeded.Is(seeded.AcknowledgeBeforeSync) {
		if err := s.log.Flush(); err != nil {
			return err
		}
	}
	if err := s.acked.set(uint64(s.log.EndOffset())); err != nil {
		return err
	}
	s.written += int64(len(s.buffer))
	if cap(s.buffer) > bufferBytesKept {
		s.buffer = nil
	}
	return s.memory.Append(entries)
}

// bufferBytesKept bounds the buffer that is kept between appends.
const bufferBytesKept = 256 << 10

// noSpace tells a full disk, which may have space again, from a log that has failed.
func noSpace(err error) bool {
	full := errors.Is(err, commitlog.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	return full && !errors.Is(err, commitlog.ErrStorage)
}

// isStopped tells errors that come of closing from those that mean a broken disk.
func isStopped(err error) bool { return errors.Is(err, commitlog.ErrClosed) }
