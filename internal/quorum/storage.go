package quorum

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/commitlog"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
)

// entriesKept is how many entries stay behind a snapshot for followers that are a little late.
const entriesKept = 1000

// storage is raft's storage: the metadata log, quorum-state and the snapshots on disk, and the entries since the last
// snapshot in memory as well, which is what raft reads. It belongs to the loop.
type storage struct {
	fs      vfs.FS
	dir     string
	log     *commitlog.Log
	memory  *raft.MemoryStorage
	saved   state // as in quorum-state
	builder *record.Builder
	buffer  []byte
	acked   *acknowledged
	covered uint64 // the index of the newest snapshot, 0 without one
	// written counts the bytes of entries since the last snapshot.
	written int64
}

// openStorage reads what an earlier run has left. Anything that contradicts itself is an error that says what to do.
func openStorage(fsys vfs.FS, dir string, log *commitlog.Log) (*storage, error) {
	s := &storage{fs: fsys, dir: dir, log: log, memory: raft.NewMemoryStorage(), builder: record.NewBuilder(record.BuilderOptions{})}
	var err error
	if s.saved, err = readState(fsys, dir); err != nil {
		return nil, err
	}
	snap, err := s.newestSnapshot()
	if err != nil {
		return nil, err
	}
	if snap != nil {
		s.covered = snap.GetMetadata().GetIndex()
		if err := s.memory.ApplySnapshot(snap); err != nil {
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
	if err := s.readEntries(s.covered); err != nil {
		return err
	}
	if err := s.reconcile(); err != nil {
		return err
	}
	return s.acked.set(last)
}

// readEntries loads the entries behind the snapshot into memory.
func (s *storage) readEntries(covered uint64) error {
	if s.log.EndOffset() <= int64(covered) {
		if s.log.EndOffset() < int64(covered) {
			return s.log.ResetTo(int64(covered))
		}
		return nil
	}
	var entries []*pb.Entry
	for batch, err := range s.log.Batches(int64(covered)) {
		if err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
		e, err := readEntry(batch)
		if err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
		if want := covered + uint64(len(entries)) + 1; e.GetIndex() != want {
			return fmt.Errorf("metadata log: %w: offset %d where %d should be", errDamaged, e.GetIndex()-1, want-1)
		}
		entries = append(entries, e)
		s.written += int64(len(batch))
	}
	return s.memory.Append(entries)
}

// reconcile brings the saved state and the log together: quorum-state is written when the term or the vote change, so its
// commit is behind that of the log.
func (s *storage) reconcile() error {
	last, err := s.memory.LastIndex()
	if err != nil {
		return err
	}
	if last == 0 && s.saved.hard.GetTerm() > 1 {
		return fmt.Errorf("the metadata log is empty although this node has voted in term %d: restore %s from a backup, or start with an empty data directory", s.saved.hard.GetTerm(), s.dir)
	}
	if last == 0 {
		s.saved = state{hard: &pb.HardState{}, conf: &pb.ConfState{}}
		return nil
	}
	lastTerm, err := s.memory.Term(last)
	if err != nil {
		return err
	}
	if term := s.saved.hard.GetTerm(); term < lastTerm {
		return fmt.Errorf("%s: %w: it is of term %d or missing, and the metadata log has entries of term %d: this node no longer knows how it voted; as the only voter it can be started from a backup of the data directory, among others remove it and add it again with an empty one", path.Join(s.dir, stateFile), errDamaged, term, lastTerm)
	}
	snap, err := s.memory.Snapshot()
	if err != nil {
		return err
	}
	if len(s.saved.conf.GetVoters()) == 0 {
		s.saved.conf = snap.GetMetadata().GetConfState()
	}
	commit := max(s.saved.hard.GetCommit(), snap.GetMetadata().GetIndex())
	s.saved.hard.Commit = new(commit)
	return s.memory.SetHardState(s.saved.hard)
}

func (s *storage) empty() (bool, error) {
	last, err := s.memory.LastIndex()
	return last == 0, err
}

// save makes what a Ready demands durable: the vote first, then the snapshot, then the entries. After an error for want of
// space it may be called again.
func (s *storage) save(rd raft.Ready, conf *pb.ConfState) error {
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := s.saveHardState(rd.HardState, conf); err != nil {
			return err
		}
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := s.install(rd.Snapshot); err != nil {
			return err
		}
	}
	if len(rd.Entries) == 0 {
		return nil
	}
	return s.append(rd.Entries)
}

// saveHardState writes quorum-state when the term, the vote or the members have changed. The commit index alone is not
// worth a sync: it is found again.
func (s *storage) saveHardState(hard *pb.HardState, conf *pb.ConfState) error {
	saved := state{hard: proto.Clone(hard).(*pb.HardState), conf: proto.Clone(conf).(*pb.ConfState)}
	old := s.saved
	if old.hard.GetTerm() != hard.GetTerm() || old.hard.GetVote() != hard.GetVote() || !proto.Equal(old.conf, conf) {
		onDisk := state{hard: proto.Clone(hard).(*pb.HardState), conf: saved.conf}
		last, err := s.memory.LastIndex()
		if err != nil {
			return err
		}
		onDisk.hard.Commit = new(min(hard.GetCommit(), last)) // the entries that come with it are not on disk yet
		if err := writeState(s.fs, s.dir, onDisk); err != nil {
			return err
		}
	}
	s.saved = saved
	return s.memory.SetHardState(saved.hard)
}

// install replaces everything by a leader's snapshot.
func (s *storage) install(snap *pb.Snapshot) error {
	index := snap.GetMetadata().GetIndex()
	if err := s.acked.lower(index); err != nil {
		return err
	}
	if err := s.writeSnapshot(snap); err != nil {
		return err
	}
	s.covered = index
	if err := s.log.ResetTo(int64(index)); err != nil {
		return err
	}
	if err := s.acked.set(index); err != nil {
		return err
	}
	s.written = 0
	return s.memory.ApplySnapshot(snap)
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
	if err := s.log.Flush(); err != nil {
		return err
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
