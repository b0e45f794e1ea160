package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func openStream(t *testing.T, p *Peers) *Stream {
	t.Helper()
	s, err := p.Open(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answerTo(s *Sent) (string, error) {
	resp, err := s.Wait(context.Background())
	if err != nil {
		return "", err
	}
	return *resp.(*kmsg.MetadataResponse).ClusterID, nil
}

// Requests of a stream are answered in order, those that are never answered in between; streams do not wait for each other.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, func(c net.Conn) {
			for {
				a, err := readRequest(c)
				if err != nil {
					return
				}
				switch topic := topicOf(a); topic {
				case "one way":
				case "slow":
					time.Sleep(time.Minute)
					fallthrough
				default:
					_ = reply(c, a, topic)
				}
			}
		})
		s, other := openStream(t, p), openStream(t, p)
		arrived := make(chan struct{}, 1)
		slow := other.Send(Message{Request: metadata("slow"), Patience: time.Minute, Arrived: arrived})
		if slow.call.frame != nil {
			t.Error("a request that was sent is kept until it is answered")
		}
		var sent []*Sent
		for i := range 4 {
			sent = append(sent, s.Send(Message{Request: metadata(fmt.Sprint(i))}))
			if err := s.SendOneWay(Message{Request: metadata("one way")}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range sent {
			if got, err := answerTo(sent[i]); got != fmt.Sprint(i) {
				t.Errorf("answer %d is %q, %v", i, got, err)
			}
		}
		if slow.Answered() {
			t.Error("there is an answer already")
		}
		<-arrived
		if got, err := answerTo(slow); got != "slow" {
			t.Errorf("%q, %v", got, err)
		}
		if network.dials() != 2 {
			t.Errorf("%d connections", network.dials())
		}
		other.Close()
		if ended, answered := other.Ended(); !ended || !answered {
			t.Errorf("a stream that is closed: %v, %v", ended, answered)
		}
		p.Close()
		if ended, answered := s.Ended(); !ended || answered {
			t.Errorf("a stream that was cut behind what is never answered: %v, %v", ended, answered)
		}
	})
}

// What ends a stream fails what waits for it, and the stream is not made again.
func TestStreamsEnd(t *testing.T) {
	for name, end := range map[string]func(*Peers, *network){
		"node dead": func(p *Peers, _ *network) { p.EndStreams(2) },
		"moved":     func(p *Peers, _ *network) { p.SetAddress(2, "elsewhere") },
		"forgotten": func(p *Peers, _ *network) { p.Forget(2) },
		"closed":    func(p *Peers, _ *network) { p.Close() },
		"cut":       func(_ *Peers, n *network) { n.cut() },
		"silent":    func(*Peers, *network) { time.Sleep(30*time.Second + time.Minute) },
	} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			p, network := newPeers(t, func(c net.Conn) {
				_, _ = readRequest(c)
				<-release
			})
			s := openStream(t, p)
			sent := s.Send(Message{Request: metadata("a"), Patience: time.Minute})
			synctest.Wait()
			if ended, _ := s.Ended(); ended {
				t.Errorf("%s: it has ended before", name)
			}
			end(p, network)
			if _, err := answerTo(sent); !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNotSent) {
				t.Errorf("%s: %v", name, err)
			}
			if ended, answered := s.Ended(); !ended || answered {
				t.Errorf("%s: ended %v, answered %v", name, ended, answered)
			}
			if _, err := answerTo(s.Send(Message{Request: metadata("b")})); !errors.Is(err, ErrNotSent) {
				t.Errorf("%s: sent by a stream that has ended: %v", name, err)
			}
			if err := s.SendOneWay(Message{Request: metadata("b")}); !errors.Is(err, ErrNotSent) {
				t.Errorf("%s: sent one way: %v", name, err)
			}
			close(release)
			p.Close()
		})
	}
}

// A node that cannot be reached is not tried by everybody at once.
func TestOpenUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, network := newPeers(t, echo)
		for address := range network.serve {
			network.set(address, nil)
		}
		for range 10 {
			if _, err := p.Open(t.Context(), 2); !errors.Is(err, ErrNotSent) {
				t.Errorf("opened: %v", err)
			}
		}
		if n := network.dials(); n != 1 {
			t.Errorf("%d attempts at once", n)
		}
		for address := range network.serve {
			network.set(address, echo)
		}
		time.Sleep(unreachablePause)
		s := openStream(t, p)
		if got, err := answerTo(s.Send(Message{Request: metadata("a")})); got != "a" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := p.Open(t.Context(), 7); !errors.Is(err, ErrUnknownNode) {
			t.Errorf("an unknown node: %v", err)
		}
		p.Close()
		if _, err := p.Open(t.Context(), 2); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A client that goes while it is connected to a node does not keep others from trying.
func TestOpenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging, network := true, &network{serve: map[string]func(net.Conn){here: echo}}
		p := New(Config{Self: 1, Dial: func(ctx context.Context, address string) (net.Conn, error) {
			if hanging {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return network.dial(ctx, address)
		}})
		p.SetAddress(2, here)
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Open(gone, 2); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		hanging = false
		s := openStream(t, p)
		if got, err := answerTo(s.Send(Message{Request: metadata("a")})); got != "a" {
			t.Errorf("%q, %v", got, err)
		}
		p.Close()
	})
}
