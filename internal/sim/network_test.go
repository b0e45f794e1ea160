package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a server and a client with a connection between them.
type wire struct {
	n              *Network
	server, client *Host
	l              net.Listener
	near, far      net.Conn
}

func connect(t *testing.T) *wire {
	t.Helper()
	n := NewNetwork(1, NewTrace())
	w := &wire{n: n, server: n.AddHost("server", "10.0.0.1"), client: n.AddHost("client", "10.0.0.2")}
	var err error
	if w.l, err = w.server.Process().Listen("10.0.0.1:9092"); err != nil {
		t.Fatal(err)
	}
	w.dial(t)
	return w
}

func (w *wire) dial(t *testing.T) {
	t.Helper()
	var err error
	if w.near, err = w.client.Process().Dial(t.Context(), "10.0.0.1:9092"); err != nil {
		t.Fatal(err)
	}
	if w.far, err = w.l.Accept(); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

// expect reads s, and returns how long that took.
func expect(t *testing.T, c net.Conn, s string) time.Duration {
	t.Helper()
	begin, b := time.Now(), make([]byte, len(s))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != s {
		t.Fatalf("read %q, %v; want %q", b, err, s)
	}
	return time.Since(begin)
}

func expectError(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if _, err := io.ReadAll(onlyReader{c}); !errors.Is(err, want) {
		t.Fatalf("read ended with %v, want %v", err, want)
	}
}

// onlyReader turns the end of a stream into an error that ReadAll returns.
type onlyReader struct{ net.Conn }

func (r onlyReader) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if err == io.EOF {
		err = errors.Join(errEnd)
	}
	return n, err
}

var errEnd = errors.New("the end")

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestNetworkDelivers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		w.n.Condition(w.client, w.server, Conditions{Latency: 50 * time.Millisecond, BytesPerSecond: 1000})
		send(t, w.near, string(make([]byte, 940))) // and 60 of headers: a second
		if took := expect(t, w.far, string(make([]byte, 940))); took != 1050*time.Millisecond {
			t.Errorf("took %v", took)
		}
		send(t, w.far, "back")
		expect(t, w.near, "back")
		w.near.Close()
		expectError(t, w.far, errEnd)
		if _, err := w.far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
	})
}

func TestNetworkCutOneWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		w.n.Cut(w.client, w.server)
		send(t, w.near, "lost")
		send(t, w.far, "there")
		expect(t, w.near, "there")
		if err := w.far.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.far.Read(make([]byte, 1)); !isTimeout(err) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.client.Process().Dial(ctx, "10.0.0.1:9092"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		w.n.Heal(w.client, w.server)
		if err := w.far.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		expect(t, w.far, "lost") // sent again
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func TestNetworkKillResets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		old := w.server.Process()
		w.server.Kill()
		expectError(t, w.near, syscall.ECONNRESET)
		if _, err := w.far.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := w.l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := old.Dial(t.Context(), "10.0.0.2:1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Error(err)
		}
		if _, err := w.client.Process().Dial(t.Context(), "10.0.0.1:9092"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
		var err error
		if w.l, err = w.server.Process().Listen(":9092"); err != nil {
			t.Fatal(err)
		}
		w.dial(t)
		send(t, w.near, "again")
		expect(t, w.far, "again")
	})
}

func TestNetworkPowerLossIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		w.server.PowerOff()
		send(t, w.near, "into the void")
		if err := w.near.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.near.Read(make([]byte, 1)); !isTimeout(err) {
			t.Fatal(err)
		}
		if err := w.near.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.server.Boot()
		expectError(t, w.near, syscall.ECONNRESET)
	})
}

func TestNetworkPauseHolds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		w.server.Pause()
		send(t, w.far, "held")
		send(t, w.near, "unread")
		for _, c := range []net.Conn{w.near, w.far} {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		w.server.Resume()
		expect(t, w.near, "held")
		expect(t, w.far, "unread")
	})
}

func TestNetworkReset(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		send(t, w.near, "0123456789")
		if !w.n.Reset(w.client) {
			t.Fatal("there is a connection")
		}
		got, err := io.ReadAll(w.far)
		if !errors.Is(err, syscall.ECONNRESET) || len(got) > 10 || string(got) != "0123456789"[:len(got)] {
			t.Errorf("%q, %v", got, err)
		}
		expectError(t, w.near, syscall.ECONNRESET)
	})
}

func TestNetworkWriterWaitsForWindow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := connect(t)
		done := make(chan error, 1)
		go func() {
			_, err := w.near.Write(make([]byte, 3*windowBytes))
			done <- err
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("there is no room for so much")
		default:
		}
		expect(t, w.far, string(make([]byte, 3*windowBytes)))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
