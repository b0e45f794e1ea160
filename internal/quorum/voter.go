package quorum

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/logbahn/logbahn/internal/cluster"
)

// Voter is a member of the quorum.
type Voter struct {
	NodeID      cluster.NodeID
	DirectoryID cluster.UUID
	// Address is host:port where the other members reach it, as AddRaftVoter or UpdateRaftVoter has said; empty for a voter
	// that the cluster began with, which is where the configuration says.
	Address string
}

// RaftID names a voter to raft. A node with another, empty directory is another voter: it has forgotten its votes.
func (v Voter) RaftID() uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, v.NodeID)
	_, _ = h.Write(v.DirectoryID[:])
	return max(h.Sum64(), 1)
}

// is tells whether v and w are one member, wherever it is reached.
func (v Voter) is(w Voter) bool { return v.NodeID == w.NodeID && v.DirectoryID == w.DirectoryID }

func compareVoters(v, w Voter) int {
	return cmp.Or(cmp.Compare(v.NodeID, w.NodeID), slices.Compare(v.DirectoryID[:], w.DirectoryID[:]))
}

// String is how Kafka prints a voter.
func (v Voter) String() string {
	return fmt.Sprintf("ReplicaKey(id=%d, directoryId=%s)", v.NodeID, v.DirectoryID)
}

const voterHeadBytes = 4 + 16

// context is how a voter is described in the entry that adds it: node id, directory id, and the address if there is one.
func (v Voter) context() []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(v.NodeID)), v.DirectoryID[:]...)
	return append(b, v.Address...)
}

func parseVoter(b []byte) (Voter, error) {
	var v Voter
	if len(b) < voterHeadBytes {
		return v, fmt.Errorf("a voter of %d bytes", len(b))
	}
	v.NodeID = cluster.NodeID(binary.BigEndian.Uint32(b))
	copy(v.DirectoryID[:], b[4:])
	v.Address = string(b[voterHeadBytes:])
	return v, nil
}
