package node

import (
	"context"
	"encoding/binary"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/broker"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// FuzzBroker sends a request of any API and version with any body to a whole node, and any bytes behind it. Nothing
// panics, nothing is kept of the connection, and a client that behaves is served.
func FuzzBroker(f *testing.F) {
	n := startForFuzzing(f)
	for _, frame := range clientFrames(f, n) {
		h, payload, err := wire.ReadRequestHeader(frame[wire.FrameHeaderSize:])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(h.Key, h.Version, payload, []byte(nil))
	}
	for key := range int16(100) {
		if api, ok := broker.Lookup(key); ok {
			f.Add(key, api.Min, filled(key, api.Min).AppendTo(nil), []byte{0, 0, 0, 1})
			f.Add(key, api.Max, filled(key, api.Max).AppendTo(nil), []byte(nil))
		}
	}
	f.Add(int16(0), int16(9), produceOf(9, "t", batchOf(record.Zstd, "a")).AppendTo(nil), []byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, key, version int16, payload, rest []byte) {
		if key == wire.KeyFetch {
			payload = impatient(version, payload)
		}
		conn, err := n.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil { // some requests wait for others
			t.Fatal(err)
		}
		_, _ = conn.Write(append(body(key, version, payload...), rest...))
		_, _ = read(conn)
		conn.Close()
		server := n.serving[0].server.Load()
		waitUntil(t, func() bool { return server.Stats().ConnectionsOpen == 0 })
		if st := server.Stats(); st.ClosedByPanic != 0 || st.BudgetUsedBytes != 0 || st.ReplyHeldBytes != 0 {
			t.Fatalf("%+v", st)
		}
		v := &victim{t: t, n: n, bystander: mustDial(t, n)}
		v.bystanderWorks()
		v.bystander.Close()
		waitUntil(t, func() bool { return server.Stats().ConnectionsOpen == 0 })
	})
}

// impatient is a Fetch request whose client waits for at most 20 ms. While a request waits, and another one has begun behind
// it, a node does not see that the client has gone, which would make an input last as long as it says.
func impatient(version int16, payload []byte) []byte {
	at := 4 // behind the replica's id
	if version >= 15 {
		at = 0
	}
	if len(payload) < at+4 {
		return payload
	}
	payload = slices.Clone(payload)
	wait := min(binary.BigEndian.Uint32(payload[at:]), 20)
	binary.BigEndian.PutUint32(payload[at:], wait)
	return payload
}

func mustDial(t *testing.T, n *Node) net.Conn {
	t.Helper()
	conn, err := n.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// startForFuzzing starts a node without sockets, for all inputs.
func startForFuzzing(f *testing.F) *Node {
	f.Helper()
	n, err := Start(f.Context(), Config{FS: vfs.NewMem(), InProcess: true, Settings: settings()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil && n.Err() == nil {
			f.Errorf("stop: %v", err)
		}
	})
	return n
}

// clientFrames are the requests of a real client that produces, joins a group, consumes, commits, and administers.
func clientFrames(f *testing.F, n *Node) (frames [][]byte) {
	f.Helper()
	var mu sync.Mutex
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := n.Dial(ctx)
		return &listened{Conn: conn, heard: func(frame []byte) {
			mu.Lock()
			defer mu.Unlock()
			frames = append(frames, frame)
		}}, err
	}
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers("in-process:9092"), kgo.Dialer(dial), kgo.AllowAutoTopicCreation(),
		kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		f.Fatal(err)
	}
	if err := c.ProduceSync(ctx, kgo.StringRecord("a")).FirstErr(); err == nil {
		f.Fatal("produced to no topic")
	}
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("a")}).FirstErr(); err != nil {
		f.Fatal(err)
	}
	if err := c.PollFetches(ctx).Err(); err != nil {
		f.Fatal(err)
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		f.Fatal(err)
	}
	adm := kadm.NewClient(c)
	_, _ = adm.ListGroups(ctx)
	_, _ = adm.DescribeGroups(ctx, "g")
	_, _ = adm.FetchOffsets(ctx, "g")
	_, _ = adm.ListEndOffsets(ctx, "t")
	_, _ = adm.DescribeTopicConfigs(ctx, "t")
	_, _ = adm.CreateTopics(ctx, 1, 1, nil, "u")
	_, _ = adm.DeleteTopics(ctx, "u")
	c.Close()
	mu.Lock()
	defer mu.Unlock()
	return frames
}

// listened is a connection whose requests are heard. kgo writes each in one piece.
type listened struct {
	net.Conn
	heard func([]byte)
}

func (l *listened) Write(b []byte) (int, error) {
	l.heard(append([]byte(nil), b...))
	return l.Conn.Write(b)
}

// FuzzTopicName asks for topics of any name: those that Kafka allows are made, under their own name and nowhere else, and
// all others are refused.
func FuzzTopicName(f *testing.F) {
	n := startForFuzzing(f)
	for _, name := range []string{"orders", "..", "a/../b", "%2e", "a\x00", strings.Repeat("a", 250), "con", "a-0", "-1", "ä"} {
		f.Add(name)
	}
	allowed := regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	f.Fuzz(func(t *testing.T, name string) {
		if strings.HasPrefix(name, "__") || len(name) > 1000 {
			t.Skip("internal, or not a name at all")
		}
		v := &victim{t: t, n: n}
		req := v.create(name, 1)
		code := codesOf(v.ask(req))[0]
		if valid := allowed.MatchString(name) && name != "." && name != ".."; valid != (code == wire.None) {
			t.Fatalf("%q: %v", name, code)
		}
		if code != wire.None {
			return
		}
		p, ok := n.set.Get(name, 0)
		if !ok || p.Topic() != name {
			t.Fatalf("no partition of %q", name)
		}
		gone := kmsg.NewPtrDeleteTopicsRequest()
		gone.Version, gone.TopicNames = 5, []string{name}
		v.wantCodes(gone, wire.None)
	})
}
