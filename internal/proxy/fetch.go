package proxy

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

// Fetch, versions 0 to 18: the session is one with the client, and each leader is asked for its partitions without one.

// fetching is one Fetch of a client.
type fetching struct {
	*call
	req     *wire.FetchRequest
	items   []broker.FetchItem
	replies []wire.FetchPartitionReply
	parts   []*fetchPart
}

// fetchPart is what one node is asked for.
type fetchPart struct {
	node   cluster.NodeID
	items  []int // positions
	stream *peer.Stream
	sent   *peer.Sent
}

func (r *call) fetch(ctx context.Context, req *wire.FetchRequest) wire.Response {
	turn, code := r.proxy.sessions.Begin(req)
	if code != wire.None {
		return &wire.FetchResponse{Version: req.Version, Error: code}
	}
	f := &fetching{call: r, req: req, items: turn.Items()}
	f.replies = make([]wire.FetchPartitionReply, len(f.items))
	f.divide()
	memory := r.proxy.fetchMemory
	bytesMax := max(min(int(req.MaxBytes), r.proxy.cfg.FetchBytesMax), 0)
	reserved := memory.Reserve(bytesMax)
	code, err := f.ask(ctx, reserved)
	read := f.size()
	memory.Release(reserved - read)
	reply := &fetchReply{memory: memory, bytes: read}
	switch {
	case err != nil:
		memory.Release(read)
		return lost{err}
	case code != wire.None:
		reply.FetchResponse = &wire.FetchResponse{Version: req.Version, Error: code}
	default:
		reply.FetchResponse = turn.Reply(f.replies)
		f.tellLeader(reply.FetchResponse)
	}
	return reply
}

// divide groups the partitions by the nodes that are to be asked.
func (f *fetching) divide() {
	of := map[cluster.NodeID]*fetchPart{}
	for i := range f.items {
		item := &f.items[i]
		ref := topicRef{name: item.Topic, id: item.TopicID, byID: f.req.Version >= fetchTopicIDVersion}
		node := f.leader(ref, item.Want.Partition)
		if of[node] == nil {
			of[node] = &fetchPart{node: node}
			f.parts = append(f.parts, of[node])
		}
		of[node].items = append(of[node].items, i)
	}
}

const fetchTopicIDVersion = 13

// ask asks all nodes at once, and takes what they have when the first of them has enough or the client has waited for long
// enough. The code is one for the whole reply.
func (f *fetching) ask(ctx context.Context, bytesMax int) (wire.Error, error) {
	arrived := make(chan struct{}, 1)
	for _, p := range f.parts {
		var err error
		if p.stream, err = f.reach(ctx, p.node); err != nil {
			return wire.None, err
		}
		m := f.message(f.request(p, bytesMax))
		m.Arrived = arrived
		p.sent = p.stream.Send(m)
	}
	if len(f.parts) > 0 {
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
	for _, p := range f.parts {
		if !p.sent.Answered() {
			p.stream.Send(f.introduction(f.img.Offset()))
		}
	}
	code := wire.None
	for _, p := range f.parts {
		answer, err := p.sent.Wait(context.WithoutCancel(ctx)) // which ends with the stream, and that with the connection
		if err != nil {
			return wire.None, err
		}
		resp := answer.(*kmsg.FetchResponse)
		if resp.ErrorCode != 0 {
			code = wire.Error(resp.ErrorCode)
		} else if err := f.take(p, resp); err != nil {
			return wire.None, fmt.Errorf("node %d: %w", p.node, err)
		}
	}
	return code, nil
}

// request is what a node is asked for: its share of the least and of the most bytes. When no node has its share the whole
// is not there either.
func (f *fetching) request(p *fetchPart, bytesMax int) *kmsg.FetchRequest {
	nodes := len(f.parts)
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.IsolationLevel, req.SessionEpoch = f.req.MaxWaitMillis, f.req.IsolationLevel, -1
	req.MinBytes = int32((int64(f.req.MinBytes) + int64(nodes) - 1) / int64(nodes))
	req.MaxBytes = int32(max(bytesMax/nodes, 1))
	for _, i := range p.items {
		item := &f.items[i]
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != item.Topic || req.Topics[n-1].TopicID != item.TopicID {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = item.Topic, item.TopicID
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.CurrentLeaderEpoch, rp.FetchOffset = item.Want.Partition, item.Want.CurrentLeaderEpoch, item.Want.FetchOffset
		rp.LastFetchedEpoch, rp.LogStartOffset, rp.PartitionMaxBytes = item.Want.LastFetchedEpoch, -1, item.Want.PartitionMaxBytes
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	return req
}

// take takes over what a node has answered.
func (f *fetching) take(p *fetchPart, resp *kmsg.FetchResponse) error {
	due := make(map[fetchName]int, len(p.items))
	for _, i := range p.items {
		item := &f.items[i]
		due[fetchName{item.Topic, item.TopicID, item.Want.Partition}] = i
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			name := fetchName{t.Topic, t.TopicID, t.Partitions[j].Partition}
			at, asked := due[name]
			if !asked {
				return fmt.Errorf("an answer about %s-%d, which was not asked for", t.Topic, name.partition)
			}
			f.replies[at] = f.reply(&t.Partitions[j])
			delete(due, name)
		}
	}
	if len(due) > 0 {
		return fmt.Errorf("no answer about %d of %d partitions", len(due), len(p.items))
	}
	return nil
}

// fetchName names a partition as a version of Fetch does.
type fetchName struct {
	topic     string
	topicID   cluster.UUID
	partition int32
}

// reply is a partition's answer as the client gets it.
func (f *fetching) reply(from *kmsg.FetchResponseTopicPartition) wire.FetchPartitionReply {
	to := wire.NewFetchPartitionReply(from.Partition)
	to.Error = wire.Error(from.ErrorCode)
	to.HighWatermark, to.LastStableOffset, to.LogStartOffset = from.HighWatermark, from.LastStableOffset, from.LogStartOffset
	to.DivergingEpoch = wire.EpochEnd{Epoch: from.DivergingEpoch.Epoch, EndOffset: from.DivergingEpoch.EndOffset}
	if from.CurrentLeader.LeaderID >= 0 {
		to.CurrentLeader = wire.CurrentLeader{LeaderID: f.proxy.cfg.NodeID, LeaderEpoch: from.CurrentLeader.LeaderEpoch}
	}
	if from.AbortedTransactions != nil {
		to.AbortedTransactions = make([]wire.AbortedTransaction, len(from.AbortedTransactions))
	}
	for i, a := range from.AbortedTransactions {
		to.AbortedTransactions[i] = wire.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset}
	}
	if len(from.RecordBatches) > 0 {
		to.Records = wire.RecordBytes(from.RecordBatches)
	}
	return to
}

// size is how much record data there is.
func (f *fetching) size() int {
	n := 0
	for i := range f.replies {
		n += len(f.replies[i].RecordData())
	}
	return n
}

// tellLeader says where the new leaders of the reply are: where the client is already.
func (f *fetching) tellLeader(resp *wire.FetchResponse) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if resp.Topics[i].Partitions[j].CurrentLeader != wire.NoLeader {
				resp.NodeEndpoints = []wire.NodeEndpoint{f.self()}
				return
			}
		}
	}
}

// fetchReply is a FetchResponse that gives its memory back when it has left.
type fetchReply struct {
	*wire.FetchResponse
	memory *broker.FetchMemory
	bytes  int
}

// Release implements listener.Releaser.
func (r *fetchReply) Release() { r.memory.Release(r.bytes) }
