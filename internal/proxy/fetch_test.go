package proxy

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// fetched is a node's answer to a fetch: some bytes of each partition that it has records of.
func (n *fakeNode) fetched(req *kmsg.FetchRequest, bytes map[int32]int) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	for _, t := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.HighWatermark, rp.LogStartOffset, rp.RecordBatches = p.Partition, p.FetchOffset+int64(bytes[p.Partition]), 0, make([]byte, bytes[p.Partition])
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func fetchOf(maxWait time.Duration, sessionID, epoch int32, offsets map[int32]int64, order ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionID, req.SessionEpoch = 16, int32(maxWait.Milliseconds()), 300, 3000, sessionID, epoch
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = topicID
	for _, p := range order {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p, offsets[p], 1<<20
		t.Partitions = append(t.Partitions, rp)
	}
	if len(order) > 0 {
		req.Topics = append(req.Topics, t)
	}
	return req
}

func (c *fakeCluster) fetch(ctx context.Context, conn *Conn, req *kmsg.FetchRequest) *kmsg.FetchResponse {
	c.t.Helper()
	resp, err := reply[*kmsg.FetchResponse](ctx, begin(c.t, conn, ctx, req), req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

func summary(resp *kmsg.FetchResponse) string {
	s := ""
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			s += fmt.Sprintf("%d:%d ", p.Partition, len(p.RecordBatches))
		}
	}
	return s
}

// TestFetchEndsWithTheFirst: three leaders wait, one has enough after a second; the others are asked for what they have. The
// session is the client's with the proxy: nodes are asked without one, each for its share.
func TestFetchEndsWithTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			req := r.(*kmsg.FetchRequest)
			if req.SessionID != 0 || req.SessionEpoch != -1 || req.MinBytes != 100 || req.MaxBytes != 1000 {
				t.Errorf("node %d is asked with %+v", n.id, req)
			}
			if n.id == 3 {
				time.Sleep(time.Second)
				return n.fetched(req, map[int32]int{2: 400})
			}
			<-n.nudged
			return n.fetched(req, map[int32]int{1: 10})
		})
		conn, ctx := c.connect()
		began := time.Now()
		resp := c.fetch(ctx, conn, fetchOf(30*time.Second, 0, 0, nil, 2, 1, 0))
		if got, took := summary(resp), time.Since(began); got != "2:400 1:10 0:0 " || took != time.Second || resp.SessionID == 0 {
			t.Errorf("fetched %s of session %d after %v", got, resp.SessionID, took)
		}
		// What the client knows is not told again: partition 0 has nothing new.
		session := resp.SessionID
		resp = c.fetch(ctx, conn, fetchOf(30*time.Second, session, 1, map[int32]int64{2: 400}, 2))
		if got := summary(resp); got != "2:400 1:10 " && got != "1:10 2:400 " {
			t.Errorf("fetched %s then", got)
		}
		if resp = c.fetch(ctx, conn, fetchOf(0, session, 7, nil)); resp.ErrorCode != wire.InvalidFetchSessionEpoch.Code() {
			t.Errorf("a fetch out of turn: %d", resp.ErrorCode)
		}
		if resp = c.fetch(ctx, conn, fetchOf(0, session+1, 7, nil)); resp.ErrorCode != wire.FetchSessionIDNotFound.Code() {
			t.Errorf("a fetch of a session that is not there: %d", resp.ErrorCode)
		}
	})
}

// A node's time is up, or the server shuts down: what there is is sent.
func TestFetchThatEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
			<-n.nudged
			return n.fetched(r.(*kmsg.FetchRequest), map[int32]int{1: 10})
		})
		conn, ctx := c.connect()
		patient, end := context.WithTimeout(ctx, time.Second)
		defer end()
		req := fetchOf(30*time.Second, 0, -1, nil, 0, 1)
		began := time.Now()
		resp, err := reply[*kmsg.FetchResponse](patient, begin(t, conn, ctx, req), req)
		if err != nil || summary(resp) != "0:0 1:10 " || time.Since(began) != time.Second {
			t.Errorf("fetched %+v, %v after %v", resp, err, time.Since(began))
		}
	})
}

// A node that answers about something else, or is lost, closes the client's connection; the memory comes back.
func TestFetchesThatFail(t *testing.T) {
	for name, answer := range map[string]func(*kmsg.FetchResponse) kmsg.Response{
		"lost":    func(*kmsg.FetchResponse) kmsg.Response { return nil },
		"missing": func(resp *kmsg.FetchResponse) kmsg.Response { resp.Topics = nil; return resp },
		"another": func(resp *kmsg.FetchResponse) kmsg.Response { resp.Topics[0].Partitions[0].Partition = 4; return resp },
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newFakeCluster(t, func(n *fakeNode, r kmsg.Request) kmsg.Response {
				if resp := n.fetched(r.(*kmsg.FetchRequest), map[int32]int{0: 100}); n.id == 2 {
					return answer(resp)
				} else {
					return resp
				}
			})
			conn, ctx := c.connect()
			req := fetchOf(0, 0, -1, nil, 0, 1)
			if resp, err := reply[*kmsg.FetchResponse](ctx, begin(t, conn, ctx, req), req); err == nil {
				t.Errorf("%s: fetched %+v", name, resp)
			}
			if free := c.proxy.fetchMemory.Reserve(1 << 30); free != 8<<20 {
				t.Errorf("%s: a reply may have %d bytes, of an empty memory 8 MiB", name, free)
			}
		})
	}
}
