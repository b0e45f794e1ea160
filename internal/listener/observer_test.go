package listener

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// witness is an Observer that writes down what it is told.
type witness struct {
	mu   sync.Mutex
	said []string
}

func (w *witness) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *witness) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said)
}

func (w *witness) Finished(_ *Conn, h wire.RequestHeader, r wire.Response) {
	w.say("finished %d %v", h.Key, r)
}

func (w *witness) Sent(_ *Conn, h wire.RequestHeader, arrived, left time.Time, in, out int) {
	w.say("sent %d %d %d %v", h.Key, in, out, !left.Before(arrived))
}

func (w *witness) Refused(_ *Conn, h wire.RequestHeader, err error) {
	w.say("refused %d v%d %v", h.Key, h.Version, err != nil)
}

// TestConnectionsOfOneAddress: an address can have a limit of its own, in both directions.
func TestConnectionsOfOneAddress(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	s, _ := newServer(t, Config{Handler: echo("hello"), ConnectionsPerIPMax: 1, ConnectionsOfIPMax: map[netip.Addr]int{local: 2}})
	first := dialTCP(t, s)
	first.send(metadata(1))
	first.reply()
	second := dialTCP(t, s)
	second.send(metadata(2))
	second.reply()
	third := dialTCP(t, s)
	third.expectClosed()
	nobody, _ := newServer(t, Config{Handler: echo("hello"), ConnectionsOfIPMax: map[netip.Addr]int{local: 0}})
	refused := dialTCP(t, nobody)
	refused.expectClosed()
}

func TestObserver(t *testing.T) {
	w := &witness{}
	silent := script{func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
		return func(context.Context) wire.Response {
			if h.Key == wire.KeyProduce {
				return nil
			}
			return plain("hello")
		}, nil
	}}
	s, _ := newServer(t, Config{Handler: silent, Observer: w})
	c := dial(t, s)
	first, second := produce(1, 10), metadata(2)
	c.send(first, second)
	c.reply()
	beat := kmsg.NewHeartbeatRequest()
	beat.Version = 4
	c.send(framed(&beat, 3))
	c.expectClosed()
	torn := dial(t, s)
	frame := metadata(4)
	frame[3]--
	torn.send(frame[:len(frame)-1])
	torn.expectClosed()

	want := []string{
		"finished 0 <nil>", fmt.Sprintf("sent 0 %d 0 true", len(first)),
		"finished 3 hello", fmt.Sprintf("sent 3 %d 13 true", len(second)),
		"refused 12 v4 true", "refused 3 v0 true",
	}
	waitFor(t, func() bool { return len(w.all()) >= len(want) })
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
