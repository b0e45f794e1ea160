package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/quorum"
)

func TestRefused(t *testing.T) {
	wrapped := func(err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for _, err := range []error{wrapped(syscall.ECONNREFUSED), wrapped(syscall.Errno(10061)), syscall.ECONNREFUSED} {
		if !refused(err) {
			t.Errorf("%v is a refusal", err)
		}
	}
	for _, err := range []error{
		nil, context.DeadlineExceeded, os.ErrDeadlineExceeded, errors.New("connection refused"), wrapped(syscall.ECONNRESET),
		wrapped(syscall.EHOSTUNREACH), wrapped(syscall.ENETUNREACH), wrapped(syscall.ETIMEDOUT), &net.DNSError{Err: "no such host", IsNotFound: true},
	} {
		if refused(err) {
			t.Errorf("%v is no refusal", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if c, err := (tcp{}).Dial(t.Context(), address); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	l.Close()
	if _, err := (tcp{}).Dial(t.Context(), address); !refused(err) {
		t.Errorf("nobody listens: %v", err)
	}
}

// dialed is what an address says to who connects.
type dialed func(context.Context) error

func accepts(context.Context) error     { return nil }
func refuses(context.Context) error     { return nobodyAt("here") }
func unreachable(context.Context) error { return syscall.EHOSTUNREACH }
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// watched is a lookout, whom it watches, and what it finds.
type watched struct {
	t     *testing.T
	l     *lookout
	img   atomic.Pointer[cluster.Image]
	epoch atomic.Int32 // 0: does not lead
	asked atomic.Int32 // how often it was looked at who leads

	mu      sync.Mutex
	answers map[string]dialed // by address; refuses when there is none
	open    int               // attempts to connect at once
	openMax int
	losses  []quorum.Loss
	lostAt  []time.Time
}

// watch has a lookout of node 1 watch brokers 1 to count, which listen on inner-N and outer-N. It leads.
func watch(t *testing.T, count int) *watched {
	w := &watched{t: t, answers: map[string]dialed{}}
	img := cluster.NewImage("c")
	for id := range cluster.NodeID(count) {
		b := cluster.Broker{ID: id + 1, Epoch: int64(id + 1), Incarnation: cluster.UUID{byte(id + 1)}, Fenced: true}
		w.apply(&img, cluster.RegisterBroker{Broker: b})
		w.apply(&img, cluster.SetBrokerState{ID: b.ID, Epoch: w.broker(img, b.ID).Epoch})
	}
	w.img.Store(img)
	w.epoch.Store(3)
	w.l = &lookout{
		self: 1, image: w.img.Load, log: textLog(&logLines{}), wake: make(chan struct{}, 1),
		leads: func() (int32, bool) {
			w.asked.Add(1)
			return w.epoch.Load(), w.epoch.Load() > 0
		},
		addresses: func(b cluster.Broker) (must, others []string) {
			return []string{fmt.Sprintf("inner-%d", b.ID)}, []string{fmt.Sprintf("outer-%d", b.ID)}
		},
		dial: w.dial,
		lost: func(l quorum.Loss) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.losses, w.lostAt = append(w.losses, l), append(w.lostAt, time.Now())
		},
	}
	w.l.mu.nodes = map[cluster.NodeID]*sighting{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.l.run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

func (w *watched) broker(img *cluster.Image, id cluster.NodeID) cluster.Broker {
	b, ok := img.Broker(id)
	if !ok {
		w.t.Fatalf("no broker %d", id)
	}
	return b
}

func (w *watched) apply(img **cluster.Image, c cluster.Change) {
	next, _, err := (*img).Apply([]cluster.Change{c}, (*img).Offset()+1, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	*img = next
}

// change changes the image.
func (w *watched) change(c cluster.Change) {
	img := w.img.Load()
	w.apply(&img, c)
	w.img.Store(img)
}

func (w *watched) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	a := w.answers[address]
	w.open++
	w.openMax = max(w.openMax, w.open)
	w.mu.Unlock()
	if a == nil {
		a = refuses
	}
	err := a(ctx)
	w.mu.Lock()
	w.open--
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, _ := net.Pipe()
	return c, nil
}

func (w *watched) set(address string, a dialed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[address] = a
}

// connect has a broker send a heartbeat by a connection, which hang ends.
func (w *watched) connect(id cluster.NodeID) (hang func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.l.spoke(ctx, id, asBroker, w.broker(w.img.Load(), id).Epoch)
	return cancel
}

// lost returns who was found dead, and after how long.
func (w *watched) lost(since time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for i, l := range w.losses {
		found = append(found, fmt.Sprintf("%d of %d in %d after %v", l.Broker, l.BrokerEpoch, l.Epoch, w.lostAt[i].Sub(since)))
	}
	return strings.Join(found, ", ")
}

// found returns who was found dead.
func (w *watched) found() []quorum.Loss {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.losses)
}

// most returns how many attempts to connect there were at once.
func (w *watched) most() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.openMax
}

// A broker's connection ends and its listeners refuse twice: its process has ended. Anything else proves nothing, for as long as
// a session may last.
func TestLookout(t *testing.T) {
	cases := map[string]struct {
		befalls func(w *watched, hang func()) // 100 ms after the broker has spoken
		want    string                        // 9 s later at most
	}{
		"its process has ended":   {func(_ *watched, hang func()) { hang() }, "2 of 2 in 3 after 200ms"},
		"nothing":                 {func(w *watched, _ func()) {}, ""},
		"its connection is cut":   {func(w *watched, hang func()) { w.set("inner-2", accepts); hang() }, ""},
		"its machine is silent":   {func(w *watched, hang func()) { w.set("inner-2", hangs); hang() }, ""},
		"there is no way":         {func(w *watched, hang func()) { w.set("inner-2", unreachable); hang() }, ""},
		"it refuses brokers only": {func(w *watched, hang func()) { w.set("outer-2", accepts); hang() }, ""},
		"clients' way is unknown": {func(w *watched, hang func()) { w.set("outer-2", unreachable); hang() }, "2 of 2 in 3 after 200ms"},
		"it restarts": {func(w *watched, hang func()) {
			hang()
			time.Sleep(100 * time.Millisecond)
			w.set("inner-2", accepts)
		}, ""},
		"it speaks again": {func(w *watched, hang func()) {
			hang()
			time.Sleep(199 * time.Millisecond)
			w.connect(2)
		}, ""},
		"it registers again": {func(w *watched, hang func()) {
			hang()
			time.Sleep(100 * time.Millisecond)
			ctx, cancel := context.WithCancel(w.t.Context())
			w.t.Cleanup(cancel)
			w.l.spoke(ctx, 2, asBroker, -1)
			w.change(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: w.img.Load().NextBrokerEpoch(), Incarnation: cluster.UUID{9}}})
		}, ""},
		"a process of before it has ended": {func(w *watched, hang func()) {
			w.connect(2)
			hang()
		}, ""},
		"it is fenced": {func(w *watched, hang func()) {
			w.change(cluster.SetBrokerState{ID: 2, Epoch: 2, Fenced: true})
			hang()
		}, ""},
		"it is fenced meanwhile": {func(w *watched, hang func()) {
			hang()
			time.Sleep(500 * time.Millisecond)
			w.change(cluster.SetBrokerState{ID: 2, Epoch: 2, Fenced: true})
		}, "2 of 2 in 3 after 200ms"},
		"another leads meanwhile": {func(w *watched, hang func()) {
			hang()
			time.Sleep(100 * time.Millisecond)
			w.epoch.Store(0)
		}, ""},
		"another has led meanwhile": {func(w *watched, hang func()) {
			hang()
			time.Sleep(100 * time.Millisecond)
			w.epoch.Store(5)
		}, ""},
		"another leads": {func(w *watched, hang func()) { w.epoch.Store(0); hang() }, ""},
		"its machine starts again": {func(w *watched, hang func()) {
			w.set("inner-2", hangs)
			hang()
			time.Sleep(2 * time.Second)
			w.set("inner-2", refuses)
		}, "2 of 2 in 3 after 3.25s"}, // 3 s for the first attempt, and a pause before the next
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				w := watch(t, 3)
				w.connect(3)
				hang := w.connect(2)
				defer hang()
				time.Sleep(100 * time.Millisecond)
				begin := time.Now()
				c.befalls(w, hang)
				time.Sleep(time.Until(begin.Add(9 * time.Second)))
				got := w.lost(begin)
				if name != "it is fenced meanwhile" && c.want != "" { // it is told again while it is not fenced
					got, _, _ = strings.Cut(got, ",")
				}
				if got != c.want {
					t.Errorf("lost: %q, want %q", got, c.want)
				}
			})
		})
	}
}

// A controller that has just been elected has heard nothing of brokers, but of the one that led before it knows from the
// quorum's messages when its process has ended.
func TestLookoutOfWhoFollows(t *testing.T) {
	virtually(t, func(t *testing.T) {
		w := watch(t, 3)
		w.epoch.Store(0)
		ctx, end := context.WithCancel(t.Context())
		w.l.spoke(ctx, 2, asMember, -1)
		time.Sleep(time.Minute)
		asked := w.asked.Load()
		time.Sleep(time.Minute)
		if w.asked.Load() != asked {
			t.Error("who leads is looked at although nobody is suspected")
		}
		begin := time.Now()
		end()
		time.Sleep(490 * time.Millisecond)
		w.epoch.Store(4)
		time.Sleep(300 * time.Millisecond)
		if got := w.lost(begin); got != "2 of 2 in 4 after 700ms" {
			t.Errorf("lost: %q", got)
		}
	})
}

// What has ended long before an election, or was said to this node as the controller of before, is no reason to suspect anybody.
func TestLookoutForgets(t *testing.T) {
	virtually(t, func(t *testing.T) {
		w := watch(t, 3)
		ctx, end := context.WithCancel(t.Context())
		hang := w.connect(3)
		w.epoch.Store(0)
		w.l.look()
		synctest.Wait()
		hang()
		w.l.spoke(ctx, 2, asMember, -1)
		end()
		time.Sleep(cutKept + time.Second)
		asked := w.asked.Load()
		time.Sleep(time.Second)
		if w.asked.Load() != asked {
			t.Error("what is forgotten is looked at")
		}
		w.epoch.Store(5)
		w.l.look()
		time.Sleep(10 * time.Second)
		if got := w.lost(time.Now()); got != "" {
			t.Errorf("lost: %q", got)
		}
	})
}

// A broker that lives where its addresses refuse is taken for dead once, and then by its silence only, in this registration and
// while this controller leads.
func TestLookoutErrsOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		w := watch(t, 3)
		for range 5 {
			w.connect(2)()
			time.Sleep(300 * time.Millisecond)
		}
		if len(w.found()) != 1 {
			t.Errorf("%d losses", len(w.found()))
		}
		epoch := w.img.Load().NextBrokerEpoch()
		w.change(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: epoch, Incarnation: cluster.UUID{9}, Fenced: true}})
		w.change(cluster.SetBrokerState{ID: 2, Epoch: epoch})
		w.connect(2)()
		time.Sleep(300 * time.Millisecond)
		if found := w.found(); len(found) != 2 || found[1].BrokerEpoch != epoch {
			t.Errorf("the next process was not found dead: %v", found)
		}
	})
}

// Many brokers of which nothing can be reached do not take all there is, nor keep one whose process has ended from being found.
func TestLookoutIsBounded(t *testing.T) {
	virtually(t, func(t *testing.T) {
		const count = 60
		w := watch(t, count)
		var ends []func()
		for id := cluster.NodeID(2); id <= count; id++ {
			w.set(fmt.Sprintf("inner-%d", id), hangs)
			ends = append(ends, w.connect(id))
		}
		w.set(fmt.Sprintf("inner-%d", count), refuses)
		begin := time.Now()
		for _, hang := range ends {
			hang()
		}
		time.Sleep(20 * time.Second)
		if w.most() > probesMax {
			t.Errorf("%d attempts at once", w.most())
		}
		if !slices.ContainsFunc(w.found(), func(l quorum.Loss) bool { return l.Broker == count }) {
			t.Errorf("lost: %q", w.lost(begin))
		}
		if slices.ContainsFunc(w.found(), func(l quorum.Loss) bool { return l.Broker != count }) {
			t.Errorf("lost: %q", w.lost(begin))
		}
	})
}
