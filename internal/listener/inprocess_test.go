package listener

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnConformance runs the rules of net.Conn against a Pipe and, to know that they are the rules, a TCP connection.
func TestConnConformance(t *testing.T) {
	for name, pair := range map[string]func(t *testing.T) (net.Conn, net.Conn){"pipe": pipePair, "tcp": tcpPair} {
		for rule, test := range map[string]func(t *testing.T, a, b net.Conn){
			"carries both ways at once": carriesBothWays,
			"close ends reads":          closeEndsReads,
			"close ends own calls":      closeEndsOwnCalls,
			"writes to the gone fail":   writesToGoneFail,
			"read deadline":             readDeadline,
			"write deadline":            writeDeadline,
			"deadline interrupts":       deadlineInterrupts,
			"concurrent use":            concurrentUse,
			"close twice":               closeTwice,
		} {
			t.Run(name+"/"+rule, func(t *testing.T) {
				a, b := pair(t)
				t.Cleanup(func() { a.Close(); b.Close() })
				test(t, a, b)
			})
		}
	}
}

func pipePair(*testing.T) (net.Conn, net.Conn) { return Pipe() }

func tcpPair(t *testing.T) (net.Conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func carriesBothWays(t *testing.T, a, b net.Conn) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	data := make([]byte, 2<<20)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	var all sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		all.Go(func() {
			for rest := data; len(rest) > 0; {
				n := min(1+int(data[len(rest)-1])*300, len(rest))
				if wrote, err := c.Write(rest[:n]); wrote != n || err != nil {
					t.Errorf("wrote %d of %d: %v", wrote, n, err)
					return
				}
				rest = rest[n:]
			}
		})
		all.Go(func() {
			got := make([]byte, len(data))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("data differ: %v", err)
			}
		})
	}
	all.Wait()
}

func closeEndsReads(t *testing.T, a, b net.Conn) {
	if _, err := a.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if got, err := io.ReadAll(b); err != nil || string(got) != "last words" {
		t.Errorf("%q, %v", got, err)
	}
}

func closeEndsOwnCalls(t *testing.T, a, b net.Conn) {
	reading := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		reading <- err
	}()
	a.Close()
	if err := <-reading; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a read that was waiting: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	if _, err := a.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed connection")
	}
}

func writesToGoneFail(t *testing.T, a, b net.Conn) {
	b.Close()
	for range 1000 {
		if _, err := a.Write(make([]byte, 1<<10)); err != nil {
			return
		}
	}
	t.Error("a thousand writes to nobody")
}

func readDeadline(t *testing.T, a, b net.Conn) {
	a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %v", err)
	}
	var timeout net.Error
	_, err := a.Read(make([]byte, 1))
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v is no timeout", err)
	}
	if _, err := a.Write([]byte("x")); err != nil {
		t.Errorf("a write after the deadline of reads: %v", err)
	}
	a.SetReadDeadline(time.Time{})
	if _, err := b.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Errorf("without deadline: %v", err)
	}
}

func writeDeadline(t *testing.T, a, b net.Conn) {
	data := make([]byte, 64<<20)
	a.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := a.Write(data)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(data) {
		t.Fatalf("wrote %d: %v", n, err)
	}
	a.SetDeadline(time.Time{})
	go io.Copy(io.Discard, b)
	if _, err := a.Write(data[:1<<20]); err != nil {
		t.Errorf("without deadline: %v", err)
	}
}

func deadlineInterrupts(t *testing.T, a, b net.Conn) {
	for range 20 {
		reading := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			reading <- err
		}()
		a.SetReadDeadline(time.Unix(1, 0))
		if err := <-reading; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		a.SetReadDeadline(time.Time{})
	}
}

func concurrentUse(t *testing.T, a, b net.Conn) {
	const writers, bytesEach = 8, 100 << 10
	var writing, reading sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range writers {
		writing.Go(func() {
			if _, err := a.Write(make([]byte, bytesEach)); err != nil {
				t.Error(err)
			}
		})
		reading.Go(func() {
			n, _ := io.Copy(io.Discard, b)
			mu.Lock()
			defer mu.Unlock()
			total += int(n)
		})
	}
	writing.Wait()
	a.Close()
	reading.Wait()
	if total != writers*bytesEach {
		t.Errorf("%d of %d bytes", total, writers*bytesEach)
	}
}

func closeTwice(_ *testing.T, a, b net.Conn) {
	a.Close()
	a.Close()
	b.Close()
}

// TestPipeIsIdleInSynctest waits on a Pipe in a bubble: a wait that held a lock would stop its clock.
func TestPipeIsIdleInSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		a.SetReadDeadline(time.Now().Add(time.Hour))
		before := time.Now()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(before) != time.Hour {
			t.Errorf("after %v: %v", time.Since(before), err)
		}
		go func() {
			time.Sleep(time.Minute)
			io.CopyN(io.Discard, b, 1<<20)
		}()
		if _, err := a.Write(make([]byte, 1<<20)); err != nil || time.Since(before) != time.Hour+time.Minute {
			t.Errorf("after %v: %v", time.Since(before), err)
		}
	})
}
