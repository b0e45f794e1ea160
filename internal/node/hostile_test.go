package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	runtimemetrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// siege is a node under attack. Half of the attackers' connections are real sockets, as far as file descriptors go, and
// the rest lie inside the process.
type siege struct {
	t       *testing.T
	n       *Node
	ctx     context.Context // ends with the attack
	all     sync.WaitGroup
	sockets atomic.Int64 // left
	opened  atomic.Int64
}

// TestHostileClients shows that what hostile clients do costs bounded memory and goes unnoticed by a client that behaves:
// every one of its requests succeeds, and its slowest per cent stay within a generous multiple of what they take in
// peace. LOGBAHN_HOSTILE=10000 sets the number of connections, LOGBAHN_HOSTILE_SECONDS how long it takes.
func TestHostileClients(t *testing.T) {
	connections, seconds := setting(t, "LOGBAHN_HOSTILE", 1000), setting(t, "LOGBAHN_HOSTILE_SECONDS", 3)
	n, err := Start(t.Context(), Config{FS: vfs.Disk(), Settings: settings("log.dirs", t.TempDir(), "listeners", "PLAINTEXT://127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	ctx, end := context.WithCancel(t.Context())
	s := &siege{t: t, n: n, ctx: ctx}
	s.sockets.Store(int64(min(connections/2, socketsMax()/3)))
	s.prepare()

	good := newGood(s)
	quiet := good.run(time.Duration(seconds) * time.Second)
	before := memoryBytes()
	s.attack(connections)
	peak, beside := peakMemory(ctx), s.bystander()
	busy := good.run(time.Duration(seconds) * time.Second)
	end()
	share := <-beside
	most := <-peak
	opened := s.opened.Load()
	s.all.Wait()
	good.verify()

	t.Logf("%d connections at once; p99 %v in peace, %v under attack, %v of a bystander; memory %d MiB before, %d MiB at most",
		opened, quiet, busy, share, before>>20, most>>20)
	// Who waits behind others' memory waits for a second at least; what is less is a share of the processors. How large that is
	// on a machine with other things to do, the bystander says, who needs a few of the many turns that a request takes.
	if limit := max(50*quiet, time.Second, 5*share); busy > limit && !raceEnabled {
		t.Errorf("p99 under attack is %v, at most %v", busy, limit)
	}
	if opened < int64(connections) {
		t.Errorf("%d connections were opened, want %d", opened, connections)
	}
	if limit := before + hostileBytesMax + int64(connections)*connectionBytesMax; most > limit && !raceEnabled {
		t.Errorf("%d MiB in use, at most %d MiB", most>>20, limit>>20)
	}
	good.conn.Close()
	waitUntil(t, func() bool { return s.stats().ConnectionsOpen == 0 })
	if st := s.stats(); st.ClosedByPanic != 0 || st.BudgetUsedBytes != 0 || st.ReplyHeldBytes != 0 {
		t.Errorf("%+v", st)
	}
}

// What the attack may take: the budgets of frames and of replies, what one bomb inflates to for each of those that go off
// at once, and the same again for garbage; and for each connection both of its ends.
const (
	hostileBytesMax    = 512 << 20
	connectionBytesMax = 48 << 10
)

func setting(t *testing.T, name string, usual int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// memoryBytes is the memory of heap and stacks, garbage included.
func memoryBytes() int64 {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	runtimemetrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}

// peakMemory watches the memory until the context ends, and gives the most that it was.
func peakMemory(ctx context.Context) <-chan int64 {
	peak := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			select {
			case <-tick.C:
				most = max(most, memoryBytes())
			case <-ctx.Done():
				peak <- most
				return
			}
		}
	}()
	return peak
}

func (s *siege) stats() (st struct {
	ConnectionsOpen, ClosedByPanic, BudgetUsedBytes, ReplyHeldBytes int64
}) {
	now := s.n.serving[0].server.Load().Stats()
	st.ConnectionsOpen, st.ClosedByPanic, st.BudgetUsedBytes, st.ReplyHeldBytes = now.ConnectionsOpen, now.ClosedByPanic, now.BudgetUsedBytes, now.ReplyHeldBytes
	return st
}

// prepare makes the topics: one to write, one that inflates what it is sent, and one with much to read.
func (s *siege) prepare() {
	v := &victim{t: s.t, n: s.n}
	v.wantCodes(v.create("good", 1), wire.None)
	v.wantCodes(v.create("compact", 1, "cleanup.policy", "compact"), wire.None)
	v.wantCodes(v.create("big", 1), wire.None)
	chunk := batchOf(record.None, strings.Repeat("x", 1000<<10))
	for range 48 {
		v.wantCodes(produceOf(9, "big", chunk), wire.None)
	}
}

// dial opens a connection of an attacker. It returns nil when the attack is over.
func (s *siege) dial() net.Conn {
	var conn net.Conn
	err := errors.New("no socket left")
	if s.sockets.Add(-1) >= 0 {
		conn, err = net.Dial("tcp", s.n.Addr())
	}
	if err != nil {
		if conn, err = s.n.Dial(context.Background()); err != nil {
			s.t.Errorf("dial: %v", err)
			return nil
		}
	}
	s.opened.Add(1)
	return conn
}

// hold opens connections that send something, whatever it is, and keeps them until the attack is over.
func (s *siege) hold(n int, first []byte) []net.Conn {
	conns := make([]net.Conn, 0, n)
	for range n {
		conn := s.dial()
		if conn == nil {
			break
		}
		_, _ = conn.Write(first)
		conns = append(conns, conn)
	}
	s.all.Go(func() {
		<-s.ctx.Done()
		for _, conn := range conns {
			conn.Close()
		}
	})
	return conns
}

// attack starts every kind of attack and returns when the lasting connections are open.
func (s *siege) attack(connections int) {
	greedy := kmsg.NewPtrFetchRequest()
	greedy.Version, greedy.MaxBytes, greedy.SessionEpoch = 12, 1<<31-1, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1<<31 - 1
	greedy.Topics = []kmsg.FetchRequestTopic{{Topic: "big", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	slow := frameOf(produceOf(9, "good", batchOf(record.None, strings.Repeat("x", 900<<10))))
	huge := binary.BigEndian.AppendUint32(nil, 100<<20)

	s.hold(connections/50, frameOf(greedy)) // never read their reply; first, so that they are sockets
	s.hold(connections/50, slow[:80<<10])   // hold memory of the budget
	s.hold(connections/10, huge)            // announce, and send nothing
	s.hold(connections/10, slow[:2])        // half a length
	loris := s.hold(connections/10, slow[:100])
	s.hold(connections-connections/50*2-connections/10*3, nil) // idle
	s.all.Go(func() { s.trickle(loris, slow[100:]) })
	s.all.Go(func() { s.bombs(body(3, 4, 0x7f, 0xff, 0xff, 0xff)) })
	s.all.Go(func() { s.bombs(body(0, 7, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)) })
	s.all.Go(func() { s.bombs(frameOf(produceOf(9, "compact", bomb(record.Gzip)))) })
	s.all.Go(func() { s.bombs(frameOf(produceOf(9, "compact", bomb(record.LZ4)))) })
	s.all.Go(func() { s.bombs(nil) }) // connects and leaves
}

// trickle sends a byte on each of the connections in turn.
func (s *siege) trickle(conns []net.Conn, rest []byte) {
	for i := 0; s.ctx.Err() == nil && i < len(rest); i++ {
		for _, conn := range conns {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
			_, _ = conn.Write(rest[i : i+1])
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
		}
	}
}

// bombs sends the same bytes again and again, on a new connection each time, and waits for what comes of it.
func (s *siege) bombs(frame []byte) {
	for s.ctx.Err() == nil {
		conn, err := s.n.Dial(context.Background())
		if err != nil {
			s.t.Errorf("dial: %v", err)
			return
		}
		if len(frame) > 0 {
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Write(frame)
			_, _ = io.CopyN(io.Discard, conn, 4)
		}
		conn.Close()
		select {
		case <-time.After(25 * time.Millisecond): // processor time is shared out by connection only: this is not about it
		case <-s.ctx.Done():
		}
	}
}

// good is the client that behaves.
type good struct {
	s     *siege
	conn  net.Conn
	acked []string
	rand  *rand.Rand
}

func newGood(s *siege) *good {
	conn, err := net.Dial("tcp", s.n.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &good{s: s, conn: conn, rand: rand.New(rand.NewPCG(1, 2))}
}

// run produces and reads back for a while, and returns the 99th percentile of what a round took.
func (g *good) run(d time.Duration) time.Duration {
	var took []time.Duration
	v := &victim{t: g.s.t, n: g.s.n}
	for end := time.Now().Add(d); time.Now().Before(end); {
		began := time.Now()
		_ = g.conn.SetDeadline(began.Add(time.Minute))
		value := strconv.FormatUint(g.rand.Uint64(), 36)
		resp := v.askOn(g.conn, produceOf(9, "good", batchOf(record.None, value))).(*kmsg.ProduceResponse)
		if code := wire.Error(resp.Topics[0].Partitions[0].ErrorCode); code != wire.None {
			g.s.t.Fatalf("produce: %v", code)
		}
		g.acked = append(g.acked, value)
		for _, code := range codesOf(v.askOn(g.conn, kmsg.NewPtrMetadataRequest())) {
			if code != wire.None {
				g.s.t.Fatalf("metadata: %v", code)
			}
		}
		took = append(took, time.Since(began))
	}
	return percentile99(took)
}

// bystander says what it takes to have a byte echoed, at the 99th percentile, by a server that nobody attacks and that needs the
// same processors, while the attack lasts.
func (s *siege) bystander() <-chan time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.all.Go(func() {
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			s.t.Error(err)
			return
		}
		defer conn.Close()
		for b := make([]byte, 1); err == nil; {
			if _, err = conn.Read(b); err == nil {
				_, err = conn.Write(b)
			}
		}
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	share := make(chan time.Duration, 1)
	s.all.Go(func() {
		defer conn.Close()
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		took := []time.Duration{0}
		for b := make([]byte, 1); s.ctx.Err() == nil; <-pace.C {
			began := time.Now()
			_, err := conn.Write(b)
			if err == nil {
				_, err = conn.Read(b)
			}
			if err != nil {
				s.t.Error(err)
				break
			}
			took = append(took, time.Since(began))
		}
		share <- percentile99(took)
	})
	return share
}

func percentile99(took []time.Duration) time.Duration {
	slices.SortFunc(took, cmp.Compare[time.Duration])
	return took[len(took)*99/100]
}

// verify reads everything that was acknowledged.
func (g *good) verify() {
	var read []string
	c := client(g.s.t, g.s.n, kgo.ConsumeTopics("good"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	for len(read) < len(g.acked) {
		fetches := c.PollFetches(within(g.s.t, 20*time.Second))
		if err := fetches.Err(); err != nil {
			g.s.t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			read = append(read, string(bytes.Clone(r.Value)))
		}
	}
	if !slices.Equal(read, g.acked) {
		g.s.t.Errorf("%d records read, %d acknowledged", len(read), len(g.acked))
	}
}
