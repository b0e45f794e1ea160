package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// RaftConfig is what a Raft is made of.
type RaftConfig struct {
	Peers *Peers
	Self  cluster.NodeID
	// Address is where this node's listener for controllers is: who does not know it learns it with the messages.
	Address string
	// ClusterID keeps messages of one cluster from another. It is asked for when something is sent.
	ClusterID func() string
	Log       *slog.Logger // discarded when nil
}

// What waits for one voter. A message that alone is larger is let in when nothing else waits.
const (
	messagesQueuedMax      = 4096
	messagesQueuedBytesMax = 64 << 20
	frameMessageBytesMax   = 1 << 20 // messages beyond leave in the next frame; a larger one has a frame of its own
	framesInFlight         = 4
	votersMax              = 256 // far more than a quorum has
)

// Raft carries the quorum's messages to its voters. It is a quorum.Transport.
type Raft struct {
	cfg     RaftConfig
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	voters map[uint64]*voter // by raft's id
}

// voter is who messages are sent to.
type voter struct {
	raft   *Raft
	node   cluster.NodeID
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1

	mu          sync.Mutex
	queue       [][]byte
	queuedBytes int

	// Of the sender.
	failing bool // the latest frame did not arrive
}

// NewRaft returns a transport that knows no voter.
func NewRaft(cfg RaftConfig) *Raft {
	r := &Raft{cfg: cfg, log: cfg.Log, voters: map[uint64]*voter{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// SetVoter says on which node a member of the quorum is. Where that node is, Peers know. Beyond 256 members it does nothing.
func (r *Raft) SetVoter(id uint64, node cluster.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.voters[id]; v != nil && v.node == node || r.ctx.Err() != nil {
		return
	}
	r.forget(id)
	if len(r.voters) >= votersMax {
		return
	}
	v := &voter{raft: r, node: node, wake: make(chan struct{}, 1)}
	v.ctx, v.cancel = context.WithCancel(r.ctx)
	r.voters[id] = v
	r.running.Add(1)
	go v.send()
}

// ForgetVoter drops what waits for a member that is none any more.
func (r *Raft) ForgetVoter(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(id)
}

func (r *Raft) forget(id uint64) {
	if v := r.voters[id]; v != nil {
		v.cancel()
		delete(r.voters, id)
	}
}

// Voters returns the ids of the members that are known.
func (r *Raft) Voters() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]uint64, 0, len(r.voters))
	for id := range r.voters {
		ids = append(ids, id)
	}
	return ids
}

// Send queues messages, or drops them. It implements quorum.Transport: it encodes before it returns, since raft's storage
// may change what they refer to, and waits for nothing.
func (r *Raft) Send(messages []*pb.Message) {
	for _, m := range messages {
		r.mu.Lock()
		v := r.voters[m.GetTo()]
		r.mu.Unlock()
		if v == nil {
			continue
		}
		encoded, err := proto.Marshal(m)
		if err != nil {
			r.log.Error("a message of the quorum cannot be encoded", "to", v.node, "type", m.GetType().String(), "err", err)
			continue
		}
		v.enqueue(encoded)
	}
}

// Close ends all senders.
func (r *Raft) Close() {
	r.cancel()
	r.running.Wait()
}

func (v *voter) enqueue(m []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) >= messagesQueuedMax || len(v.queue) > 0 && v.queuedBytes+len(m) > messagesQueuedBytesMax {
		return
	}
	v.queue = append(v.queue, m)
	v.queuedBytes += len(m)
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *voter) drop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue, v.queuedBytes = nil, 0
}

// take takes the messages of the next frame off the queue.
func (v *voter) take() [][]byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, size := 0, 0
	for n < len(v.queue) && (n == 0 || size+len(v.queue[n]) <= frameMessageBytesMax) {
		size += len(v.queue[n])
		n++
	}
	messages := v.queue[:n:n]
	v.queue = v.queue[n:]
	v.queuedBytes -= size
	return messages
}

// send is the goroutine that sends to one voter. Several frames are on their way at once, in order.
func (v *voter) send() {
	defer v.raft.running.Done()
	var inFlight []*call
	for v.ctx.Err() == nil {
		messages := v.take()
		if len(messages) == 0 {
			v.await(&inFlight)
			continue
		}
		if len(inFlight) == framesInFlight {
			v.finished(inFlight[0].wait(v.ctx))
			inFlight = inFlight[1:]
		}
		inFlight = append(inFlight, v.begin(messages))
	}
}

// await waits for messages, and meanwhile for what is in flight.
func (v *voter) await(inFlight *[]*call) {
	var done chan outcome
	if len(*inFlight) > 0 {
		done = (*inFlight)[0].done
	}
	select {
	case <-v.ctx.Done():
	case <-v.wake:
	case o := <-done:
		v.finished(o)
		*inFlight = (*inFlight)[1:]
	}
}

func (v *voter) begin(messages [][]byte) *call {
	p := v.raft.cfg.Peers
	req := &wire.RaftMessagesRequest{ClusterID: v.raft.cfg.ClusterID(), From: v.raft.cfg.Self, Address: v.raft.cfg.Address, To: v.node, Messages: messages}
	c := p.newCall(wire.KeyRaftMessages, 0, req.AppendTo)
	p.begin(v.node, Messages, c)
	return c
}

// finished logs when messages begin not to arrive, and when they do again.
func (v *voter) finished(o outcome) {
	err := o.err
	if err == nil {
		resp := &wire.RaftMessagesResponse{}
		if err = resp.ReadFrom(o.body); err == nil && resp.ErrorCode != 0 {
			err = wire.Error(resp.ErrorCode)
		}
	}
	if errors.Is(err, ErrNotSent) {
		v.drop() // raft has newer ones when the voter can be reached again
	}
	switch {
	case v.ctx.Err() != nil:
	case err != nil && !v.failing:
		v.failing = true
		v.raft.log.Warn("a member of the metadata quorum does not get this node's messages", "node", v.node, "err", err)
	case err == nil && v.failing:
		v.failing = false
		v.raft.log.Info("a member of the metadata quorum gets this node's messages again", "node", v.node)
	}
}

// entryBytesMin is the shortest an entry of the log can be: its term and its index.
const entryBytesMin = 4

// errNoMessage means that bytes are no message between voters.
var errNoMessage = errors.New("not a message of raft's")

// ParseRaftMessages decodes what RaftMessages carries. It makes no more than some forty times the bytes, and all of them or
// none.
func ParseRaftMessages(req *wire.RaftMessagesRequest) ([]*pb.Message, error) {
	messages := make([]*pb.Message, len(req.Messages))
	for i, b := range req.Messages {
		if err := surveyMessage(b); err != nil {
			return nil, fmt.Errorf("message %d of node %d: %w", i, req.From, err)
		}
		messages[i] = &pb.Message{}
		if err := proto.Unmarshal(b, messages[i]); err != nil {
			return nil, fmt.Errorf("message %d of node %d: %w", i, req.From, err)
		}
	}
	return messages, nil
}

// Of raft's protocol.
const (
	fieldEntries   protowire.Number = 7
	fieldResponses protowire.Number = 14 // between a voter and its own disk only
)

// surveyMessage refuses what would take far more memory than it has bytes: entries of nothing, and messages in messages.
func surveyMessage(b []byte) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", errNoMessage, protowire.ParseError(n))
		}
		size := protowire.ConsumeFieldValue(number, kind, b[n:])
		if size < 0 {
			return fmt.Errorf("%w: %w", errNoMessage, protowire.ParseError(size))
		}
		if number == fieldResponses || number == fieldEntries && size < 1+entryBytesMin {
			return fmt.Errorf("%w: field %d of %d bytes", errNoMessage, number, size)
		}
		b = b[n+size:]
	}
	return nil
}
