package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

// Answers come together in the request's order, whichever node is first.
func TestAnswersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			time.Sleep(time.Duration(4-n.id) * time.Second) // virtual: the first node asked answers last
			resp := kmsg.NewPtrListOffsetsResponse()
			for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
				rt := kmsg.NewListOffsetsResponseTopic()
				rt.Topic = t.Topic
				for _, p := range t.Partitions {
					rp := kmsg.NewListOffsetsResponseTopicPartition()
					rp.Partition, rp.Offset = p.Partition, int64(n.id)
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp
		})
		conn, ctx := c.connect()
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version = 7
		asked := map[string][]int32{"orders": {5, 0, 4, 1, 3, 2, 77}, "nowhere": {0}, "empty": {}}
		for _, topic := range []string{"nowhere", "orders", "empty"} {
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic = topic
			for _, p := range asked[topic] {
				rp := kmsg.NewListOffsetsRequestTopicPartition()
				rp.Partition = p
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
		}
		resp, err := reply[*kmsg.ListOffsetsResponse](ctx, begin(t, conn, ctx, req), req)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				got = append(got, fmt.Sprintf("%s-%d@%d", t.Topic, p.Partition, p.Offset))
			}
		}
		// What is not there is this node's to answer.
		want := "nowhere-0@1 orders-5@3 orders-0@1 orders-4@2 orders-1@2 orders-3@1 orders-2@3 orders-77@1"
		if strings.Join(got, " ") != want || len(resp.Topics) != 3 {
			t.Errorf("answered\n%s, want\n%s", strings.Join(got, " "), want)
		}
	})
}

// Produces of a connection keep their order at every node, also when a partition's leader changes while one is under way:
// what follows goes after it until the client knows.
func TestProducesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := make(chan struct{})
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			p := req.(*kmsg.ProduceRequest)
			if n.id == 2 {
				<-moved
				return n.produced(p, wire.NotLeaderOrFollower)
			}
			return n.produced(p, wire.None)
		})
		conn, ctx := c.connect()
		first := produceOf(-1, map[int32]string{0: "a", 1: "a"}, 1, 0)
		one := begin(t, conn, ctx, first)
		c.elect(1, 3)
		second := produceOf(-1, map[int32]string{1: "b", 2: "b"}, 1, 2)
		time.AfterFunc(time.Second, func() { close(moved) }) // the node reads one message ahead, no more
		two := begin(t, conn, ctx, second)
		resp, err := reply[*kmsg.ProduceResponse](ctx, one, first)
		if err != nil {
			t.Fatal(err)
		}
		rp := resp.Topics[0].Partitions
		if rp[0].Partition != 1 || rp[0].ErrorCode != wire.NotLeaderOrFollower.Code() || rp[1].Partition != 0 || rp[1].BaseOffset != 1 {
			t.Errorf("answered %+v", rp)
		}
		if rp[0].CurrentLeader.LeaderID != self || rp[0].CurrentLeader.LeaderEpoch != 9 || len(resp.Brokers) != 1 || resp.Brokers[0].NodeID != self || resp.Brokers[0].Host != "reached" || resp.Brokers[0].Port != 9094 {
			t.Errorf("the new leader is %+v, at %+v", rp[0].CurrentLeader, resp.Brokers)
		}
		third := produceOf(-1, map[int32]string{1: "a again"}, 1) // the client has been told
		three := begin(t, conn, ctx, third)
		if resp, err := reply[*kmsg.ProduceResponse](ctx, two, second); err != nil || resp.Topics[0].Partitions[0].ErrorCode == 0 || resp.Topics[0].Partitions[1].ErrorCode != 0 {
			t.Errorf("the second one: %+v, %v", resp, err)
		}
		if _, err := reply[*kmsg.ProduceResponse](ctx, three, third); err != nil {
			t.Fatal(err)
		}
		if got := c.nodes[2].recordsAsked(1); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the former leader was asked for %q", got)
		}
		if got := c.nodes[3].recordsAsked(1); !slices.Equal(got, []string{"a again"}) {
			t.Errorf("the new leader was asked for %q", got)
		}
		if len(conn.mu.routes) != 0 {
			t.Errorf("nothing is under way, and %d routes are kept", len(conn.mu.routes))
		}
	})
}

// A produce that has begun to follow others goes where they have gone, though they fail while the way to another node is made.
func TestProduceBehindOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			if n.id == 2 {
				time.Sleep(time.Second)
				return n.produced(req.(*kmsg.ProduceRequest), wire.NotLeaderOrFollower)
			}
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		c.slow[3] = 2 * time.Second
		conn, ctx := c.connect()
		first := produceOf(-1, map[int32]string{1: "a"}, 1)
		one := begin(t, conn, ctx, first)
		go func() {
			if _, err := reply[*kmsg.ProduceResponse](ctx, one, first); err != nil {
				t.Error(err)
			}
		}()
		c.elect(1, 3)
		second := produceOf(-1, map[int32]string{1: "b", 2: "b"}, 1, 2)
		two := begin(t, conn, ctx, second)
		resp, err := reply[*kmsg.ProduceResponse](ctx, two, second)
		if err != nil {
			t.Fatal(err)
		}
		if rp := resp.Topics[0].Partitions; rp[0].ErrorCode != wire.NotLeaderOrFollower.Code() || rp[1].ErrorCode != 0 || rp[1].BaseOffset != 3 {
			t.Errorf("answered %+v", rp)
		}
		if got := c.nodes[2].recordsAsked(1); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the former leader was asked for %q", got)
		}
		if len(conn.mu.routes) != 0 {
			t.Errorf("nothing is under way, and %d routes are kept", len(conn.mu.routes))
		}
	})
}

// An answer that is lost closes the client's connection, and nothing is sent twice.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			if n.id == 2 {
				return nil
			}
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		conn, ctx := c.connect()
		req := produceOf(-1, map[int32]string{0: "x", 1: "x", 2: "x"}, 0, 1, 2)
		_, err := reply[*kmsg.ProduceResponse](ctx, begin(t, conn, ctx, req), req)
		if !errors.Is(err, peer.ErrNoAnswer) || !strings.Contains(err.Error(), "node 2") {
			t.Errorf("the reply fails with %v", err)
		}
		if _, err := start(conn, ctx, produceOf(-1, map[int32]string{1: "y"}, 1)); err == nil {
			t.Error("a connection that should be closed goes on")
		}
		synctest.Wait()
		for id := int32(1); id <= 3; id++ {
			if n := len(c.nodes[id].requests()); n != 1 {
				t.Errorf("node %d was asked %d times", id, n)
			}
		}
	})
}

// A stream that has ended while nothing was under way is made anew.
func TestIdleStreamsMayEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := 0
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			answers++
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		conn, ctx := c.connect()
		for i := range 3 {
			req := produceOf(-1, map[int32]string{1: "x"}, 1)
			if _, err := reply[*kmsg.ProduceResponse](ctx, begin(t, conn, ctx, req), req); err != nil {
				t.Fatal(err)
			}
			c.proxy.cfg.Peers.EndStreams(2)
			if answers != i+1 {
				t.Errorf("%d answers", answers)
			}
		}
	})
}

// What a node that cannot be reached would have to answer is answered by this one.
func TestUnreachableNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			return n.produced(req.(*kmsg.ProduceRequest), wire.NotLeaderOrFollower)
		})
		c.stop(3)
		conn, ctx := c.connect()
		req := produceOf(-1, map[int32]string{2: "x"}, 2)
		resp, err := reply[*kmsg.ProduceResponse](ctx, begin(t, conn, ctx, req), req)
		if err != nil || resp.Topics[0].Partitions[0].BaseOffset != self {
			t.Errorf("answered %+v, %v", resp, err)
		}
		c.stop(1)
		c.proxy.cfg.Peers.EndStreams(1)
		if _, err := start(conn, ctx, req); !errors.Is(err, peer.ErrNotSent) {
			t.Errorf("with nobody to ask: %v", err)
		}
	})
}

// Of what is sent and never answered nobody knows what became of it when its node has gone: the connection is closed.
func TestOneWayProduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			if n.id == 2 && len(n.requests()) == 2 {
				return nil // as a broker that must not append it
			}
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		conn, ctx := c.connect()
		for _, value := range []string{"a", "b"} {
			if r := begin(t, conn, ctx, produceOf(0, map[int32]string{0: value, 1: value}, 0, 1))(ctx); r != nil {
				t.Error("there is a reply")
			}
		}
		synctest.Wait()
		if _, err := start(conn, ctx, produceOf(0, map[int32]string{1: "c"}, 1)); !errors.Is(err, errUnknownOutcome) {
			t.Errorf("the next request: %v", err)
		}
		for _, id := range []int32{1, 2} {
			if got := c.nodes[id].recordsAsked(id - 1); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("node %d was sent %q", id, got)
			}
		}
	})
}

// A node that does not read holds its client up, and nobody else.
func TestSlowNodeHoldsItsClientUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			if n.id == 2 {
				<-release
			}
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		slow, ctx := c.connect()
		begin(t, slow, ctx, produceOf(-1, map[int32]string{1: "a"}, 1))
		begin(t, slow, ctx, produceOf(-1, map[int32]string{1: "b"}, 1)) // the node reads one message ahead
		taken := make(chan struct{})
		go func() {
			begin(t, slow, ctx, produceOf(-1, map[int32]string{1: "c"}, 1))
			close(taken)
		}()
		synctest.Wait()
		select {
		case <-taken:
			t.Error("a request was taken that its node has not read")
		default:
		}
		other, ctx := c.connect()
		req := produceOf(-1, map[int32]string{0: "d"}, 0)
		if _, err := reply[*kmsg.ProduceResponse](ctx, begin(t, other, ctx, req), req); err != nil {
			t.Error(err)
		}
		close(release)
		<-taken
	})
}

// A node is told for whom it is asked and by which image it was chosen, again when there is a newer one.
func TestIntroductions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		conn, ctx := c.connect()
		for i := range 4 {
			if i == 2 {
				c.elect(5, 1) // whatever it is about
			}
			req := produceOf(-1, map[int32]string{1: "x"}, 1)
			if _, err := reply[*kmsg.ProduceResponse](ctx, begin(t, conn, ctx, req), req); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := c.nodes[2].order(), "192.0.2.1:5555@0 asked asked 192.0.2.1:5555@1 asked asked "; got != want {
			t.Errorf("the node was sent %s, want %s", got, want)
		}
	})
}

// What a client has sent before it went has been sent, though nobody waits for an answer.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, req kmsg.Request) kmsg.Response {
			if len(n.requests()) == 1 {
				time.Sleep(time.Second) // what comes behind is not looked at yet when the client goes
			}
			if _, ok := req.(*kmsg.LeaveGroupRequest); ok {
				return kmsg.NewPtrLeaveGroupResponse()
			}
			return n.produced(req.(*kmsg.ProduceRequest), wire.None)
		})
		conn, ctx := c.connect()
		begin(t, conn, ctx, produceOf(-1, map[int32]string{0: "a", 1: "a"}, 0, 1))
		begin(t, conn, ctx, produceOf(0, map[int32]string{1: "b"}, 1))
		leave := kmsg.NewPtrLeaveGroupRequest()
		begin(t, conn, ctx, leave) // of a group whose coordinator is not known: this node's
		conn.close()
		if got := c.nodes[2].recordsAsked(1); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the node was sent %q", got)
		}
		if asked := c.nodes[self].requests(); len(asked) != 2 || asked[1].Key() != leave.Key() {
			t.Errorf("this node was asked %d times", len(asked))
		}
	})
}

// When the client goes, so do its streams.
func TestClientThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		c := newFakeCluster(t, func(*fakeNode, kmsg.Request) kmsg.Response { <-stuck; return nil })
		conn, ctx := c.connect()
		req := kmsg.NewPtrDescribeConfigsRequest()
		finish := begin(t, conn, ctx, req)
		got := make(chan error)
		go func() {
			_, err := reply[*kmsg.DescribeConfigsResponse](ctx, finish, req)
			got <- err
		}()
		synctest.Wait()
		conn.close()
		if err := <-got; err == nil {
			t.Error("there is an answer")
		}
		if _, err := (&call{Conn: conn, img: c.image()}).stream(ctx, 2); !errors.Is(err, errClosed) {
			t.Errorf("a stream of a connection that has ended: %v", err)
		}
		close(stuck)
	})
}
