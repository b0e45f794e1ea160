package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/vfs"
)

// TestRequestsWithoutLeaderAreBounded asks a voter that hears of nobody: callers that have given up leave nothing
// behind, and those beyond the bound are refused.
func TestRequestsWithoutLeaderAreBounded(t *testing.T) {
	v := mustOpen(t, vfs.NewMem(), func(c *Config) {
		c.Voters = []Voter{c.Self, {NodeID: 2, DirectoryID: cluster.UUID{2}}, {NodeID: 3, DirectoryID: cluster.UUID{3}}}
		c.TickInterval = time.Hour
	})
	gone, leave := context.WithCancel(t.Context())
	submit := func(ctx context.Context) *request {
		r := &request{ctx: ctx, req: set("x"), answer: make(chan answer, 1)}
		v.q.requests <- r
		return r
	}
	for range requestsParked {
		submit(gone)
	}
	refused := submit(t.Context())
	if a := <-refused.answer; !errors.Is(a.err, ErrNotController) {
		t.Errorf("beyond the bound: %v", a.err)
	}
	leave()
	kept := submit(t.Context())
	eventually(t, func() bool { return len(v.q.requests) == 0 }, func() string { return "the loop takes no requests" })
	v.close()
	if len(v.q.loop.waiting) != 1 || v.q.loop.waiting[0] != kept {
		t.Errorf("%d requests wait, want the one whose caller does", len(v.q.loop.waiting))
	}
}

// TestOpenKnowsWhatIsCommitted looks at the image at once.
func TestOpenKnowsWhatIsCommitted(t *testing.T) {
	fsys := vfs.NewMem()
	for range 20 {
		v := mustOpen(t, fsys, nil)
		do(t, v.q, "a")
		v.close()
		v = mustOpen(t, fsys, nil)
		if got := keys(v.q.Image()); !slices.Equal(got, []string{"a"}) {
			t.Errorf("right after Open the image has %v", got)
		}
		v.close()
	}
}

// TestLostSnapshotIsSentAgain loses the snapshot that a follower needs.
func TestLostSnapshotIsSentAgain(t *testing.T) {
	net, nodes := threeVoters(t, 2000)
	leader := anywhere(t, nodes, "a")
	late := nodes[0]
	if late == leader {
		late = nodes[1]
	}
	net.isolate(late.self, true)
	for i := range 1200 {
		do(t, leader.q, fmt.Sprint(i%20))
	}
	want := keys(leader.q.Image())
	net.mu.Lock()
	net.lose = 1
	net.mu.Unlock()
	net.isolate(late.self, false)
	eventually(t, func() bool { return slices.Equal(keys(late.q.Image()), want) },
		func() string { return fmt.Sprintf("the late voter has %v of %v", keys(late.q.Image()), want) })
	net.mu.Lock()
	defer net.mu.Unlock()
	if net.lose > 0 {
		t.Error("no snapshot was needed")
	}
}
