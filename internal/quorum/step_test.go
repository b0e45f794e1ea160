package quorum

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TestMessagesThatNoMemberSends gives the only voter, which leads, a proposal from outside, the word of a disk, and answers of
// nodes that nobody knows.
func TestMessagesThatNoMemberSends(t *testing.T) {
	v := mustOpen(t, vfs.NewMem(), nil)
	for i, kind := range []pb.MessageType{pb.MsgProp, pb.MsgStorageAppendResp, pb.MsgAppResp, pb.MsgHeartbeatResp} {
		m := &pb.Message{Type: kind.Enum(), To: new(v.self.RaftID()), From: new(uint64(100 + i)), Term: new(uint64(0))}
		if kind == pb.MsgProp {
			m.Entries = []*pb.Entry{{Data: []byte("no list of changes")}}
		} else if kind == pb.MsgStorageAppendResp {
			m.From, m.Index, m.LogTerm = new(raft.LocalAppendThread), new(uint64(1)), new(uint64(1))
		}
		v.q.Step(m)
	}
	eventually(t, func() bool { return len(v.q.inbox) == 0 }, func() string { return "the messages are not taken" })
	do(t, v.q, "a")
	if !slices.Equal(keys(v.q.Image()), []string{"a"}) {
		t.Errorf("the image has %v", keys(v.q.Image()))
	}
	v.close()
	if err := v.q.Err(); err != nil {
		t.Error(err)
	}
	if len(v.q.loop.contacts) > 0 {
		t.Errorf("it remembers %v", v.q.loop.contacts)
	}
}
