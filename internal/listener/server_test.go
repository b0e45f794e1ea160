package listener

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/logbahn/logbahn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a Handler whose Start is a function. It serves what Kafka has, Produce pipelined, Fetch as one that waits,
// Heartbeat 0 to 2 only.
type script struct {
	start func(ctx context.Context, c *Conn, h wire.RequestHeader, body any) (Finish, error)
}

func (s script) Lookup(key, version int16) (API, error) {
	switch key {
	case wire.KeyProduce:
		return API{Pipelines: true}, nil
	case wire.KeyFetch:
		return API{Waits: true}, nil
	case int16(kmsg.Heartbeat):
		if version > 2 {
			return API{}, errors.New("too new")
		}
		return API{BytesMax: 100 << 10}, nil
	}
	return API{}, nil
}

func (s script) Start(ctx context.Context, c *Conn, h wire.RequestHeader, body any) (Finish, error) {
	return s.start(ctx, c, h, body)
}

// echo answers each request at once with text.
func echo(text string) script {
	return script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
		return func(context.Context) wire.Response { return plain(text) }, nil
	}}
}

// heldUntil answers when release is received from or closed.
func heldUntil(release <-chan struct{}) Finish {
	return func(ctx context.Context) wire.Response {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return plain("")
	}
}

// plain is a response of raw bytes.
type plain string

func (p plain) AppendTo(dst []byte) ([]byte, error) { return append(dst, p...), nil }

// logs keeps log lines for tests to look at.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func newServer(t testing.TB, cfg Config) (*Server, *logs) {
	t.Helper()
	lines := new(logs)
	cfg.Log = slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, lines
}

// client is the other end of a connection.
type client struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, s *Server) client {
	t.Helper()
	conn, err := s.DialInProcess(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return client{conn, t}
}

// dialTCP connects through a real socket.
func dialTCP(t testing.TB, s *Server) client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return client{conn, t}
}

func framed(request kmsg.Request, correlation int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, request, correlation)
}

func produce(correlation int32, records int) []byte {
	r := kmsg.NewProduceRequest()
	r.Version = 7
	r.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, records)}}}}
	return framed(&r, correlation)
}

func metadata(correlation int32) []byte {
	r := kmsg.NewMetadataRequest()
	return framed(&r, correlation)
}

func fetch(correlation int32) []byte {
	r := kmsg.NewFetchRequest()
	r.Version = 4
	return framed(&r, correlation)
}

func (c client) send(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.Write(bytes.Join(frames, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply and returns its correlation id and body.
func (c client) reply() (int32, string) {
	c.t.Helper()
	correlation, body, err := c.tryReply()
	if err != nil {
		c.t.Fatal(err)
	}
	return correlation, body
}

func (c client) tryReply() (int32, string, error) {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return 0, "", err
	}
	frame := make([]byte, wire.FrameLength(length))
	if _, err := io.ReadFull(c, frame); err != nil {
		return 0, "", err
	}
	return int32(binary.BigEndian.Uint32(frame)), string(frame[4:]), nil
}

// expectClosed waits until the server has closed the connection without another reply.
func (c client) expectClosed() {
	c.t.Helper()
	if correlation, body, err := c.tryReply(); err == nil {
		c.t.Fatalf("reply %d %q instead of the end", correlation, body)
	}
}

// TestRepliesKeepOrder has requests finish after random times, all of them started as they arrive.
func TestRepliesKeepOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 0))
		var started atomic.Int32
		s, _ := newServer(t, Config{Handler: script{func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
			if n := started.Add(1) - 1; n != h.CorrelationID {
				t.Errorf("request %d started as number %d", h.CorrelationID, n)
			}
			wait := time.Duration(random.IntN(50)) * time.Millisecond
			return func(context.Context) wire.Response {
				time.Sleep(wait)
				if h.CorrelationID%7 == 3 {
					return nil
				}
				return plain(fmt.Sprint(h.CorrelationID))
			}, nil
		}}})
		c := dial(t, s)
		const requests = 300
		go func() {
			for i := range int32(requests) {
				if i%11 == 10 {
					c.send(metadata(i))
				} else {
					c.send(produce(i, int(i)))
				}
			}
		}()
		for i := range int32(requests) {
			if i%7 == 3 {
				continue
			}
			if correlation, body := c.reply(); correlation != i || body != fmt.Sprint(i) {
				t.Fatalf("reply %d %q, want %d", correlation, body, i)
			}
		}
	})
}

// TestOnlyMarkedRequestsPipeline holds replies back and looks at which requests have started.
func TestOnlyMarkedRequestsPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int32
		release := make(chan struct{})
		s, _ := newServer(t, Config{PipelinedMax: 3, Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
			started.Add(1)
			return heldUntil(release), nil
		}}})
		c := dial(t, s)
		expect := func(want int32, why string) {
			t.Helper()
			synctest.Wait()
			if got := started.Load(); got != want {
				t.Fatalf("%d requests started, want %d: %s", got, want, why)
			}
		}
		finish := func() { release <- struct{}{}; c.reply() }
		c.send(produce(0, 1), produce(1, 1), metadata(2), produce(3, 1), metadata(4))
		expect(2, "a request that does not pipeline waits for the replies before it")
		finish()
		expect(2, "for all of them")
		finish()
		expect(3, "then it starts")
		finish()
		expect(4, "and what follows it starts after its reply")
		finish()
		expect(5, "")
		finish()
		for i := range int32(9) {
			c.send(produce(i, 1))
		}
		expect(5+3+1+1, "one is answered, PipelinedMax are queued, and one waits for the queue")
		for range 9 {
			finish()
		}
	})
}

func TestFramesMemoryIsGivenBackAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(t, Config{BudgetBytes: 1 << 20, Handler: script{func(_ context.Context, _ *Conn, _ wire.RequestHeader, body any) (Finish, error) {
			if got := len(body.(*wire.ProduceRequest).Topics[0].Partitions[0].Records); got != 900<<10 {
				t.Errorf("%d bytes of records", got)
			}
			return heldUntil(release), nil
		}}})
		c := dial(t, s)
		go c.send(produce(1, 900<<10), produce(2, 900<<10))
		synctest.Wait()
		if st := s.Stats(); st.BudgetUsedBytes != 0 || st.Requests != 2 || st.BudgetWaits != 0 {
			t.Errorf("%+v", st)
		}
		close(release)
		c.reply()
		c.reply()
	})
}

// TestBudget has many connections send large frames at once, some beyond the whole budget, and watches how much is held.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 1 << 20
		var held, most, alone atomic.Int64
		s, _ := newServer(t, Config{BudgetBytes: total, Handler: script{func(_ context.Context, _ *Conn, _ wire.RequestHeader, body any) (Finish, error) {
			n := int64(len(body.(*wire.ProduceRequest).Topics[0].Partitions[0].Records))
			now := held.Add(n)
			most.Store(max(most.Load(), now))
			if n > total && now == n {
				alone.Add(1)
			}
			time.Sleep(time.Millisecond)
			held.Add(-n)
			return func(context.Context) wire.Response { return plain("") }, nil
		}}})
		var all sync.WaitGroup
		for i := range 20 {
			size := 300 << 10
			if i%10 == 9 {
				size = 3 << 20
			}
			all.Go(func() {
				c := dial(t, s)
				for j := range int32(3) {
					c.send(produce(j, size))
					c.reply()
				}
			})
		}
		all.Wait()
		if most.Load() > 3<<20 || alone.Load() != 6 {
			t.Errorf("at most %d bytes held, %d of 6 oversized frames alone", most.Load(), alone.Load())
		}
		if st := s.Stats(); st.BudgetUsedBytes != 0 || st.BudgetWaits == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestSmallRequestsPassAFullBudget lets a client fill the budget without finishing its frame.
func TestSmallRequestsPassAFullBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{BudgetBytes: 1 << 20, Handler: echo("ok")})
		hog, other, third := dial(t, s), dial(t, s), dial(t, s)
		hog.send(produce(1, 1<<20)[:100<<10])
		synctest.Wait()
		other.send(produce(2, 1000))
		other.reply()
		go third.send(produce(3, 200<<10))
		synctest.Wait()
		if st := s.Stats(); st.BudgetWaits != 1 {
			t.Fatalf("%+v", st)
		}
		hog.Close()
		third.reply()
	})
}

func TestClosesConnections(t *testing.T) {
	frame := func(length uint32, body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), body...)
	}
	heartbeat := kmsg.NewPtrHeartbeatRequest()
	heartbeat.Version = 3
	large := kmsg.NewPtrHeartbeatRequest()
	large.Version = 1
	longFrame := framed(large, 1)
	binary.BigEndian.PutUint32(longFrame, 200<<10)
	longFrame = append(longFrame, make([]byte, 100<<10)...)
	for name, c := range map[string]struct {
		send    []byte
		counter func(Stats) int64
		log     string
	}{
		"negative length": {frame(0xffffffff, ""), func(s Stats) int64 { return s.ClosedTooLarge }, "-1 bytes announced"},
		"too large":       {frame(100<<20+1, ""), func(s Stats) int64 { return s.ClosedTooLarge }, "announced"},
		"HTTP":            {[]byte("GET / HTTP/1.1\r\n"), func(s Stats) int64 { return s.ClosedForeign }, "speaks HTTP to a plaintext Kafka port"},
		"TLS":             {[]byte{0x16, 3, 1, 2, 0, 1, 0}, func(s Stats) int64 { return s.ClosedForeign }, "speaks TLS to a plaintext Kafka port"},
		"no header":       {frame(3, "abc"), func(s Stats) int64 { return s.ClosedMalformed }, "no header"},
		"empty frame":     {frame(0, ""), func(s Stats) int64 { return s.ClosedMalformed }, "no header"},
		"malformed body":  {frame(14, "\x00\x03\x00\x00\x00\x00\x00\x01\xff\xff\x7f\xff\xff\xff"), func(s Stats) int64 { return s.ClosedMalformed }, "Metadata version 0"},
		"unknown key":     {frame(8, "\x03\xe7\x00\x00\x00\x00\x00\x01"), func(s Stats) int64 { return s.ClosedNotServed }, "unknown API key 999"},
		"unknown version": {frame(8, "\x00\x03\x00\x63\x00\x00\x00\x01"), func(s Stats) int64 { return s.ClosedNotServed }, "unsupported API version"},
		"not served":      {framed(heartbeat, 1), func(s Stats) int64 { return s.ClosedNotServed }, "Heartbeat version 3"},
		"API too large":   {longFrame, func(s Stats) int64 { return s.ClosedTooLarge }, "Heartbeat of 204800 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s, lines := newServer(t, Config{Handler: echo("")})
			bystander := dial(t, s)
			conn := dialTCP(t, s)
			conn.send(c.send)
			conn.expectClosed()
			waitFor(t, func() bool { return c.counter(s.Stats()) == 1 && s.Stats().ConnectionsOpen == 1 })
			if !lines.contains(c.log) {
				t.Errorf("log lacks %q:\n%s", c.log, lines.text.String())
			}
			bystander.send(metadata(1))
			bystander.reply()
		})
	}
}

// waitFor yields until a condition holds.
func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("the condition does not come")
		}
		<-tick.C
	}
}

func TestApiVersionsTooNewReachesTheHandler(t *testing.T) {
	s, _ := newServer(t, Config{Handler: script{func(_ context.Context, _ *Conn, h wire.RequestHeader, body any) (Finish, error) {
		return func(context.Context) wire.Response { return plain(fmt.Sprint(h.Version, body == nil)) }, nil
	}}})
	c := dial(t, s)
	c.send([]byte("\x00\x00\x00\x08\x00\x12\x00\x63\x00\x00\x00\x05"))
	if correlation, body := c.reply(); correlation != 5 || body != "99 true" {
		t.Errorf("reply %d %q", correlation, body)
	}
}

func TestHandlerFailures(t *testing.T) {
	fail := func(context.Context) wire.Response { return failing{} }
	for name, c := range map[string]struct {
		start   func() (Finish, error)
		counter func(Stats) int64
		log     string
	}{
		"start fails":     {func() (Finish, error) { return nil, errors.New("no such luck") }, func(s Stats) int64 { return s.ClosedByHandler }, "no such luck"},
		"start panics":    {func() (Finish, error) { panic("in start") }, func(s Stats) int64 { return s.ClosedByPanic }, "in start"},
		"finish panics":   {func() (Finish, error) { return func(context.Context) wire.Response { panic("in finish") }, nil }, func(s Stats) int64 { return s.ClosedByPanic }, "server_test.go"},
		"encoding fails":  {func() (Finish, error) { return fail, nil }, func(s Stats) int64 { return s.ClosedByHandler }, "the disk is gone"},
		"encoding panics": {func() (Finish, error) { return func(context.Context) wire.Response { return panicking{} }, nil }, func(s Stats) int64 { return s.ClosedByPanic }, "in encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			s, lines := newServer(t, Config{Handler: script{func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
				if h.CorrelationID == 1 {
					return c.start()
				}
				return func(context.Context) wire.Response { return plain("fine") }, nil
			}}})
			bystander, conn := dial(t, s), dial(t, s)
			conn.send(metadata(1))
			conn.expectClosed()
			waitFor(t, func() bool { return c.counter(s.Stats()) == 1 && s.Stats().ConnectionsOpen == 1 })
			if !lines.contains(c.log) {
				t.Errorf("log lacks %q:\n%s", c.log, lines.text.String())
			}
			bystander.send(metadata(2))
			bystander.reply()
		})
	}
}

type failing struct{}

func (failing) AppendTo(dst []byte) ([]byte, error) {
	return append(dst, "half"...), errors.New("the disk is gone")
}

type panicking struct{}

func (panicking) AppendTo([]byte) ([]byte, error) { panic("in encoding") }
