package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is where nodes are reached: an address has a function that serves one connection.
type network struct {
	mu     sync.Mutex
	serve  map[string]func(net.Conn)
	dialed []time.Time
	conns  []net.Conn // the nodes' ends
}

var errRefused = errors.New("connection refused")

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialed = append(n.dialed, time.Now())
	serve := n.serve[address]
	if serve == nil {
		return nil, errRefused
	}
	client, server := net.Pipe()
	n.conns = append(n.conns, server)
	go func() {
		defer server.Close()
		serve(server)
	}()
	return client, nil
}

func (n *network) dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dialed)
}

func (n *network) set(address string, serve func(net.Conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serve[address] = serve
}

// cut closes the nodes' ends of all connections.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
}

const here = "node:9092"

// newPeers gives Peers that know node 2 at here, served by serve.
func newPeers(t *testing.T, serve func(net.Conn)) (*Peers, *network) {
	n := &network{serve: map[string]func(net.Conn){}}
	if serve != nil {
		n.serve[here] = serve
	}
	p := New(Config{Self: 1, Dial: n.dial})
	t.Cleanup(func() {
		p.Close()
		n.cut()
	})
	p.SetAddress(2, here)
	return p, n
}

// asked is a request as a node has read it.
type asked struct {
	header wire.RequestHeader
	body   []byte
}

func readRequest(c net.Conn) (asked, error) {
	var length [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return asked{}, err
	}
	frame := make([]byte, wire.FrameLength(length))
	if _, err := io.ReadFull(c, frame); err != nil {
		return asked{}, err
	}
	h, body, err := wire.ReadRequestHeader(frame)
	return asked{h, body}, err
}

// reply sends a Metadata response that names cluster as its id.
func reply(c net.Conn, a asked, cluster string) error {
	resp := kmsg.NewPtrMetadataResponse()
	resp.Version, resp.ClusterID = a.header.Version, &cluster
	frame, err := wire.AppendReply(nil, a.header, wire.Message(resp))
	if err != nil {
		return err
	}
	_, err = c.Write(frame)
	return err
}

func metadata(topic string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	return req
}

func topicOf(a asked) string {
	req, err := wire.DecodeRequest(a.header.Key, a.header.Version, a.body)
	if err != nil {
		return err.Error()
	}
	return *req.(*kmsg.MetadataRequest).Topics[0].Topic
}

// echo answers every request with its topic's name.
func echo(c net.Conn) {
	for {
		a, err := readRequest(c)
		if err != nil || reply(c, a, topicOf(a)) != nil {
			return
		}
	}
}

func ask(p *Peers, lane Lane, topic string) (string, error) {
	return askIn(context.Background(), p, lane, topic)
}

func askIn(ctx context.Context, p *Peers, lane Lane, topic string) (string, error) {
	resp, err := p.Request(ctx, 2, lane, metadata(topic))
	if err != nil {
		return "", err
	}
	return *resp.(*kmsg.MetadataResponse).ClusterID, nil
}

func TestRequestsLeaveInOrderAndDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5
		var order []string
		p, network := newPeers(t, func(c net.Conn) {
			var all []asked
			for range n {
				a, err := readRequest(c)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, topicOf(a))
				all = append(all, a)
			}
			for _, a := range all {
				if err := reply(c, a, topicOf(a)); err != nil {
					t.Error(err)
				}
			}
		})
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if got, err := ask(p, Control, fmt.Sprint(i)); got != fmt.Sprint(i) {
					t.Errorf("request %d: %q, %v", i, got, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if fmt.Sprint(order) != "[0 1 2 3 4]" || network.dials() != 1 {
			t.Errorf("order %v over %d connections", order, network.dials())
		}
		p.Close()
	})
}

func TestLanesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPeers(t, func(c net.Conn) {
			a, err := readRequest(c)
			if err != nil || topicOf(a) == "slow" {
				_, _ = readRequest(c) // whatever comes: until the end
				return
			}
			_ = reply(c, a, "quick")
		})
		slow := make(chan error, 1)
		go func() {
			_, err := ask(p, Control, "slow")
			slow <- err
		}()
		synctest.Wait()
		if got, err := ask(p, Liveness, "beat"); got != "quick" {
			t.Errorf("%q, %v", got, err)
		}
		p.Close()
		if err := <-slow; !errors.Is(err, ErrNoAnswer) || errors.Is(err, errSilent) {
			t.Errorf("the slow request: %v", err)
		}
	})
}

func TestCutConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, func(c net.Conn) {
			for {
				a, err := readRequest(c)
				if err != nil {
					return
				}
				switch topicOf(a) {
				case "unanswered":
					return
				case "half":
					_, _ = c.Write([]byte{0, 0, 0, 50, 0})
					return
				}
				_ = reply(c, a, "whole")
			}
		})
		for _, topic := range []string{"unanswered", "half"} {
			if _, err := ask(p, Control, topic); !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNotSent) {
				t.Errorf("%s: %v", topic, err)
			}
			if got, err := ask(p, Control, "a"); got != "whole" {
				t.Errorf("after %s: %q, %v", topic, got, err)
			}
		}
		network.cut() // while nothing is asked
		synctest.Wait()
		if got, err := ask(p, Control, "a"); got != "whole" {
			t.Errorf("after a cut between requests: %q, %v", got, err)
		}
		p.Close()
	})
}

func TestUnreachableNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, nil)
		for range 12 {
			if _, err := ask(p, Control, "a"); !errors.Is(err, ErrNotSent) || !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
		}
		network.mu.Lock()
		for i := 1; i < len(network.dialed); i++ {
			pause := network.dialed[i].Sub(network.dialed[i-1])
			most := min(backoffMin<<(i-1), backoffMax)
			if pause < most/2 || pause > most {
				t.Errorf("attempt %d came after %v, want %v to %v", i, pause, most/2, most)
			}
		}
		network.mu.Unlock()
		network.set(here, echo)
		if got, err := ask(p, Control, "a"); got != "a" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := p.Request(context.Background(), 3, Control, metadata("a")); !errors.Is(err, ErrUnknownNode) || !errors.Is(err, ErrNotSent) {
			t.Errorf("a node without an address: %v", err)
		}
		p.Close()
	})
}

func TestSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		for lane, patience := range map[Lane]time.Duration{Control: 30 * time.Second, Liveness: 2 * time.Second} {
			begin := time.Now()
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, err := ask(p, lane, "a"); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, errSilent) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if took := time.Since(begin); took != patience {
				t.Errorf("lane %d gives up after %v, want %v", lane, took, patience)
			}
		}
		if network.dials() != 2 {
			t.Errorf("%d connections for two lanes", network.dials())
		}
		p.Close()
	})
}

func TestNodeThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		p, _ := newPeers(t, func(net.Conn) { <-closed })
		begin := time.Now()
		if _, err := ask(p, Liveness, "a"); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, errSilent) {
			t.Error(err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("given up after %v", took)
		}
		close(closed)
		p.Close()
	})
}

func TestGarbageInsteadOfReplies(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, 1<<31-1)
	for name, garbage := range map[string][]byte{
		"HTTP":                []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"a huge length":       huge,
		"a negative length":   {0xff, 0xff, 0xff, 0xff},
		"no correlation id":   {0, 0, 0, 2, 0, 0},
		"another request's":   {0, 0, 0, 5, 0, 0, 0, 9, 0},
		"tags without an end": {0, 0, 0, 5, 0, 0, 0, 1, 0xff},
		"no body":             {0, 0, 0, 5, 0, 0, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPeers(t, func(c net.Conn) {
					if _, err := readRequest(c); err == nil {
						_, _ = c.Write(garbage)
						_, _ = readRequest(c)
					}
				})
				if _, err := ask(p, Control, "a"); !errors.Is(err, ErrNoAnswer) || errors.Is(err, errSilent) {
					t.Error(err)
				}
				p.Close()
			})
		})
	}
}

func TestUnaskedBytesEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, func(c net.Conn) {
			a, _ := readRequest(c)
			_ = reply(c, a, "one")
			_ = reply(c, a, "two")
			_, _ = readRequest(c)
		})
		for range 2 {
			if got, err := ask(p, Control, "a"); got != "one" {
				t.Errorf("%q, %v", got, err)
			}
			synctest.Wait()
		}
		if network.dials() != 2 {
			t.Errorf("%d connections", network.dials())
		}
		p.Close()
	})
}

func TestMovedAndForgottenNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		network.set("there:9092", echo)
		stuck := make(chan error, 1)
		go func() {
			_, err := ask(p, Control, "a")
			stuck <- err
		}()
		synctest.Wait()
		p.SetAddress(2, "there:9092")
		if err := <-stuck; !errors.Is(err, ErrNoAnswer) || !errors.Is(err, errMoved) {
			t.Errorf("what waited at the old address: %v", err)
		}
		if got, err := ask(p, Control, "b"); got != "b" {
			t.Errorf("%q, %v", got, err)
		}
		if address, ok := p.Address(2); !ok || address != "there:9092" {
			t.Errorf("address %q", address)
		}
		p.Forget(2)
		if _, err := ask(p, Control, "b"); !errors.Is(err, ErrUnknownNode) {
			t.Errorf("a forgotten node: %v", err)
		}
		p.Close()
		p.SetAddress(2, here)
		if _, err := ask(p, Control, "b"); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestDialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Dial: func(ctx context.Context, address string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		p.SetAddress(2, here)
		begin := time.Now()
		if _, err := ask(p, Control, "a"); !errors.Is(err, ErrNotSent) || time.Since(begin) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		failed := make(chan error, 1)
		go func() {
			_, err := ask(p, Liveness, "a")
			failed <- err
		}()
		synctest.Wait()
		p.Close()
		if err := <-failed; !errors.Is(err, ErrNotSent) {
			t.Errorf("an attempt that Close interrupts: %v", err)
		}
	})
}

func TestContextThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, nil)
		_, _ = ask(p, Control, "a")
		_, _ = ask(p, Control, "a")
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if _, err := askIn(ctx, p, Control, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while a connection is waited for: %v", err)
		}
		network.set(here, func(c net.Conn) {
			first, _ := readRequest(c)
			second, _ := readRequest(c)
			_ = reply(c, first, "first")
			_ = reply(c, second, "second")
			_, _ = readRequest(c)
		})
		ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := askIn(ctx, p, Control, "a"); !errors.Is(err, ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sent and given up: %v", err)
		}
		if got, err := ask(p, Control, "a"); got != "second" {
			t.Errorf("the reply behind one that nobody waits for: %q, %v", got, err)
		}
		p.Close()
	})
}

func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPeers(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		var wg sync.WaitGroup
		for range callsMax {
			wg.Go(func() { _, _ = ask(p, Control, "a") })
		}
		synctest.Wait()
		if _, err := ask(p, Control, "a"); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		p.Close()
		wg.Wait()
	})
}

// Who gets this node's signs of life may take the end of their connection for its own: that is told at once, and of no other lane's.
func TestSeveredLivenessIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{serve: map[string]func(net.Conn){here: echo}}
		told := make(chan time.Time, 10)
		p := New(Config{Self: 1, Dial: network.dial, Severed: func(node cluster.NodeID) {
			if node != 2 {
				t.Errorf("node %d", node)
			}
			told <- time.Now()
		}})
		p.SetAddress(2, here)
		for _, lane := range []Lane{Control, Messages, Liveness} {
			if _, err := ask(p, lane, "a"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		cut := time.Now()
		network.cut()
		synctest.Wait()
		if len(told) != 1 || !(<-told).Equal(cut) {
			t.Error("one end of a connection is to be told, at once")
		}
		p.Close()
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 2)
		p, network := newPeers(t, func(c net.Conn) {
			echo(c)
			ended <- time.Now()
		})
		begin := time.Now()
		if got, err := ask(p, Control, "a"); got != "a" {
			t.Errorf("%q, %v", got, err)
		}
		if took := (<-ended).Sub(begin); took != time.Minute {
			t.Errorf("closed after %v", took)
		}
		if got, err := ask(p, Control, "b"); got != "b" || network.dials() != 2 {
			t.Errorf("%q, %v over %d connections", got, err, network.dials())
		}
		p.Close()
	})
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// tickOnce lets a millisecond pass on a bubble's clock.
func tickOnce() { <-time.After(time.Millisecond) }
