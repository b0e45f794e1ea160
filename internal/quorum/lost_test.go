package quorum

import (
	"slices"
	"testing"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TestLostLetsOthersInBefore tells of a lost broker while a request waits, which may be its heartbeat: that is heard before.
// What was found out in another term of leadership is not believed.
func TestLostLetsOthersInBefore(t *testing.T) {
	m := &restless{}
	v := mustOpen(t, vfs.NewMem(), func(c *Config) { c.Machine = m })
	do(t, v.q)
	epoch, leads := v.q.Leads()
	if !leads {
		t.Fatal("a voter that is alone does not lead")
	}
	v.q.Lost(Loss{Epoch: epoch}) // by its loop
	do(t, v.q)
	v.close() // the loop's state is this goroutine's now
	m.calls = nil
	v.q.requests <- &request{ctx: t.Context(), req: set("x"), answer: make(chan answer, 1)}
	v.q.lose(Loss{Epoch: epoch - 1})
	v.q.lose(Loss{Epoch: epoch})
	if want := []string{"request", "lost", "tick"}; !slices.Equal(m.calls[:min(3, len(m.calls))], want) {
		t.Errorf("%v, want %v first", m.calls, want)
	}
	for range lossesQueued + 1 {
		v.q.Lost(Loss{Epoch: epoch}) // nobody takes it: it does not wait
	}
}
