package quorum

import (
	"slices"
	"testing"

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
