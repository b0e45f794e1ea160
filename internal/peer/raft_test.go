package peer

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/wire"
)

// quorumNode is a node that takes messages.
type quorumNode struct {
	mu     sync.Mutex
	frames []int // messages in each
	got    []*pb.Message
	hold   chan struct{} // closed when replies may leave
	code   wire.Error
}

func (q *quorumNode) serve(c net.Conn) {
	for {
		a, err := readRequest(c)
		if err != nil {
			return
		}
		req, err := wire.DecodeRequest(a.header.Key, a.header.Version, a.body)
		if err != nil {
			panic(err)
		}
		messages, err := ParseRaftMessages(req.(*wire.RaftMessagesRequest))
		if err != nil {
			panic(err)
		}
		q.mu.Lock()
		q.frames = append(q.frames, len(messages))
		q.got = append(q.got, messages...)
		q.mu.Unlock()
		if q.hold != nil {
			<-q.hold
		}
		frame, _ := wire.AppendReply(nil, a.header, wire.Message(&wire.RaftMessagesResponse{ErrorCode: q.code.Code()}))
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}

func message(to, index uint64, data int) *pb.Message {
	m := &pb.Message{Type: pb.MsgApp.Enum(), To: &to, From: new(uint64(1)), Term: new(uint64(3)), Index: &index}
	if data > 0 {
		m.Entries = []*pb.Entry{{Term: new(uint64(3)), Index: new(index + 1), Data: bytes.Repeat([]byte("d"), data)}}
	}
	return m
}

func newRaft(t *testing.T, p *Peers, log *slog.Logger) *Raft {
	r := NewRaft(RaftConfig{Peers: p, Self: 1, ClusterID: func() string { return "c" }, Log: log})
	t.Cleanup(r.Close)
	r.SetVoter(22, 2)
	return r
}

func TestRaftMessagesArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &quorumNode{hold: make(chan struct{})}
		p, _ := newPeers(t, node.serve)
		r := newRaft(t, p, nil)
		var sent []*pb.Message
		for i := range uint64(200) {
			m := message(22, i, int(i%3)*10)
			sent = append(sent, m)
			r.Send([]*pb.Message{m, message(33, i, 0)}) // nobody knows 33
			if i < 10 {
				synctest.Wait()
			}
		}
		close(node.hold)
		synctest.Wait()
		node.mu.Lock()
		if len(node.got) != len(sent) {
			t.Fatalf("%d messages of %d in frames of %v", len(node.got), len(sent), node.frames)
		}
		for i := range sent {
			if !proto.Equal(node.got[i], sent[i]) {
				t.Errorf("message %d is %v, want %v", i, node.got[i], sent[i])
			}
		}
		if len(node.frames) != framesInFlight+2 { // the sender holds one frame more than are on their way
			t.Errorf("frames of %v messages", node.frames)
		}
		node.mu.Unlock()
		r.Close()
		p.Close()
	})
}

func TestRaftDropsWhatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &quorumNode{hold: make(chan struct{})}
		p, _ := newPeers(t, node.serve)
		r := newRaft(t, p, nil)
		for i := range uint64(framesInFlight + 1) {
			r.Send([]*pb.Message{message(22, i, 10)})
			synctest.Wait()
		}
		large := message(22, 1000, messagesQueuedBytesMax+1)
		r.Send([]*pb.Message{large, message(22, 1001, 1), large})
		for i := range uint64(2 * messagesQueuedMax) {
			r.Send([]*pb.Message{message(22, 2000+i, 0)})
		}
		close(node.hold)
		synctest.Wait()
		node.mu.Lock()
		counts := map[bool]int{}
		for _, m := range node.got {
			counts[m.GetIndex() == 1000]++
		}
		if counts[true] != 1 {
			t.Errorf("a message larger than the bound arrived %d times, want once: nothing else waited", counts[true])
		}
		if most := messagesQueuedMax + framesInFlight + 1; len(node.got) > most {
			t.Errorf("%d messages arrived, at most %d may wait", len(node.got), most)
		}
		node.mu.Unlock()
		r.Close()
		p.Close()
	})
}

func TestRaftGoesOnWhenANodeComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged lockedBuffer
		node := &quorumNode{}
		p, network := newPeers(t, nil)
		r := newRaft(t, p, slog.New(slog.NewTextHandler(&logged, nil)))
		for i := range uint64(20) {
			r.Send([]*pb.Message{message(22, i, 0)})
			synctest.Wait()
		}
		network.set(here, node.serve)
		arrived := func() bool {
			node.mu.Lock()
			defer node.mu.Unlock()
			return len(node.got) > 0
		}
		for i := uint64(100); !arrived() && i < 1e6; i++ {
			r.Send([]*pb.Message{message(22, i, 0)})
			tickOnce()
		}
		synctest.Wait()
		if got := logged.String(); strings.Count(got, "does not get") != 1 || strings.Count(got, "gets this node's messages again") != 1 {
			t.Errorf("logged:\n%s", got)
		}
		r.Close()
		p.Close()
	})
}

func TestRaftSaysWhenItsMessagesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged lockedBuffer
		node := &quorumNode{code: wire.InconsistentClusterID}
		p, _ := newPeers(t, node.serve)
		r := newRaft(t, p, slog.New(slog.NewTextHandler(&logged, nil)))
		for i := range uint64(5) {
			r.Send([]*pb.Message{message(22, i, 0)})
			synctest.Wait()
		}
		if got := logged.String(); strings.Count(got, "INCONSISTENT_CLUSTER_ID") != 1 {
			t.Errorf("logged:\n%s", got)
		}
		r.ForgetVoter(22)
		r.Send([]*pb.Message{message(22, 9, 0)})
		synctest.Wait()
		if len(node.got) != 5 || len(r.Voters()) != 0 {
			t.Errorf("%d messages, voters %v", len(node.got), r.Voters())
		}
		r.Close()
		p.Close()
	})
}

func TestNoRaftMessages(t *testing.T) {
	tiny := bytes.Repeat([]byte{7<<3 | 2, 0}, 1000)
	nested := []byte{14<<3 | 2, 0}
	for name, b := range map[string][]byte{"tiny entries": tiny, "messages in messages": nested, "cut off": {7<<3 | 2, 5, 1}, "no protobuf": {0xff}} {
		_, err := ParseRaftMessages(&wire.RaftMessagesRequest{Messages: [][]byte{b}})
		if !errors.Is(err, errNoMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRaftMessages(f *testing.F) {
	for _, m := range []*pb.Message{message(1, 2, 0), message(1, 2, 30)} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := ParseRaftMessages(&wire.RaftMessagesRequest{Messages: [][]byte{b}})
		if err != nil {
			return
		}
		again, err := proto.Marshal(messages[0])
		if err != nil {
			t.Fatal(err)
		}
		back := &pb.Message{}
		if err := proto.Unmarshal(again, back); err != nil || !proto.Equal(back, messages[0]) {
			t.Fatal(fmt.Errorf("%v is not read as written: %w", messages[0], err))
		}
	})
}
