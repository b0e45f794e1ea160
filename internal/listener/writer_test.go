package listener

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/logbahn/logbahn/internal/wire"
)

// counted counts the writes of a connection.
type counted struct {
	net.Conn
	writes *atomic.Int32
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestRepliesThatAreReadyLeaveTogether has requests wait for one another's end, as produce requests for one flush.
func TestRepliesThatAreReadyLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		releases := map[int32]chan struct{}{1: make(chan struct{}), 4: make(chan struct{})}
		var finished atomic.Int32
		s, _ := newServer(t, Config{Handler: script{func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
			release, held := releases[h.CorrelationID]
			return func(ctx context.Context) wire.Response {
				if held {
					heldUntil(release)(ctx)
				}
				finished.Add(1)
				return plain("")
			}, nil
		}}})
		var writes atomic.Int32
		near, far := Pipe()
		if err := s.accept(counted{far, &writes}); err != nil {
			t.Fatal(err)
		}
		c := client{near, t}
		t.Cleanup(func() { near.Close() })
		c.send(produce(1, 1), produce(2, 1), produce(3, 1), produce(4, 1), produce(5, 1))
		synctest.Wait()
		if got := finished.Load(); got != 0 {
			t.Fatalf("%d requests finished before the first", got)
		}
		close(releases[1])
		synctest.Wait()
		if got := finished.Load(); got != 3 || writes.Load() != 1 {
			t.Errorf("%d replies in %d writes, want 3 in one, while the fourth waits", got, writes.Load())
		}
		for want := range int32(3) {
			if correlation, _ := c.reply(); correlation != want+1 {
				t.Errorf("reply to %d, want %d", correlation, want+1)
			}
		}
		close(releases[4])
		synctest.Wait()
		if got := finished.Load(); got != 5 || writes.Load() != 2 {
			t.Errorf("%d replies in %d writes, want 5 in two", got, writes.Load())
		}
		c.reply()
		c.reply()
	})
}
