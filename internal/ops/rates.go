package ops

import (
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/quorum"
)

// rateWindow is over how long rates are measured, at least; at most it is twice that and the time between two scrapes.
const rateWindow = 30 * time.Second

// raftRates measures the metadata quorum from scrape to scrape.
type raftRates struct {
	mu           sync.Mutex
	older, newer raftPoint
}

type raftPoint struct {
	at         time.Time
	end        int64
	commits    int64
	commitTime time.Duration
}

// read returns the entries appended per second, and how long a commit took on average in milliseconds, 0 when there was
// none.
func (r *raftRates) read(now time.Time, q quorum.Status) (appendedPerSecond, commitMs float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	point := raftPoint{now, q.EndOffset, q.Commits, q.CommitTime}
	switch {
	case r.newer.at.IsZero():
		r.older, r.newer = point, point
	case now.Sub(r.newer.at) >= rateWindow:
		r.older, r.newer = r.newer, point
	}
	if passed := now.Sub(r.older.at).Seconds(); passed > 0 {
		appendedPerSecond = float64(point.end-r.older.end) / passed
	}
	if commits := point.commits - r.older.commits; commits > 0 {
		commitMs = (point.commitTime - r.older.commitTime).Seconds() * 1000 / float64(commits)
	}
	return appendedPerSecond, commitMs
}
