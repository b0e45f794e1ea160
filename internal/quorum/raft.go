package quorum

import (
	"cmp"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Raft's timers in ticks: an election after 300 to 600 ms of silence, a heartbeat every 60 ms.
const (
	electionTicks  = 15
	heartbeatTicks = 3
)

func (q *Quorum) openRaft() error {
	var err error
	snap, err := q.storage.memory.Snapshot()
	if err != nil {
		return err
	}
	q.raft, err = raft.NewRawNode(&raft.Config{
		ID:                        q.cfg.Self.RaftID(),
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   stateStorage{q.storage},
		Applied:                   snap.GetMetadata().GetIndex(),
		MaxSizePerMsg:             1 << 20,
		MaxInflightMsgs:           64,
		MaxUncommittedEntriesSize: entryBytesMax,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		Logger:                    raftLogger{q.log},
	})
	if err != nil {
		return err
	}
	empty, err := q.storage.empty()
	if err != nil || !empty {
		return err
	}
	peers := make([]raft.Peer, 0, len(q.cfg.Voters))
	for _, v := range q.cfg.Voters {
		peers = append(peers, raft.Peer{ID: v.RaftID(), Context: v.context()})
	}
	slices.SortFunc(peers, func(a, b raft.Peer) int { return cmp.Compare(a.ID, b.ID) })
	return q.raft.Bootstrap(peers)
}

// stateStorage gives raft the members that quorum-state knows; the memory knows those of the snapshot only.
type stateStorage struct{ *storage }

func (s stateStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.saved.hard, s.saved.conf, nil
}
func (s stateStorage) Entries(lo, hi, size uint64) ([]*pb.Entry, error) {
	return s.memory.Entries(lo, hi, size)
}
func (s stateStorage) Term(i uint64) (uint64, error)   { return s.memory.Term(i) }
func (s stateStorage) LastIndex() (uint64, error)      { return s.memory.LastIndex() }
func (s stateStorage) FirstIndex() (uint64, error)     { return s.memory.FirstIndex() }
func (s stateStorage) Snapshot() (*pb.Snapshot, error) { return s.memory.Snapshot() }
