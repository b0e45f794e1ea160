package quorum

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/logbahn/logbahn/internal/vfs"
)

// TestOverruledProposalsDoNotHoldUpLaterOnes leads twice: of the first term three proposals are overruled, of the second one is
// committed by the next leader, at an index that the first term had gone beyond. It must not be taken for overruled.
func TestOverruledProposalsDoNotHoldUpLaterOnes(t *testing.T) {
	v := mustOpen(t, vfs.NewMem(), nil)
	v.close() // the loop's state is this goroutine's now
	q := v.q
	propose := func(term uint64, indexes ...uint64) (requests []*request) {
		for _, index := range indexes {
			r := &request{answer: make(chan answer, 1)}
			requests = append(requests, r)
			q.loop.orphans = append(q.loop.orphans, pending{request: r, resp: kmsg.NewPtrCreateTopicsResponse(), index: index, term: term})
		}
		return requests
	}
	commit := func(index, term uint64) []pending {
		return q.committed(&pb.Entry{Index: new(index), Term: new(term)})
	}
	first := propose(2, 100, 101, 102)
	commit(99, 3)
	second := propose(4, 101)
	found := commit(100, 4)
	if found = append(found, commit(101, 4)...); !slices.ContainsFunc(found, func(p pending) bool { return p.request == second[0] }) {
		t.Error("the proposal that is committed is not found")
	}
	commit(102, 5)
	if len(second[0].answer) > 0 {
		t.Errorf("it is answered with %v", (<-second[0].answer).err)
	}
	for i, r := range first {
		if len(r.answer) == 0 {
			t.Fatalf("overruled proposal %d waits still", i)
		}
		if err := (<-r.answer).err; !errors.Is(err, ErrNotController) {
			t.Errorf("overruled proposal %d: %v", i, err)
		}
	}
}
