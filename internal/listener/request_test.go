package listener

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/wire"
)

// TestFramesArriveInPieces sends frames of all lengths, cut where it happens, and looks at what is made of them.
func TestFramesArriveInPieces(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for name, dial := range map[string]func(testing.TB, *Server) client{"tcp": dialTCP, "inprocess": dial} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			s, _ := newServer(t, Config{BudgetBytes: 8 << 20, Handler: script{func(_ context.Context, _ *Conn, _ wire.RequestHeader, body any) (Finish, error) {
				text := plain("other")
				if p, ok := body.(*wire.ProduceRequest); ok {
					text = plain(fmt.Sprint(len(p.Topics[0].Partitions[0].Records)))
				}
				return func(context.Context) wire.Response { return text }, nil
			}}})
			c := dial(t, s)
			var stream []byte
			var want []string
			for i := range int32(400) {
				n := rng.IntN(1 << (1 + rng.IntN(18)))
				if rng.IntN(10) == 0 {
					stream, want = append(stream, metadata(i)...), append(want, "other")
				} else {
					stream, want = append(stream, produce(i, n)...), append(want, fmt.Sprint(n))
				}
			}
			go inPieces(c, stream, rng)
			for i := range want {
				if correlation, body := c.reply(); correlation != int32(i) || body != want[i] {
					t.Fatalf("reply %d %q, want %d %q", correlation, body, i, want[i])
				}
			}
			waitFor(t, func() bool { return s.Stats().BudgetUsedBytes == 0 })
			if st := s.Stats(); st.RequestBytes != int64(len(stream)) || st.Requests != int64(len(want)) {
				t.Errorf("%+v for %d bytes", st, len(stream))
			}
		})
	}
}

// inPieces writes a stream in pieces of all lengths. An error shows in the replies that do not come.
func inPieces(conn net.Conn, stream []byte, rng *rand.Rand) {
	for len(stream) > 0 {
		n := min(1+rng.IntN(1<<(1+rng.IntN(20))), len(stream))
		if _, err := conn.Write(stream[:n]); err != nil {
			return
		}
		stream = stream[n:]
	}
}

// TestShortFramesAreReadTogether counts the reads of a window of short frames.
func TestShortFramesAreReadTogether(t *testing.T) {
	s, _ := newServer(t, Config{Handler: echo("ok")})
	near, far := Pipe()
	reads := make(chan int, 1000)
	if err := s.accept(readCounted{far, reads}); err != nil {
		t.Fatal(err)
	}
	c := client{near, t}
	t.Cleanup(func() { near.Close() })
	c.send(produce(0, 1000))
	c.reply()
	for len(reads) > 0 {
		<-reads
	}
	c.send(produce(1, 1000), produce(2, 1000), produce(3, 1000), produce(4, 1000), produce(5, 1000))
	for range 5 {
		c.reply()
	}
	if got := len(reads); got > 2 {
		t.Errorf("%d reads of five frames, want one of the first length and one of all the rest", got)
	}
}

// readCounted tells of each read that brought something.
type readCounted struct {
	net.Conn
	reads chan int
}

func (c readCounted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && err != io.EOF {
		c.reads <- n
	}
	return n, err
}
