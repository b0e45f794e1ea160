package node

import (
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/config"
)

// A follower never asks without a pause, whatever its settings say.
func TestReplicationPauses(t *testing.T) {
	for _, ms := range []int32{0, -1, -1 << 31} {
		r := replication(&config.Replication{FetchWaitMaxMs: ms, FetchBackoffMs: ms, FetchBytesMin: ms})
		if r.WaitMax != time.Millisecond || r.Backoff != time.Millisecond || r.BytesMin != 1 {
			t.Errorf("%d ms: %+v", ms, r)
		}
	}
	if r := replication(&config.Replication{FetchWaitMaxMs: 500, FetchBackoffMs: 1000, FetchBytesMin: 7}); r.WaitMax != 500*time.Millisecond || r.Backoff != time.Second || r.BytesMin != 7 {
		t.Errorf("%+v", r)
	}
}
