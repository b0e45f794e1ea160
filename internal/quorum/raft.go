package quorum

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Raft's timers in ticks: an election after 300 to 600 ms of silence, a heartbeat every 60 ms.
const (
	electionTicks  = 15
	heartbeatTicks = 3
)

// openRaft makes raft of what is stored.
func (q *Quorum) openRaft() (err error) {
	q.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        q.cfg.Self.RaftID(),
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   stateStorage{q.storage},
		Applied:                   q.storage.covered,
		MaxSizePerMsg:             1 << 20,
		MaxInflightMsgs:           64,
		MaxUncommittedEntriesSize: entryBytesMax,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLogger{q.log},
	})
	return err
}

// stateStorage gives raft the members that quorum-state knows; the memory knows those of the snapshot only.
type stateStorage struct{ *storage }

func (s stateStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.saved.hard, s.saved.conf, nil
}
func (s stateStorage) Entries(lo, hi, size uint64) ([]*pb.Entry, error) {
	return s.memory.Entries(lo, hi, size)
}
func (s stateStorage) Term(i uint64) (uint64, error) { return s.memory.Term(i) }
func (s stateStorage) LastIndex() (uint64, error)    { return s.memory.LastIndex() }
func (s stateStorage) FirstIndex() (uint64, error)   { return s.memory.FirstIndex() }

// Snapshot returns what a follower needs that is too far behind for entries. One that does not know the members of now is
// of no use to a new member: raft asks again when there is another.
func (s stateStorage) Snapshot() (*pb.Snapshot, error) {
	if s.covered > 0 && s.covered >= s.saved.confIndex {
		if snap, err := s.newestSnapshot(); err == nil && snap != nil {
			return snap, nil
		}
	}
	s.wanted = true // the image in memory is whole
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}
