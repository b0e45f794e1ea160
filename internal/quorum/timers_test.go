package quorum

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
)

// restless is a machine that finds 4,000 changes at every look at the time.
type restless struct {
	configurer
	calls []string
}

func (m *restless) Handle(nowMs int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change) {
	m.calls = append(m.calls, "request")
	if _, heartbeat := req.(*kmsg.BrokerHeartbeatRequest); heartbeat {
		return req.ResponseKind(), nil
	}
	return m.configurer.Handle(nowMs, img, req)
}

func (m *restless) Lost(int64, *cluster.Image, cluster.NodeID, int64, int64) {
	m.calls = append(m.calls, "lost")
}

func (m *restless) Tick(int64, *cluster.Image) ([]cluster.Change, bool) {
	m.calls = append(m.calls, "tick")
	value := "v"
	change := cluster.SetConfig{Resource: cluster.Resource{Type: cluster.BrokerDefaultResource}, Key: "k", Value: &value}
	return slices.Repeat([]cluster.Change{change}, 4000), true
}

// TestHeartbeatCountsThoughNobodyWaits has requests whose callers have gone when the loop gets to them, as behind a slow disk:
// a broker that has spoken lives.
func TestHeartbeatCountsThoughNobodyWaits(t *testing.T) {
	m := &restless{}
	v := mustOpen(t, vfs.NewMem(), func(c *Config) { c.Machine = m })
	do(t, v.q)
	v.close() // the loop's state is this goroutine's now
	m.calls = nil
	gone, end := context.WithCancel(t.Context())
	end()
	v.q.handle(&request{ctx: gone, req: set("x"), answer: make(chan answer, 1)})
	if len(m.calls) != 0 {
		t.Error("a change was made that nobody waits for")
	}
	v.q.handle(&request{ctx: gone, req: kmsg.NewPtrBrokerHeartbeatRequest(), answer: make(chan answer, 1)})
	if len(m.calls) != 1 {
		t.Error("a heartbeat was not heard")
	}
}

// TestTickLetsOthersIn has requests wait when the time is looked at: they are heard before anything is judged by it, and again
// before all that it demands is done.
func TestTickLetsOthersIn(t *testing.T) {
	m := &restless{}
	v := mustOpen(t, vfs.NewMem(), func(c *Config) { c.Machine = m })
	do(t, v.q)
	v.close() // the loop's state is this goroutine's now
	m.calls = nil
	for range 2 {
		v.q.requests <- &request{ctx: t.Context(), req: set("x"), answer: make(chan answer, 1)}
		v.q.tickMachine()
	}
	if want := []string{"request", "tick", "tick", "tick", "request", "tick", "tick", "tick"}; !slices.Equal(m.calls, want) {
		t.Errorf("%v, want %v", m.calls, want)
	}
	if len(v.q.again) != 1 {
		t.Error("what is left is not gone on with")
	}
}

// timekeeper is a machine that notes what time it was told first and last.
type timekeeper struct {
	configurer
	firstMs, lastMs atomic.Int64
}

func (m *timekeeper) Handle(nowMs int64, img *cluster.Image, req kmsg.Request) (kmsg.Response, []cluster.Change) {
	m.firstMs.CompareAndSwap(0, nowMs)
	m.lastMs.Store(nowMs)
	return m.configurer.Handle(nowMs, img, req)
}

// TestMachineDoesNotSeeTheWallClockJump sets the clock ahead by less than a controller would take for time that it was away: the
// sessions of brokers must not be shorter by that.
func TestMachineDoesNotSeeTheWallClockJump(t *testing.T) {
	m := &timekeeper{}
	var ahead atomic.Int64
	v := mustOpen(t, vfs.NewMem(), func(c *Config) {
		c.Machine, c.Now = m, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	defer v.close()
	begin := time.Now()
	do(t, v.q)
	ahead.Store(int64(4 * time.Second))
	do(t, v.q)
	if told, passed := m.lastMs.Load()-m.firstMs.Load(), time.Since(begin).Milliseconds(); told < 0 || told > passed+1 {
		t.Errorf("the machine was told that %d ms have passed, of %d", told, passed)
	}
}
