package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const self = 1

// fakeNode is a node that answers as a test says. asked is what it was asked, in order, but for introductions.
type fakeNode struct {
	id     int32
	answer func(n *fakeNode, req kmsg.Request) kmsg.Response // nil closes the connection

	nudged chan struct{} // gets a token for every introduction that says nothing new

	mu    sync.Mutex
	asked []kmsg.Request
}

var errRefused = errors.New("connection refused")

// serve answers one connection, one request after the other, and reads one ahead, as brokers do.
func (n *fakeNode) serve(c net.Conn) {
	defer c.Close()
	ahead, ended := make(chan asked), make(chan struct{})
	defer close(ended)
	go n.read(c, ahead, ended)
	for a := range ahead {
		var resp kmsg.Response
		if _, ok := a.req.(*wire.ProxiedRequest); ok {
			resp = &wire.ProxiedResponse{}
		} else {
			n.mu.Lock()
			n.asked = append(n.asked, a.req)
			n.mu.Unlock()
			if resp = n.answer(n, a.req); resp == nil {
				return
			}
			if p, ok := a.req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
				continue
			}
		}
		resp.SetVersion(a.header.Version)
		out, err := wire.AppendReply(nil, a.header, wire.Message(resp))
		if err != nil {
			panic(err)
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

type asked struct {
	header wire.RequestHeader
	req    kmsg.Request
}

// read reads requests until the connection ends.
func (n *fakeNode) read(c net.Conn, ahead chan<- asked, ended <-chan struct{}) {
	defer close(ahead)
	for told := int64(noOffset); ; {
		var length [wire.FrameHeaderSize]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		frame := make([]byte, wire.FrameLength(length))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		h, body, err := wire.ReadRequestHeader(frame)
		if err != nil {
			panic(err)
		}
		req, err := wire.DecodeRequest(h.Key, h.Version, body)
		if err != nil {
			panic(err)
		}
		if p, ok := req.(*wire.ProxiedRequest); ok {
			if told == p.ImageOffset {
				n.nudged <- struct{}{}
			}
			told = p.ImageOffset
			n.mu.Lock()
			n.asked = append(n.asked, req)
			n.mu.Unlock()
		}
		select {
		case ahead <- asked{h, req}:
		case <-ended:
			return
		}
	}
}

// requests returns what the node was asked, without introductions.
func (n *fakeNode) requests() []kmsg.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.asked), func(r kmsg.Request) bool { return r.Key() == wire.KeyProxied })
}

// order returns what the node was sent: introductions by the offsets that they tell, and everything else as a word.
func (n *fakeNode) order() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := ""
	for _, r := range n.asked {
		if p, ok := r.(*wire.ProxiedRequest); ok {
			s += fmt.Sprint(p.Client, "@", p.ImageOffset, " ")
		} else {
			s += "asked "
		}
	}
	return s
}

// fakeCluster is three nodes, of which 1 has the proxy, and a topic whose partition i is led by node i%3+1.
type fakeCluster struct {
	t     *testing.T
	nodes map[int32]*fakeNode
	mu    sync.Mutex
	img   *cluster.Image
	down  map[int32]bool
	slow  map[int32]time.Duration // how long it takes to connect
	proxy *Proxy
}

const partitions = 6

var topicID = cluster.UUID{7}

func newFakeCluster(t *testing.T, answer func(n *fakeNode, req kmsg.Request) kmsg.Response) *fakeCluster {
	c := &fakeCluster{t: t, nodes: map[int32]*fakeNode{}, down: map[int32]bool{}, slow: map[int32]time.Duration{}}
	var changes []cluster.Change
	peers := peer.New(peer.Config{Self: self, Dial: c.dial})
	t.Cleanup(peers.Close)
	for id := int32(1); id <= 3; id++ {
		c.nodes[id] = &fakeNode{id: id, answer: answer, nudged: make(chan struct{}, 16)}
		changes = append(changes, cluster.RegisterBroker{Broker: cluster.Broker{ID: id, Epoch: int64(id), Listeners: []cluster.Endpoint{{Name: "PLAINTEXT", Host: fmt.Sprint("node-", id), Port: 9092}}}})
		peers.SetAddress(id, fmt.Sprint(id))
	}
	topic := cluster.Topic{Name: "orders", ID: topicID}
	for i := range int32(partitions) {
		topic.Partitions = append(topic.Partitions, ledBy(i%3+1, 0))
	}
	c.img, _, _ = apply(t, cluster.NewImage("cluster"), append(changes, cluster.CreateTopic{Topic: topic})...)
	c.proxy = New(Config{NodeID: self, Image: c.image, Peers: peers, FetchBytesMax: 1 << 20, SessionsMax: 10})
	return c
}

func ledBy(leader cluster.NodeID, epoch int32) cluster.Partition {
	return cluster.Partition{Replicas: []cluster.NodeID{1, 2, 3}, ISR: []cluster.NodeID{1, 2, 3}, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: epoch}
}

func apply(t *testing.T, img *cluster.Image, changes ...cluster.Change) (*cluster.Image, cluster.Delta, error) {
	t.Helper()
	next, delta, err := img.Apply(changes, img.Offset()+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return next, delta, err
}

// elect makes another node the leader of a partition.
func (c *fakeCluster) elect(partition int32, leader cluster.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.img, _, _ = apply(c.t, c.img, cluster.ChangePartition{TopicID: topicID, Index: partition, Partition: ledBy(leader, 1)})
}

func (c *fakeCluster) image() *cluster.Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.img
}

func (c *fakeCluster) stop(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[id] = true
}

func (c *fakeCluster) dial(_ context.Context, address string) (net.Conn, error) {
	for id, takes := range c.slow {
		if address == fmt.Sprint(id) {
			time.Sleep(takes) // virtual
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range c.nodes {
		if address == fmt.Sprint(id) && !c.down[id] {
			client, server := net.Pipe()
			go n.serve(server)
			return client, nil
		}
	}
	return nil, errRefused
}

// connect returns a client's connection, which ends with the test.
func (c *fakeCluster) connect() (*Conn, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	return c.proxy.Connect(ctx, Client{Address: "192.0.2.1:5555", Told: cluster.Endpoint{Host: "reached", Port: 9094}}), ctx
}

// begin starts a request, and has its answer by and by.
func begin(t *testing.T, c *Conn, ctx context.Context, req kmsg.Request) broker.Finish {
	t.Helper()
	finish, err := start(c, ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return finish
}

// start hands a request over as the listener does: the memory of a Produce is gone afterwards.
func start(c *Conn, ctx context.Context, req kmsg.Request) (broker.Finish, error) {
	h := wire.RequestHeader{Key: req.Key(), Version: req.GetVersion()}
	frame := req.AppendTo(nil)
	defer clear(frame)
	var body any
	var err error
	switch req.(type) {
	case *kmsg.ProduceRequest:
		p := new(wire.ProduceRequest)
		body, err = p, p.Decode(h.Version, frame)
	case *kmsg.FetchRequest:
		f := new(wire.FetchRequest)
		body, err = f, f.Decode(h.Version, frame)
	default:
		body, err = wire.DecodeRequest(h.Key, h.Version, frame)
	}
	if err != nil {
		return nil, err
	}
	return c.Start(ctx, h, body)
}

// reply returns a request's answer as the client reads it, or why it gets none.
func reply[P kmsg.Response](ctx context.Context, finish broker.Finish, req kmsg.Request) (P, error) {
	var none P
	r := finish(ctx)
	out, err := r.AppendTo(nil)
	if err != nil {
		return none, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp.(P), resp.ReadFrom(out)
}

func produceOf(acks int16, values map[int32]string, order ...int32) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 12, acks, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "orders"
	for _, p := range order {
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = p, []byte(values[p])
		t.Partitions = append(t.Partitions, rp)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// recordsAsked returns what a node was asked to append to a partition, in order.
func (n *fakeNode) recordsAsked(partition int32) []string {
	var list []string
	for _, req := range n.requests() {
		p, ok := req.(*kmsg.ProduceRequest)
		if !ok {
			continue
		}
		for _, t := range p.Topics {
			for _, rp := range t.Partitions {
				if rp.Partition == partition {
					list = append(list, string(rp.Records))
				}
			}
		}
	}
	return list
}

// produced is the answer to a produce: every partition has its node's id as offset.
func (n *fakeNode) produced(req *kmsg.ProduceRequest, code wire.Error) *kmsg.ProduceResponse {
	resp := kmsg.NewPtrProduceResponse()
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset, rp.ErrorCode = p.Partition, int64(n.id), code.Code()
			if code != wire.None {
				rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = 3, 9
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
