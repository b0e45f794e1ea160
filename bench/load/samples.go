package load

import (
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// schedule says when requests are due.
type schedule struct {
	begin    time.Time
	interval time.Duration
	warm     int // requests that are not counted
}

func (s *schedule) due(k int) time.Time { return s.begin.Add(time.Duration(k) * s.interval) }

// samples gathers the times of requests that say their number themselves, from any goroutine.
type samples struct {
	schedule *schedule
	done     chan struct{} // closed when all have come

	mu        sync.Mutex
	left      int
	histogram *hdrhistogram.Histogram
}

func newSamples(s *schedule, total int) *samples {
	return &samples{schedule: s, done: make(chan struct{}), left: total, histogram: NewHistogram()}
}

func (s *samples) add(number string) {
	now := time.Now()
	k, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k >= s.schedule.warm {
		observe(s.histogram, now.Sub(s.schedule.due(k)))
	}
	if s.left--; s.left == 0 {
		close(s.done)
	}
}
