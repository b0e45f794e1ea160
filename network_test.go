package logbahn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// joined returns a connection from node 1 to node 2 and its other end.
func joined(t *testing.T, n *network) (dialed, accepted net.Conn) {
	t.Helper()
	address, err := n.claim(2, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.of(2).Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if dialed, err = n.of(1).Dial(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed, accepted
}

// TestCutHoldsBack cuts a way with bytes on it in both directions: they arrive when it is healed, in order.
func TestCutHoldsBack(t *testing.T) {
	for name, sockets := range map[string]bool{"inside the process": false, "sockets": true} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork()
			n.sockets = sockets
			a, b := joined(t, n)
			n.cut(1, 2)
			if _, err := b.Write([]byte("back")); err != nil {
				t.Fatal(err)
			}
			written := make(chan error, 1)
			go func() {
				_, err := a.Write([]byte("there"))
				written <- err
			}()
			if err := a.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4)
			for range 2 {
				if _, err := a.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("read %q over a cut, %v", got, err)
				}
			}
			select {
			case err := <-written:
				t.Fatalf("a write over a cut returned %v", err)
			default:
			}
			n.heal()
			if err := errors.Join(<-written, a.SetReadDeadline(time.Time{})); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, got); err != nil || string(got) != "back" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := io.ReadFull(b, make([]byte, 5)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCutDial(t *testing.T) {
	n := newNetwork()
	joined(t, n)
	n.cut(2, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := n.of(1).Dial(ctx, "127.0.0.1:0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a dial over a cut: %v", err)
	}
	if c, err := n.of(3).Dial(t.Context(), "127.0.0.1:0"); err != nil {
		t.Errorf("another way: %v", err)
	} else {
		c.Close()
	}
	n.heal()
	if c, err := n.of(1).Dial(t.Context(), "127.0.0.1:0"); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

func TestNobodyListens(t *testing.T) {
	n := newNetwork()
	address, err := n.claim(1, "node-1:9092")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.of(2).Dial(t.Context(), address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("before it listens: %v", err)
	}
	l, err := n.of(1).Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.of(1).Listen(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v", err)
	}
	if _, err := n.of(2).Listen(address); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("somebody else's address: %v", err)
	}
	waiting, err := n.of(2).Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection that was never accepted: %v", err)
	}
	if _, err := n.of(2).Dial(t.Context(), address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after it has listened: %v", err)
	}
	if _, err := n.of(2).Dial(t.Context(), "elsewhere:9092"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("an address of nobody: %v", err)
	}
}

// TestDeadlineOverACut changes deadlines under a wait.
func TestDeadlineOverACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := joined(t, n)
		n.cut(1, 2)
		for _, wait := range []time.Duration{time.Hour, time.Minute, 0, -time.Hour} {
			begin := time.Now()
			a.SetWriteDeadline(begin.Add(24 * time.Hour))
			a.SetWriteDeadline(begin.Add(wait))
			if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != max(wait, 0) {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
		}
		a.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			a.Close()
		}()
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed under a write: %v", err)
		}
	})
}
