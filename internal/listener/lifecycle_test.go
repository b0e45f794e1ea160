package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

func TestConnectionLimits(t *testing.T) {
	s, _ := newServer(t, Config{Handler: echo(""), ConnectionsMax: 3, ConnectionsPerIPMax: 2})
	first := dialTCP(t, s)
	again := func() client {
		conn, err := net.Dial("tcp", first.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return client{conn, t}
	}
	second := again()
	second.send(metadata(1))
	second.reply()
	again().expectClosed()
	if st := s.Stats(); st.ConnectionsRefusedOfPeer != 1 {
		t.Errorf("%+v", st)
	}
	dial(t, s) // connections inside the process have no address
	if _, err := s.DialInProcess(t.Context()); err == nil {
		t.Error("a fourth connection")
	}
	second.Close()
	waitFor(t, func() bool { return s.Stats().ConnectionsOpen == 2 })
	third := again()
	third.send(metadata(1))
	third.reply()
}

func TestTimeouts(t *testing.T) {
	cfg := Config{Handler: echo("ok"), IdleTimeout: 10 * time.Minute, FrameTimeout: 30 * time.Second, WriteTimeout: time.Minute}
	elapsed := func(t *testing.T, c client, low, high time.Duration) {
		t.Helper()
		before := time.Now()
		c.expectClosed()
		if took := time.Since(before); took < low || took > high {
			t.Errorf("closed after %v", took)
		}
	}
	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newServer(t, cfg)
			c := dial(t, s)
			time.Sleep(9 * time.Minute)
			c.send(metadata(1))
			c.reply()
			elapsed(t, c, 10*time.Minute, 10*time.Minute+time.Second)
			if st := s.Stats(); st.ClosedIdle != 1 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("slow frames", func(t *testing.T) {
		frame := produce(1, 100)
		for _, sent := range []int{1, 3, 4, 5, len(frame) - 1} {
			for _, silence := range []time.Duration{0, time.Second, 5 * time.Minute} {
				synctest.Test(t, func(t *testing.T) {
					s, _ := newServer(t, cfg)
					c := dial(t, s)
					time.Sleep(silence)
					c.send(frame[:sent])
					elapsed(t, c, 30*time.Second, 41*time.Second)
					synctest.Wait()
					if st := s.Stats(); st.ClosedSlowFrame != 1 {
						t.Errorf("%+v", st)
					}
				})
			}
		}
	})
	t.Run("a byte now and then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newServer(t, cfg)
			c := dial(t, s)
			before := time.Now()
			var err error
			for _, b := range produce(1, 1000) {
				if _, err = c.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			if took := time.Since(before); err == nil || took < 30*time.Second || took > 45*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("never reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := cfg
			cfg.Handler = echo(strings.Repeat("x", 10<<20))
			s, _ := newServer(t, cfg)
			c := dial(t, s)
			c.send(metadata(1))
			time.Sleep(59 * time.Second)
			if st := s.Stats(); st.ConnectionsOpen != 1 {
				t.Errorf("%+v", st)
			}
			time.Sleep(2 * time.Second)
			if st := s.Stats(); st.ConnectionsOpen != 0 || st.ClosedNotReading != 1 {
				t.Errorf("%+v", st)
			}
		})
	})
	t.Run("a long poll is not idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := cfg
			cfg.Handler = script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
				return func(context.Context) wire.Response { time.Sleep(time.Hour); return plain("late") }, nil
			}}
			s, _ := newServer(t, cfg)
			c := dial(t, s)
			c.send(metadata(1))
			if _, body := c.reply(); body != "late" {
				t.Errorf("reply %q", body)
			}
			elapsed(t, c, 10*time.Minute-time.Second*11, 10*time.Minute+11*time.Second)
		})
	})
}

// TestClientLeavesDuringLongPoll ends the request's context when the client goes away.
func TestClientLeavesDuringLongPoll(t *testing.T) {
	ended := make(chan error)
	s, _ := newServer(t, Config{Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
		return func(ctx context.Context) wire.Response {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return plain("too late")
		}, nil
	}}})
	for _, c := range []client{dial(t, s), dialTCP(t, s)} {
		c.send(metadata(1))
		waitFor(t, func() bool { return s.Stats().Requests > 0 })
		c.Close()
		if err := <-ended; !errors.Is(err, errHangUp) {
			t.Error(err)
		}
	}
}

// holding is a response that holds something until it has left or never will.
type holding struct {
	plain
	released chan struct{}
}

func (h holding) Release() { close(h.released) }

// TestReplyForNobodyIsReleased has a reply when its client has left.
func TestReplyForNobodyIsReleased(t *testing.T) {
	released := make(chan struct{})
	s, _ := newServer(t, Config{Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
		return func(ctx context.Context) wire.Response {
			<-ctx.Done()
			return holding{"too late", released}
		}, nil
	}}})
	c := dial(t, s)
	c.send(metadata(1))
	waitFor(t, func() bool { return s.Stats().Requests > 0 })
	c.Close()
	<-released
}

func TestShutdownFinishesWhatHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
			return func(context.Context) wire.Response { time.Sleep(time.Second); return plain("done") }, nil
		}}})
		busy, idle, partial := dial(t, s), dial(t, s), dial(t, s)
		busy.send(produce(1, 1), produce(2, 1))
		partial.send(produce(1, 100)[:50])
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(context.Background()) }()
		synctest.Wait()
		idle.expectClosed()
		partial.expectClosed()
		if _, err := s.DialInProcess(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("a new connection: %v", err)
		}
		busy.reply()
		busy.reply()
		busy.expectClosed()
		if err := <-down; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownCutsOffAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{Handler: script{func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
			return func(ctx context.Context) wire.Response { <-ctx.Done(); return plain("") }, nil
		}}})
		c := dial(t, s)
		c.send(metadata(1))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		before := time.Now()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(before), err)
		}
		c.expectClosed()
	})
}

func TestServeReturns(t *testing.T) {
	s, _ := newServer(t, Config{Handler: echo("")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed socket: %v", err)
	}
	s.Close()
	if err := s.Serve(l); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed server: %v", err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no handler")
	}
	if _, err := New(Config{Handler: echo(""), IdleTimeout: -1}); err == nil {
		t.Error("a negative timeout")
	}
}

// flaky is a net.Listener whose first Accepts fail, as when file descriptors run out.
type flaky struct {
	net.Listener
	failures atomic.Int32
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestServeSurvivesAcceptErrors(t *testing.T) {
	s, _ := newServer(t, Config{Handler: echo("ok")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: l}
	f.failures.Store(3)
	served := make(chan error, 1)
	go func() { served <- s.Serve(f) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := client{conn, t}
	c.send(metadata(1))
	c.reply()
	s.Close()
	if err := <-served; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestWaitForBudgetIsNotTheClientsFault lets a frame wait for memory for longer than frames may take to arrive.
func TestWaitForBudgetIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(t, Config{BudgetBytes: 1 << 20, FrameTimeout: 30 * time.Second, Handler: script{
			func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
				if h.CorrelationID == 1 {
					<-release
				}
				return func(context.Context) wire.Response { return plain("") }, nil
			}}})
		hog, patient := dial(t, s), dial(t, s)
		hog.send(produce(1, 1<<20))
		go patient.send(produce(2, 2<<20))
		time.Sleep(10 * time.Minute)
		close(release)
		hog.reply()
		patient.reply()
	})
}

// TestCloseEndsWhatIsStuck closes a server whose connections wait at every place there is.
func TestCloseEndsWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, Config{BudgetBytes: 1 << 20, PipelinedMax: 1, Handler: script{
			func(context.Context, *Conn, wire.RequestHeader, any) (Finish, error) {
				return func(ctx context.Context) wire.Response { <-ctx.Done(); return nil }, nil
			}}})
		queueFull, behindPoll, hog, budget := dial(t, s), dial(t, s), dial(t, s), dial(t, s)
		queueFull.send(produce(1, 1), produce(2, 1), produce(3, 1), produce(4, 1))
		behindPoll.send(metadata(1), produce(2, 1))
		hog.send(produce(1, 1<<20)[:100<<10])
		synctest.Wait()
		go budget.Write(produce(1, 1<<20))
		synctest.Wait()
		if st := s.Stats(); st.BudgetWaits != 1 || st.ConnectionsOpen != 4 {
			t.Fatalf("%+v", st)
		}
		s.Close()
		if st := s.Stats(); st.ConnectionsOpen != 0 || st.BudgetUsedBytes != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestShutdownWakesWhatWaitsForOthers gives up long polls, and sends what they have, while replies that wait for this
// node's own work get their time, and requests behind them are not started.
func TestShutdownWakesWhatWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := map[int16]int{}
		s, _ := newServer(t, Config{Handler: script{func(_ context.Context, _ *Conn, h wire.RequestHeader, _ any) (Finish, error) {
			started[h.Key]++
			return func(ctx context.Context) wire.Response {
				if h.Key == wire.KeyProduce {
					time.Sleep(time.Second)
					return plain(fmt.Sprint(ctx.Err()))
				}
				<-ctx.Done()
				return plain(context.Cause(ctx).Error())
			}, nil
		}}})
		polling, writing := dial(t, s), dial(t, s)
		polling.send(fetch(1), fetch(2))
		synctest.Wait()
		writing.send(produce(1, 1))
		synctest.Wait()
		before := time.Now()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(context.Background()) }()
		if _, body := polling.reply(); body != ErrClosed.Error() || time.Since(before) > 0 {
			t.Errorf("the long poll answered %q after %v", body, time.Since(before))
		}
		polling.expectClosed()
		if _, body := writing.reply(); body != "<nil>" {
			t.Errorf("the context of a write ended: %s", body)
		}
		writing.expectClosed()
		if err := <-down; err != nil || time.Since(before) != time.Second {
			t.Errorf("down after %v: %v", time.Since(before), err)
		}
		if started[int16(kmsg.Fetch)] != 1 || started[wire.KeyProduce] != 1 {
			t.Errorf("started %v", started)
		}
	})
}
