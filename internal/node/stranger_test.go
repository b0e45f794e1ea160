package node

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// strangerFrames is how many frames a stranger sends per node, each on a connection of its own.
const strangerFrames = 300

// Who does not know the cluster's id changes nothing with what only nodes say, well formed or not, and ends nobody.
func TestStrangersChangeNothing(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	c.createTopic(c.nodes[1], "orders", 3, 3)
	leader := c.nodes[c.controller()]
	epoch, brokers := leader.quorum.Status().Epoch, len(leader.quorum.Image().Brokers())
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, address := range []string{"node-1:9092", "node-2:9092", "node-3:9092"} {
		for range strangerFrames {
			c.say(address, strangerFrame(rnd))
		}
	}
	c.produce("orders", "a", "b", "c")
	for id, n := range c.nodes {
		status := n.quorum.Status()
		if n.stopping() || status.Epoch != epoch || status.Leader != leader.NodeID() || len(status.Members) != 3 {
			t.Errorf("node %d: stops %v, %+v; epoch was %d, the leader %d", id, n.stopping(), status, epoch, leader.NodeID())
		}
	}
	if img := leader.quorum.Image(); len(img.Brokers()) != brokers {
		t.Errorf("brokers: %v", img.Brokers())
	}
}

// say sends one frame on a connection of its own and waits until it is answered or hung up on.
func (c *testCluster) say(address string, frame []byte) {
	c.t.Helper()
	conn, err := c.network.Dial(c.t.Context(), address)
	if err != nil {
		c.t.Fatalf("%s takes no connection any more: %v", address, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(frame); err != nil {
		return // hung up on
	}
	var answer [1]byte
	if _, err := conn.Read(answer[:]); err != nil {
		if slow, ok := err.(net.Error); ok && slow.Timeout() {
			c.t.Fatalf("%s neither answers nor hangs up: % x", address, frame)
		}
	}
}

// strangerFrame makes a request that only nodes send: whole, with some bytes changed, or of random bytes.
func strangerFrame(rnd *rand.Rand) []byte {
	requests := []kmsg.Request{
		&wire.RaftMessagesRequest{ClusterID: "another", From: 2, Address: "evil:1", To: rnd.Int32N(4), Messages: [][]byte{randomBytes(rnd, 40)}},
		&wire.HelloRequest{NodeID: rnd.Int32N(4)},
		&kmsg.EnvelopeRequest{RequestData: randomBytes(rnd, 60), ClientHostAddress: []byte{}},
		&kmsg.BrokerHeartbeatRequest{BrokerID: rnd.Int32N(4), BrokerEpoch: 1 << 40, WantFence: true, WantShutdown: true},
		&kmsg.BrokerRegistrationRequest{BrokerID: rnd.Int32N(9), ClusterID: "another", IncarnationID: [16]byte{1}},
		&kmsg.AlterPartitionRequest{BrokerID: rnd.Int32N(4), BrokerEpoch: 1 << 40},
	}
	req := requests[rnd.IntN(len(requests))]
	req.SetVersion(req.MaxVersion())
	head := wire.AppendRequestHeader(nil, wire.RequestHeader{Key: req.Key(), Version: req.GetVersion()})
	body := req.AppendTo(nil)
	switch rnd.IntN(3) {
	case 0:
		body = randomBytes(rnd, 200)
	case 1:
		for range 1 + rnd.IntN(4) {
			body = append(body, 0)
			body[rnd.IntN(len(body))] ^= byte(1 << rnd.IntN(8))
		}
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(head)+len(body)))
	return append(append(frame, head...), body...)
}

func randomBytes(rnd *rand.Rand, most int) []byte {
	b := make([]byte, rnd.IntN(most+1))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}
