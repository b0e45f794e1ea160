package listener

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// canned answers Produce with one prepared reply, without a closure for each request.
type canned struct {
	finish Finish
}

func newCanned() canned {
	reply := &wire.ProduceResponse{Version: 7, Topics: []wire.ProduceTopicReply{{Topic: "t", Partitions: make([]wire.ProducePartitionReply, 1)}}}
	return canned{func(context.Context) wire.Response { return reply }}
}

func (canned) Lookup(key, _ int16) (API, error) { return API{Pipelines: key == wire.KeyProduce}, nil }

func (h canned) Start(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
	return h.finish, nil
}

// window keeps five requests in flight, as clients do, and returns after n replies.
func window(b testing.TB, conn net.Conn, frame []byte, n int) {
	const inFlight = 5
	reply := make([]byte, 4096)
	replied := func() {
		if _, err := io.ReadFull(conn, reply[:4]); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, reply[:binary.BigEndian.Uint32(reply)]); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		if i >= inFlight {
			replied()
		}
		if _, err := conn.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	for range min(n, inFlight) {
		replied()
	}
}

func BenchmarkProduce(b *testing.B) {
	dials := map[string]func(testing.TB, *Server) client{"tcp": dialTCP, "inprocess": dial}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1KiB", 1 << 10}, {"16KiB", 16 << 10}, {"900KiB", 900 << 10}} {
		for name, dial := range dials {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				s, _ := newServer(b, Config{Handler: newCanned()})
				conn := dial(b, s)
				frame := produce(1, size.bytes)
				window(b, conn, frame, 10)
				b.SetBytes(int64(len(frame)))
				b.ReportAllocs()
				b.ResetTimer()
				window(b, conn, frame, b.N)
			})
		}
	}
}

// TestProduceDoesNotAllocate counts what a request takes on both sides, of which the client's is nothing.
func TestProduceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s, _ := newServer(t, Config{Handler: newCanned()})
	conn := dialTCP(t, s)
	frame := produce(1, 1<<10)
	window(t, conn, frame, 100)
	const requests = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	window(t, conn, frame, requests)
	runtime.ReadMemStats(&after)
	if per := float64(after.Mallocs-before.Mallocs) / requests; per > 0.2 {
		t.Errorf("%.2f allocations a request, at most 0.2", per)
	}
}

// TestIdleConnectionBytes measures what connections take that have had a request answered and fallen silent. The figure
// includes the client's end, for which the limit allows a KiB.
func TestIdleConnectionBytes(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const connections = 500
	s, _ := newServer(t, Config{Handler: newCanned(), FrameTimeout: 50 * time.Millisecond})
	frame := produce(1, 1<<10)
	first := dialTCP(t, s)
	window(t, first, frame, 10)
	conns := make([]net.Conn, connections)
	before := memory()
	for i := range conns {
		conn, err := net.Dial("tcp", first.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
		window(t, conn, frame, 1)
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() < connections+20 }) // the writers have retired
	per := (int64(memory()) - int64(before)) / connections
	t.Logf("%d bytes for an idle connection, both ends", per)
	if per > 5<<10+1<<10 {
		t.Error("at most 5 KiB for the server's end")
	}
}

func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestReplyIsReadableByKmsg reads a whole reply as a client does.
func TestReplyIsReadableByKmsg(t *testing.T) {
	s, _ := newServer(t, Config{Handler: newCanned()})
	c := dial(t, s)
	c.send(produce(9, 10))
	correlation, body := c.reply()
	response := kmsg.NewPtrProduceResponse()
	response.Version = 7
	if err := response.ReadFrom([]byte(body)); err != nil || correlation != 9 || response.Topics[0].Topic != "t" {
		t.Errorf("%d %+v, %v", correlation, response, err)
	}
}

func FuzzConnection(f *testing.F) {
	f.Add(produce(1, 10))
	f.Add(append(metadata(1), produce(2, 100)...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		s, err := New(Config{Handler: echo("ok")})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := s.DialInProcess(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, conn)
		_, _ = conn.Write(sent)
		conn.Close()
		waitFor(t, func() bool { return s.Stats().ConnectionsOpen == 0 })
		if st := s.Stats(); st.ClosedByPanic != 0 || st.BudgetUsedBytes != 0 {
			t.Fatalf("%+v", st)
		}
		s.Close()
	})
}
