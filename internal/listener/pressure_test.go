package listener

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// An announcement is four bytes: what it announces is no reason to make memory.
func TestAnnouncedFramesTakeNoMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const connections = 500
	s, _ := newServer(t, Config{Handler: echo("")})
	conns := make([]client, connections)
	for i := range conns {
		conns[i] = dial(t, s)
	}
	before := memory()
	for _, c := range conns {
		c.send(binary.BigEndian.AppendUint32(nil, 100<<20))
	}
	waitFor(t, func() bool { return s.Stats().ConnectionsOpen == connections })
	for _, c := range conns {
		c.send([]byte{0})
	}
	per := (int64(memory()) - int64(before)) / connections
	t.Logf("%d bytes for an announced frame", per)
	if per > 12<<10 {
		t.Error("at most 12 KiB")
	}
}

// What has arrived of a frame buys it time, not what is still to come.
func TestSilenceInAHugeFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{Handler: echo("")})
		c := dial(t, s)
		before := time.Now()
		c.send(produce(1, 90<<20)[:256<<10])
		c.expectClosed()
		if took := time.Since(before); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// While others wait, a client that holds memory has to send.
func TestWhoHoldsMemoryHasToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, lines := newServer(t, Config{BudgetBytes: 64 << 20, Handler: echo("ok")})
		hog, steady := dial(t, s), dial(t, s)
		hog.send(produce(1, 30<<20)[:100<<10])
		synctest.Wait()
		common := dial(t, s)
		before := time.Now()
		go common.send(produce(2, 1<<20))
		common.reply()
		if took := time.Since(before); took != 0 {
			t.Errorf("a common frame waited for %v behind a large one", took)
		}
		go steady.send(produce(3, 20<<20))
		steady.reply()
		if took := time.Since(before); took > 3*time.Second {
			t.Errorf("another large frame waited for %v", took)
		}
		hog.expectClosed()
		synctest.Wait() // a reply may be there before its request's memory is given back
		if st := s.Stats(); st.ClosedSlowFrame != 1 || st.BudgetUsedBytes != 0 || !lines.contains("while others wait for memory") {
			t.Errorf("%+v", st)
		}
	})
}

// Clients that do not read cost memory until there is too little of it; who reads is not made to wait.
func TestRepliesUnderPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{ReplyBytesMax: 8 << 20, Handler: echo(strings.Repeat("x", 1<<20))})
		idlers := make([]client, 20)
		for i := range idlers {
			idlers[i] = dial(t, s)
			idlers[i].send(metadata(1))
		}
		slow := dial(t, s) // takes a little at a time
		slow.send(metadata(1))
		taken := make(chan error, 1)
		go func() {
			b := make([]byte, 128<<10)
			for range 8 {
				time.Sleep(700 * time.Millisecond)
				if _, err := slow.Read(b); err != nil {
					taken <- err
					return
				}
			}
			taken <- nil
		}()
		reader := dial(t, s)
		for range 50 {
			before := time.Now()
			reader.send(metadata(2))
			reader.reply()
			if took := time.Since(before); took != 0 {
				t.Fatalf("a client that reads waited for %v", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := <-taken; err != nil {
			t.Errorf("a slow client was closed: %v", err)
		}
		if st := s.Stats(); st.ClosedNotReading < 12 || st.ReplyHeldBytes > 8<<20 {
			t.Errorf("%+v", st)
		}
	})
}

// held is a reply that counts its releases.
type held struct {
	plain
	fails    bool
	released *atomic.Int32
}

func (h held) AppendTo(dst []byte) ([]byte, error) {
	if h.fails {
		return dst, errors.New("unreadable")
	}
	return h.plain.AppendTo(dst)
}

func (h held) Release() { h.released.Add(1) }

func TestRepliesAreReleased(t *testing.T) {
	for name, c := range map[string]struct {
		fails, gone bool
	}{"sent": {}, "not encoded": {fails: true}, "nobody there": {gone: true}} {
		t.Run(name, func(t *testing.T) {
			var released atomic.Int32
			started, gone := make(chan struct{}), make(chan struct{})
			s, _ := newServer(t, Config{Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
				return func(ctx context.Context) wire.Response {
					close(started)
					if c.gone {
						<-gone
						<-ctx.Done()
					}
					return held{"ok", c.fails, &released}
				}, nil
			}}})
			conn := dial(t, s)
			conn.send(metadata(1))
			<-started
			if c.gone {
				conn.Close()
				close(gone)
			}
			waitFor(t, func() bool { return released.Load() == 1 })
			s.Close()
			if n := released.Load(); n != 1 {
				t.Errorf("released %d times", n)
			}
		})
	}
}
