package node

import (
	"testing"

	"github.com/logbahn/logbahn/internal/cluster"
)

func TestControllerWatch(t *testing.T) {
	var w controllerWatch
	w.is(1)
	first, endFirst := w.while(t.Context(), 1)
	defer endFirst()
	second, endSecond := w.while(t.Context(), 2) // known earlier elsewhere
	defer endSecond()
	w.is(cluster.NoLeader)
	w.is(1)
	if first.Err() != nil || second.Err() != nil {
		t.Fatal("a wait has ended without another controller")
	}
	w.is(2)
	if first.Err() == nil {
		t.Error("the wait for the controller of before goes on")
	}
	if second.Err() != nil {
		t.Error("the wait for the new controller has ended")
	}
	endFirst()
	endSecond()
	if len(w.mu.waiting) > 0 {
		t.Errorf("%d waits are left", len(w.mu.waiting))
	}
}
